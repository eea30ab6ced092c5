//! Stage 7, attempt: the only loop over targets and tries.
//!
//! Everything that can go wrong before the first byte goes wrong here: connecting, statuses, error
//! events after 200, empty and malformed first chunks, late first tokens. The caller notices none
//! of it while a target is left. After the first byte nothing is tried again.

mod encode;
mod failure;
mod policy;
mod pump;
mod scrub;
mod send;

pub(crate) use pump::{Break, Pump, Step};
pub(crate) use send::error_blames_target;

use crate::decode::Call;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::{Hop, Plan};
use crate::settle::Ledger;
use crate::shared::Worker;
use crate::snapshot::{Model, Snapshot};
use bytes::Bytes;
use encode::{Encoded, encode};
use failure::{Failure, Outcome};
use gantry_http::http1::Fields;
use gantry_llm::errors::{ErrorKind, ErrorView};
use gantry_llm::observe::Observer;
use gantry_llm::operation::{Elsewhere, Unit};
use gantry_model::record::{Attempt, Loss, LossKind};
use policy::Policy;
use scrub::Secrets;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// What the caller gets; boxed, since it is handed up through several futures.
pub(crate) enum Attempted {
    /// A whole reply in the caller's dialect, good or bad.
    Whole(Box<Whole>),
    /// A stream whose first token is there.
    Stream(Box<Stream>),
}

pub(crate) struct Whole {
    pub(crate) model: Arc<Model>,
    pub(crate) status: u16,
    /// The upstream's.
    pub(crate) fields: Fields,
    pub(crate) body: Bytes,
    /// The body's bytes may not be the upstream's.
    pub(crate) altered: bool,
    pub(crate) losses: Vec<Loss>,
    /// What a good reply was found to hold.
    pub(crate) observer: Option<Observer>,
    /// Why the model stopped, in the caller's words.
    pub(crate) finish_reason: Option<String>,
    /// The upstream's error, when it is one.
    pub(crate) error: Option<String>,
    /// When the attempt began, on the monotonic clock; 0 where no attempt is measured.
    pub(crate) started_us: u64,
}

pub(crate) struct Stream {
    pub(crate) fields: Fields,
    pub(crate) pump: Pump,
    /// What was held back until the first token, in the caller's dialect.
    pub(crate) held: Vec<Bytes>,
    pub(crate) tokens: u32,
    pub(crate) ended: bool,
    pub(crate) error: Option<ErrorView>,
    pub(crate) losses: Vec<Loss>,
    /// How many of them are the request's; the others are the stream's so far.
    pub(crate) request_losses: usize,
    /// When the attempt began, on the monotonic clock.
    pub(crate) started_us: u64,
}

/// Tries the plan's targets until one answers.
pub(crate) async fn attempt(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    plan: Plan,
    ledger: &mut Ledger,
) -> Result<Attempted, Refusal> {
    let mut failed = None;
    let last = plan.hops.len().saturating_sub(1);
    for (index, hop) in plan.hops.iter().enumerate() {
        if let Some(counted) = counted_here(call, hop, ledger) {
            return Ok(counted);
        }
        let more = index < last;
        let failure = match encode(call, hop) {
            Err(error) => untranslatable(hop, &error, ledger),
            Ok(encoded) => {
                let begun = Cell::new(false);
                let target = Target { worker, snapshot, call, hop, encoded: &encoded, more, begun };
                match target.attempts(ledger).await {
                    Ok(attempted) => return Ok(attempted),
                    Err(failure) => failure,
                }
            }
        };
        let go_on = more && policy(worker, snapshot, call, hop).falls_back(&failure);
        // A target that cannot take the request does not hide the outage of an earlier one.
        if failed.is_none() || failure.outcome != Outcome::Untranslatable {
            failed = Some((hop, failure));
        }
        if !go_on {
            break;
        }
    }
    match failed {
        Some((hop, failure)) => give_up(call, hop, failure, ledger),
        None => Err(Refusal::operator(RefusalKind::NoTarget, "the model has no target")),
    }
}

/// One target of the plan with the call encoded for it.
struct Target<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    call: &'a Call,
    hop: &'a Hop,
    encoded: &'a Encoded,
    more: bool,
    /// Whether the upstream began to get the request, so that it may bill it.
    begun: Cell<bool>,
}

impl Target<'_> {
    /// Tries the target as often as its policy says.
    async fn attempts(&self, ledger: &mut Ledger) -> Result<Attempted, Failure> {
        let mut failures = 0u8;
        loop {
            let started_us = ledger.now_us();
            self.begun.set(false);
            let span = ledger.traceparent();
            let underway = Underway { target: self, started_us, ended: false, ledger };
            let mut done = send::send(self, started_us, span).await;
            if let Err(failure) = &mut done {
                Secrets::of(&self.hop.model, &self.hop.policies).scrub(failure);
            }
            underway.end(&done);
            let ended_us = ledger.now_us();
            let failure = match done {
                Ok(attempted) => return Ok(attempted),
                Err(failure) => failure,
            };
            let limits = (&self.call.wishes, &self.worker.shared.config);
            if failure.counts_against_target() && !failure.was_hurried(limits) {
                self.hop.model.health.failed(ended_us);
            }
            failures = failures.saturating_add(1);
            let policy = policy(self.worker, self.snapshot, self.call, self.hop);
            let elsewhere = self.more && policy.falls_back(&failure);
            let Some(pause) = policy.pause(failures, &failure, elsewhere) else {
                return Err(failure);
            };
            tokio::time::sleep(pause).await;
            ledger.look();
        }
    }
}

/// An attempt in progress. Dropped before it ended, it is recorded too.
struct Underway<'a> {
    target: &'a Target<'a>,
    ledger: &'a mut Ledger,
    started_us: u64,
    ended: bool,
}

impl Underway<'_> {
    fn end(mut self, done: &Result<Attempted, Failure>) {
        self.ended = true;
        self.ledger.look();
        match done {
            Ok(_) => self.record(200, "ok", "", None),
            Err(failure) => self.record(
                failure.status,
                failure.outcome.name(),
                &failure.error.message,
                failure.retry_after,
            ),
        }
    }

    fn record(
        &mut self,
        status: u16,
        outcome: &'static str,
        error: &str,
        retry_after: Option<Duration>,
    ) {
        let Target { call, hop, encoded, .. } = self.target;
        let address = hop.model.upstream.address(encoded.operation, call.stream);
        let url = address.map(|address| address.url.clone());
        let started_us = self.ledger.since_start(self.started_us);
        let ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.ledger.attempted(Attempt {
            target: hop.model.id.clone(),
            url: url.unwrap_or_default(),
            status,
            outcome: outcome.into(),
            error: error.to_owned(),
            started_us,
            duration_us: self.ledger.elapsed_us().saturating_sub(started_us),
            retry_after_ms: retry_after.map(ms),
        });
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.ledger.look();
            self.record(0, "cancelled", self.ledger.cut(), None);
            let Target { call, hop, begun, .. } = self.target;
            if begun.get() && call.exchange.unit == Unit::Tokens {
                self.ledger.resolved(&hop.model, &self.target.encoded.losses);
                let tokens = crate::prompt::prompt_tokens(call.dialect(), &call.body);
                self.ledger.left(tokens);
            }
        }
    }
}

/// The rules for failures of a target; made only when there is one.
fn policy(worker: &Worker, snapshot: &Snapshot, call: &Call, hop: &Hop) -> Policy {
    let wish = call.wishes.retry.as_ref();
    Policy::of(hop, wish, snapshot.retry.as_ref(), &worker.shared.config)
}

/// Token counts for upstreams that cannot count: estimated, and reported as such.
fn counted_here(call: &Call, hop: &Hop, ledger: &mut Ledger) -> Option<Attempted> {
    let dialect = call.dialect();
    let Elsewhere::Estimated(print) = call.exchange.elsewhere else { return None };
    if hop.model.dialect() == dialect {
        return None;
    }
    let tokens = crate::prompt::prompt_tokens(dialect, &call.body);
    let losses = vec![Loss {
        field: "input_tokens".to_owned(),
        kind: LossKind::Approximated,
        note: "estimated by Gantry, the upstream cannot count".to_owned(),
    }];
    ledger.attempted(Attempt {
        target: hop.model.id.clone(),
        outcome: "ok".into(),
        ..Attempt::default()
    });
    Some(Attempted::Whole(Box::new(Whole {
        model: hop.model.clone(),
        status: 200,
        fields: Fields::default(),
        body: print(tokens).into(),
        altered: true,
        losses,
        observer: None,
        finish_reason: None,
        error: None,
        started_us: 0,
    })))
}

fn untranslatable(hop: &Hop, error: &encode::Error, ledger: &mut Ledger) -> Failure {
    let message = error.to_string();
    ledger.attempted(Attempt {
        target: hop.model.id.clone(),
        outcome: Outcome::Untranslatable.name().into(),
        error: message.clone(),
        ..Attempt::default()
    });
    Failure::silent(Outcome::Untranslatable, send::view(ErrorKind::InvalidRequest, 400, message))
}

/// The last failure becomes the caller's answer: the upstream's own error, or a refusal.
fn give_up(
    call: &Call,
    hop: &Hop,
    mut failure: Failure,
    ledger: &mut Ledger,
) -> Result<Attempted, Refusal> {
    failure.error.request_id = ledger.id().to_string();
    if let Some(reply) = failure.reply {
        return Ok(Attempted::Whole(Box::new(send::upstream_error(
            call,
            hop,
            &failure.error,
            *reply,
        ))));
    }
    ledger.resolved(&hop.model, &[]);
    let (kind, public) = match failure.outcome {
        Outcome::Untranslatable => {
            return Err(Refusal::caller(RefusalKind::Untranslatable, failure.error.message));
        }
        Outcome::Timeout => (RefusalKind::UpstreamTimeout, "did not answer in time"),
        Outcome::FirstTokenTimeout => {
            (RefusalKind::FirstTokenTimeout, "gave no first token in time")
        }
        Outcome::Connect => (RefusalKind::UpstreamFailed, "could not be reached"),
        Outcome::Reset => (RefusalKind::UpstreamFailed, "broke the connection"),
        Outcome::Malformed => (RefusalKind::UpstreamFailed, "sent a malformed reply"),
        Outcome::TooLarge => (RefusalKind::UpstreamFailed, "sent a reply that is too large"),
        Outcome::StreamError | Outcome::Status => {
            (RefusalKind::UpstreamFailed, "answered with an error")
        }
    };
    let mut refusal = Refusal::upstream(kind, format!("the model `{}` {public}", call.model));
    refusal.detail = Some(failure.error.message);
    refusal.retry_after = failure.retry_after;
    Err(refusal)
}
