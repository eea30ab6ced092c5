//! The record that each request leaves, exactly one, refused requests too.

use crate::ids::{RequestId, UnixMs};
use crate::money::NanoUsd;
use crate::usage::TokenUsage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A name out of a closed set, or a sentence that is often the same: mostly not allocated.
pub type Name = Cow<'static, str>;

/// One request from receipt to settlement. Times are milliseconds or microseconds, as named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRecord {
    pub id: Option<RequestId>,
    pub tenant: String,
    pub received_at_ms: UnixMs,
    /// From the first byte received to the last byte sent (or the moment the caller left).
    pub duration_us: u64,

    /// `user:…` or `virtualaccount:…`; empty when authentication failed.
    pub subject: String,
    pub teams: Vec<String>,
    /// Name of the token used, never a part of it.
    pub key_name: String,
    pub metadata: BTreeMap<String, String>,
    /// Address of the caller's end of the connection, without its port; empty when not known.
    pub peer: String,
    /// The caller's trace (W3C `traceparent`), 32 hex digits; empty when it named none.
    pub trace_id: String,
    /// The caller's span in that trace, 16 hex digits; empty likewise.
    pub parent_span_id: String,

    /// `chat`, `completion`, `embedding`, `messages`, `count_tokens`, `models`.
    pub operation: Name,
    /// Dialect the caller spoke: `openai`, `azure-openai`, `anthropic`.
    pub dialect: Name,
    pub stream: bool,
    /// Model as the caller named it.
    pub model: String,
    /// Model that answered: `account/model`; empty when none did.
    pub resolved_model: String,
    pub provider: String,
    /// The model name that was sent upstream.
    pub upstream_model: String,
    pub snapshot_generation: u64,

    /// Why the request went where it went, in order; sentences for people.
    pub route: Vec<RouteStep>,
    pub attempts: Vec<Attempt>,

    /// HTTP status sent to the caller; 499 when the caller left first. Gantry's own 500
    /// (a defect) and 503 (it stopped) may come too late to be sent.
    pub status: u16,
    /// Stable name of the refusal, empty when the upstream answered.
    pub refusal: Name,
    /// Whose fault a failure was: `caller`, `operator`, `upstream`, `gantry`.
    pub fault: Name,
    pub error: String,
    /// `stop`, `length`, … in the caller's dialect, empty when unknown.
    pub finish_reason: String,

    pub usage: TokenUsage,
    /// Whether `usage` was counted by Gantry because the upstream did not report it.
    pub usage_estimated: bool,
    pub cost: NanoUsd,
    /// Which price applied, such as `openai/gpt-5-mini@2026-03-01` or `manifest`; empty: no price.
    pub price_version: String,

    /// From receipt to the first token sent; absent when none was.
    pub first_token_us: Option<u64>,
    /// Mean gap between stream events, absent for fewer than two.
    pub inter_token_us: Option<u64>,
    pub stream_events: u64,
    /// Time Gantry itself spent before the first attempt.
    pub gateway_us: u64,

    /// What a translation dropped or approximated.
    pub fidelity: Vec<Loss>,
    /// Guardrail verdicts, `name=verdict`.
    pub verdicts: Vec<String>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Bodies, when logging of bodies was asked for.
    pub request_body: Option<String>,
    pub response_body: Option<String>,
}

/// Stands in place of the name of a target that the caller may not use.
pub const CLOSED_TARGET: &str = "(a target that you may not use)";

/// Texts with more room than this are let go when a record is emptied, in bytes.
const KEPT_TEXT_BYTES_MAX: usize = 256;

impl RequestRecord {
    /// Whether the request ended badly. A stream that broke did: its status had gone out before.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status >= 400 || !self.fault.is_empty()
    }

    /// The record as its caller may read it: without what is only for whoever runs the gateway, and
    /// without the names of targets that are closed to the caller.
    #[must_use]
    pub fn for_caller(mut self) -> Self {
        let closed = |attempt: &Attempt| attempt.closed && attempt.target == self.resolved_model;
        if self.attempts.iter().any(closed) {
            self.resolved_model.clear();
            self.upstream_model.clear();
            self.provider.clear();
        }
        for step in &mut self.route {
            step.detail.clear();
            if step.closed {
                CLOSED_TARGET.clone_into(&mut step.target);
            }
        }
        for attempt in &mut self.attempts {
            attempt.url.clear();
            attempt.detail.clear();
            if attempt.closed {
                CLOSED_TARGET.clone_into(&mut attempt.target);
                // Upstreams name their models in what they say.
                attempt.error.clear();
            }
        }
        self
    }

    /// Makes it equal to a new record; its texts and lists keep their memory.
    pub fn empty(&mut self) {
        let old = std::mem::take(self);
        let texts = [
            (&mut self.tenant, old.tenant),
            (&mut self.subject, old.subject),
            (&mut self.key_name, old.key_name),
            (&mut self.trace_id, old.trace_id),
            (&mut self.parent_span_id, old.parent_span_id),
            (&mut self.model, old.model),
            (&mut self.resolved_model, old.resolved_model),
            (&mut self.provider, old.provider),
            (&mut self.upstream_model, old.upstream_model),
            (&mut self.price_version, old.price_version),
        ];
        for (text, mut kept) in texts {
            if kept.capacity() <= KEPT_TEXT_BYTES_MAX {
                kept.clear();
                *text = kept;
            }
        }
        let (mut route, mut attempts) = (old.route, old.attempts);
        route.clear();
        attempts.clear();
        (self.route, self.attempts) = (route, attempts);
    }
}

/// One decision on the way to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStep {
    /// Target considered, `account/model` or a virtual model.
    pub target: String,
    /// `chosen`, `skipped`, `fallback`, `expanded`.
    pub verdict: Name,
    /// A sentence: `weight 70 of 100`, `unhealthy: 12 of 40 requests failed in 2 minutes`.
    pub reason: Name,
    /// What is beside it only for whoever runs the gateway: what metadata a target wants, why one
    /// is not available.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The caller had no right to use the target by itself, nor to its name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One call to an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    pub target: String,
    /// Host and path without query, never a credential. For whoever runs the gateway.
    pub url: String,
    /// Upstream's HTTP status; 0 when there was none.
    pub status: u16,
    /// `ok`, `connect`, `timeout`, `first_token_timeout`, `status`, `stream_error`, `malformed`,
    /// `reset`, `too_large`, `idle_timeout`, `cancelled`, `untranslatable`.
    pub outcome: Name,
    /// A sentence that the caller may read.
    pub error: String,
    /// The same with hosts and addresses, for whoever runs the gateway; empty: nothing more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// As of a step.
    #[serde(skip_serializing_if = "is_false")]
    pub closed: bool,
    pub started_us: u64,
    pub duration_us: u64,
    pub retry_after_ms: Option<u64>,
}

/// Something a translation could not carry over unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// Path in the caller's request, such as `logprobs` or `messages[3].content[1]`.
    pub field: String,
    pub kind: LossKind,
    /// A lower-case fragment that says what became of it.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    Dropped,
    Approximated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_record_equals_a_new_one() {
        let text = "x".to_owned();
        let mut record = RequestRecord {
            tenant: text.clone(),
            model: "y".repeat(1000),
            status: 200,
            attempts: vec![Attempt { target: text, ..Attempt::default() }],
            request_body: Some("body".to_owned()),
            ..RequestRecord::default()
        };
        record.empty();
        assert_eq!(record, RequestRecord::default());
        assert!(record.tenant.capacity() > 0 && record.model.capacity() == 0);
    }
}
