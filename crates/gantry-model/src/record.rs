//! The record that each request leaves, exactly one, refused requests too.
//!
//! The fields stand here once: the journal, the lake and `docs/records.md` are made of these rows.
//! A new field takes the next free number, and the golden list in the tests.

pub mod table;
#[cfg(test)]
mod tests;

use crate::ids::{RequestId, UnixMs};
use crate::money::NanoUsd;
use crate::usage::TokenUsage;
use crate::{record_object, record_rows};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use table::{Row, Value};

/// A name out of a closed set, or a sentence that is often the same: mostly not allocated.
pub type Name = Cow<'static, str>;

/// Stands in place of the name of a target that the caller may not use.
pub const CLOSED_TARGET: &str = "(a target that you may not use)";

/// Number of `received_at_ms`, by which the lake sorts records before it reads the rest of them.
pub const RECEIVED_AT_NUMBER: u8 = 1;

record_rows! {
    /// One request from receipt to settlement. Times are milliseconds or microseconds, as named.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct RequestRecord {
        /// 32 hex digits that sort by time.
        id: Option<RequestId> = 0, head, text, distinct, searched;
        /// When the first byte came, in milliseconds since the Unix epoch.
        received_at_ms: UnixMs = 1, head, time, column("received_at"), searched;
        tenant: String = 2, shared, text;
        /// From the first byte received to the last byte sent (or the moment the caller left).
        duration_us: u64 = 3, int;

        /// `user:…` or `virtualaccount:…`; empty when authentication failed.
        subject: String = 4, shared, text;
        teams: Vec<String> = 5, shared, texts;
        /// Name of the token used, never a part of it.
        key_name: String = 6, shared, text;
        metadata: BTreeMap<String, String> = 7, map;
        /// The caller's trace (W3C `traceparent`), 32 hex digits; empty when it named none.
        trace_id: String = 8, text, distinct;
        /// The caller's span in that trace, 16 hex digits; empty likewise.
        parent_span_id: String = 9, text, distinct;

        /// `chat`, `completion`, `embedding`, `messages`, `count_tokens`, `models`.
        operation: Name = 10, shared, text;
        /// Dialect the caller spoke: `openai`, `azure-openai`, `anthropic`.
        dialect: Name = 11, shared, text;
        stream: bool = 12, shared, flag;
        /// Model as the caller named it.
        model: String = 13, shared, text;
        /// Model that answered: `account/model`; empty when none did.
        resolved_model: String = 14, shared, text;
        provider: String = 15, shared, text;
        /// The model name that was sent upstream.
        upstream_model: String = 16, shared, text;
        snapshot_generation: u64 = 17, shared, int, steady;

        /// Why the request went where it went, in order; sentences for people.
        route: Vec<RouteStep> = 18, shared, json;
        attempts: Vec<Attempt> = 19, json, distinct;

        /// HTTP status sent to the caller; 499 when the caller left first. Gantry's own 500
        /// (a defect) and 503 (it stopped) may come too late to be sent.
        status: u16 = 20, shared, int, steady;
        /// Stable name of the refusal, empty when the upstream answered.
        refusal: Name = 21, shared, text;
        /// Whose fault a failure was: `caller`, `operator`, `upstream`, `gantry`.
        fault: Name = 22, shared, text;
        error: String = 23, text, distinct;
        /// `stop`, `length`, … in the caller's dialect, empty when unknown.
        finish_reason: String = 24, shared, text;

        /// Of all attempts that an upstream may bill, not only of the one that answered.
        usage: TokenUsage = 25;
        /// Whether any of `usage` was counted by Gantry because the upstream did not report it.
        usage_estimated: bool = 26, shared, flag;
        /// Of all these attempts, in billionths of a dollar.
        cost: NanoUsd = 27, int, column("cost_nano_usd");
        /// Which price applied, such as `openai/gpt-5-mini@2026-03-01` or `manifest`; empty: no
        /// price.
        price_version: String = 28, shared, text;

        /// From receipt to the first token sent; absent when none was.
        first_token_us: Option<u64> = 29, int;
        /// Mean gap between stream events, absent for fewer than two.
        inter_token_us: Option<u64> = 30, int;
        stream_events: u64 = 31, int;
        /// Time Gantry itself spent before the first attempt.
        gateway_us: u64 = 32, int;

        /// What a translation dropped or approximated.
        fidelity: Vec<Loss> = 33, json;
        /// Guardrail verdicts, `name=verdict`.
        verdicts: Vec<String> = 34, json;
        request_bytes: u64 = 35, int;
        response_bytes: u64 = 36, int;
        /// Body of the request, when logging of bodies was asked for.
        request_body: Option<String> = 37, text, body;
        /// Body of the answer, likewise.
        response_body: Option<String> = 38, text, body;

        /// Further refused requests that this record stands for, of the same caller or without one:
        /// of many in a minute only a sample is kept.
        also_stands_for: u64 = 56, int;
        /// Address of the caller's end of the connection, without its port; empty when not known.
        peer: String = 59, text, distinct;
        /// The model that has answered, as the upstream names it: of a router or an alias another
        /// one than was asked for. Empty when it does not say.
        served_model: String = 60, shared, text;
    }
}

impl RequestRecord {
    /// Whether the request ended badly. A stream that broke did: its status had gone out before.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status >= 400 || !self.fault.is_empty()
    }

    /// Whether no upstream was asked for it: the caller was refused at once.
    #[must_use]
    pub fn refused_at_once(&self) -> bool {
        let unsent = |attempt: &Attempt| attempt.outcome == "untranslatable";
        !self.refusal.is_empty() && self.attempts.iter().all(unsent)
    }

    /// Makes it equal to a new record; its texts and lists keep their memory.
    pub fn empty(&mut self) {
        Row::empty(self);
    }

    /// Cuts what callers and upstreams wrote at too great a length, but for the bodies.
    pub fn cut(&mut self) {
        Row::cut(self);
    }

    /// The record as its caller may read it: without what is only for whoever runs the gateway, and
    /// without the names of targets that are closed to the caller.
    #[must_use]
    pub fn for_caller(mut self) -> Self {
        self.hide();
        let closed = |attempt: &Attempt| attempt.closed && attempt.target == self.resolved_model;
        if self.attempts.iter().any(closed) {
            self.resolved_model.clear();
            self.upstream_model.clear();
            self.provider.clear();
        }
        for step in self.route.iter_mut().filter(|step| step.closed) {
            CLOSED_TARGET.clone_into(&mut step.target);
        }
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.closed) {
            CLOSED_TARGET.clone_into(&mut attempt.target);
            // Upstreams name their models in what they say.
            attempt.error.clear();
        }
        self
    }
}

record_rows! {
    /// One decision on the way to a target.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct RouteStep {
        /// Target considered, `account/model` or a virtual model.
        target: String = 39, always;
        /// `chosen`, `skipped`, `fallback`, `expanded`.
        verdict: Name = 40, always;
        /// A sentence: `weight 70 of 100`, `unhealthy: the last 5 requests failed`.
        reason: Name = 41, always;
        /// What is beside it only for whoever runs the gateway: what metadata a target wants, why
        /// one is not available.
        detail: String = 57, operator_only;
        /// The caller had no right to use the target by itself, nor to its name.
        closed: bool = 58;
    }
}

record_rows! {
    /// One call to an upstream.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Attempt {
        target: String = 39;
        /// Host and path without query, never a credential.
        url: String = 42, operator_only;
        /// Upstream's HTTP status; 0 when there was none.
        status: u16 = 20;
        /// `ok`, `connect`, `timeout`, `first_token_timeout`, `status`, `stream_error`,
        /// `malformed`, `reset`, `too_large`, `idle_timeout`, `cancelled`, `untranslatable`.
        outcome: Name = 43;
        /// A sentence that the caller may read.
        error: String = 23;
        /// The same with hosts and addresses, for whoever runs the gateway; empty: nothing more.
        detail: String = 57, operator_only;
        /// As of a step.
        closed: bool = 58;
        started_us: u64 = 44;
        duration_us: u64 = 3;
        retry_after_ms: Option<u64> = 45;
        /// What the upstream may bill for it, as reported or estimated: tokens, and their cost in
        /// billionths of a dollar.
        input_tokens: u64 = 61;
        output_tokens: u64 = 62;
        cost: NanoUsd = 27;
    }
}

record_rows! {
    /// Something a translation could not carry over unchanged.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct Loss {
        /// Path in the caller's request, such as `logprobs` or `messages[3].content[1]`.
        field: String = 52, always;
        /// `dropped` or `approximated`.
        kind: LossKind = 53, always;
        /// A lower-case fragment that says what became of it.
        note: String = 54, always;
    }
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    #[default]
    Dropped,
    Approximated,
}

impl Value for LossKind {
    fn write<W: table::FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        let name = match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
        };
        out.text(number, name, always);
    }

    fn empty(&mut self) {
        *self = Self::default();
    }
}

record_object!(TokenUsage);
