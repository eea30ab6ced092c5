//! Stage 7, attempt: the only loop over targets and tries.
//!
//! Everything that can go wrong before the first byte goes wrong here: connecting, statuses, error
//! events after 200, empty and malformed first chunks, late first tokens. The caller notices none
//! of it while a target is left. After the first byte nothing is tried again.
//!
//! For each target of the plan, in this order: `encode` (the call in the target's dialect), then
//! for each try `limit` (how long it may take), `sign`, `send`, and the gate in `send` that reads
//! the `pump` (`print` is a part of it) until there is something for the caller: a [`Reply`]. What
//! failed is a `failure`, without what `scrub` takes out, and `policy` says what comes next.

mod broken;
mod collect;
mod encode;
mod failure;
mod limit;
mod patience;
mod policy;
mod print;
mod pump;
mod reply;
mod scrub;
mod send;
mod sign;

pub(crate) use broken::Break;
pub(crate) use pump::{Pump, Step, Told};
pub(crate) use reply::{End, Frames, Gated, Head, Reply};
pub(crate) use send::error_blames_target;

use crate::aside;
use crate::decode::Call;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::{Hop, Plan};
use crate::settle::{Fact, Ledger};
use crate::shared::Worker;
use crate::snapshot::Snapshot;
use encode::{Encoded, encode};
use failure::{Failure, Outcome};
use gantry_llm::errors::{ErrorKind, ErrorView};
use gantry_llm::observe::{Observer, Spent};
use gantry_llm::operation::{Elsewhere, Unit};
use gantry_model::ids::UnixMs;
use gantry_model::record::{Attempt, Loss, LossKind};
use http::HeaderValue;
use patience::{Patience, within};
use policy::Policy;
use scrub::Secrets;
use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

/// Tries the plan's targets until one answers.
pub(crate) async fn attempt(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    mut plan: Plan<'_>,
    ledger: &mut Ledger,
) -> Result<Box<Reply>, Refusal> {
    let mut failed = None;
    let fits = call.wishes.fit.unwrap_or(worker.shared.config.fit_requests);
    while let Some(hop) = plan.take() {
        ledger.note(Fact::Considered(plan.take_steps()));
        let (hop, more) = (&hop, plan.has_more());
        if let Some(counted) = counted_here(call, hop, ledger) {
            return Ok(counted);
        }
        if copies(call, hop) && !ledger.body().grow_for_copy(call.body.len()) {
            return Err(Refusal::busy());
        }
        let failure = match encode(call, hop, fits).await {
            Err(error) => untranslatable(call, hop, &error, ledger),
            Ok(encoded) => {
                let begun = Cell::new(false);
                let target = Target { worker, snapshot, call, hop, encoded: &encoded, more, begun };
                match target.attempts(ledger).await {
                    Ok(reply) => return Ok(reply),
                    Err(failure) => failure,
                }
            }
        };
        let go_on = more
            && !ledger.left().is_zero()
            && policy(worker, snapshot, call, hop).falls_back(&failure);
        // A target that cannot take the request does not hide the outage of an earlier one.
        if failed.is_none() || failure.outcome != Outcome::Untranslatable {
            failed = Some((hop.clone(), failure));
        }
        if !go_on {
            break;
        }
    }
    match failed {
        Some((hop, failure)) => give_up(call, &hop, failure, ledger),
        None => Err(Refusal::operator(RefusalKind::NoTarget, "the model has no target")),
    }
}

/// Whether the call's body is translated for this target and large enough to count twice.
fn copies(call: &Call, hop: &Hop) -> bool {
    aside::is_long(&call.body) && call.dialect() != hop.model.dialect()
}

/// What one try begins with.
struct Begin {
    /// Monotonic time in microseconds, and wall time in milliseconds.
    now_us: u64,
    now_ms: UnixMs,
    /// What is left of the request's time as a whole.
    left: Duration,
    patience: Patience,
    /// Names the attempt to the upstream.
    span: Option<HeaderValue>,
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
    /// How long the caller may still hear nothing.
    fn patience(&self, ledger: &Ledger) -> Patience {
        if self.call.stream { ledger.head_in() } else { None }
    }

    /// Tries the target as often as its policy says.
    async fn attempts(&self, ledger: &mut Ledger) -> Result<Box<Reply>, Failure> {
        let mut failures = 0u8;
        loop {
            let started_us = ledger.now_us();
            self.begun.set(false);
            let (now_us, now_ms) = (started_us, ledger.now_ms());
            let (left, patience) = (ledger.left(), self.patience(ledger));
            let begin = Begin { now_us, now_ms, left, patience, span: ledger.traceparent() };
            let underway = Underway { target: self, started_us, ended: false, ledger };
            let mut done = send::send(self, begin).await;
            let secrets = || Secrets::of(&self.hop.model, &self.hop.policies);
            match &mut done {
                Err(failure) => secrets().scrub(failure),
                Ok(reply) if scrub::may_show(&reply.head.fields, self.hop) => {
                    secrets().fields(&mut reply.head.fields);
                }
                Ok(_) => {}
            }
            underway.end(&done);
            let ended_us = ledger.now_us();
            let failure = match done {
                Ok(reply) => {
                    self.hop.model.health.answered(ended_us);
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            if failure.counts_against_target() {
                self.hop.model.health.failed(ended_us);
            }
            failures = failures.saturating_add(1);
            let policy = policy(self.worker, self.snapshot, self.call, self.hop);
            let elsewhere = self.more && policy.falls_back(&failure);
            let Some(pause) = policy.pause(failures, &failure, elsewhere) else {
                return Err(failure);
            };
            if pause >= ledger.left() {
                return Err(failure);
            }
            within(pause, self.patience(ledger), self.worker, pending::<()>()).await;
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
    fn end(mut self, done: &Result<Box<Reply>, Failure>) {
        self.ended = true;
        self.ledger.look();
        let ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.tell(match done {
            Ok(_) => Attempt { status: 200, outcome: "ok".into(), ..Attempt::default() },
            Err(failure) => Attempt {
                status: failure.status,
                outcome: failure.outcome.name().into(),
                error: failure.error.message.clone(),
                detail: failure.detail.clone(),
                retry_after_ms: failure.retry_after.map(ms),
                ..Attempt::default()
            },
        });
        if let Err(failure) = done
            && failure.may_be_billed()
        {
            self.billed(failure.seen.as_deref());
        }
    }

    /// Tells the ledger what the upstream may bill although it brought no answer.
    fn billed(&mut self, seen: Option<&Observer>) {
        let Target { call, hop, begun, .. } = self.target;
        if !begun.get() || call.exchange.unit != Unit::Tokens {
            return;
        }
        let prompt = || crate::prompt::prompt_tokens(call.dialect(), &call.body);
        let spent = match seen {
            Some(seen) => seen.spent(prompt),
            None => Spent::of_prompt(prompt()),
        };
        self.ledger.note(Fact::AttemptBilled { model: &hop.model, spent });
    }

    /// Tells the ledger of the attempt, which ends now.
    fn tell(&mut self, attempt: Attempt) {
        let Target { call, hop, encoded, .. } = self.target;
        let address = hop.model.upstream.address(encoded.operation, call.stream);
        let url = address.map(|address| address.url.clone());
        let started_us = self.ledger.since_start(self.started_us);
        self.ledger.note(Fact::AttemptEnded(Attempt {
            url: url.unwrap_or_default(),
            started_us,
            duration_us: self.ledger.elapsed_us().saturating_sub(started_us),
            ..at(call, hop, attempt)
        }));
    }
}

/// An attempt at a target. One of a route may be closed to its caller, who has no right to its
/// name then; one that the request names was admitted.
fn at(call: &Call, hop: &Hop, attempt: Attempt) -> Attempt {
    let closed = !hop.policies.is_empty() && !hop.model.access.allows(&call.identity);
    Attempt { target: hop.model.id.clone(), closed, ..attempt }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.ledger.look();
            let (outcome, error) = ("cancelled".into(), self.ledger.cut().to_owned());
            self.tell(Attempt { outcome, error, ..Attempt::default() });
            let Target { call, hop, begun, .. } = self.target;
            if begun.get() && call.exchange.unit == Unit::Tokens {
                let (model, losses) = (&hop.model, &self.target.encoded.losses);
                self.ledger.note(Fact::Resolved { model, losses });
                self.billed(None);
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
fn counted_here(call: &Call, hop: &Hop, ledger: &mut Ledger) -> Option<Box<Reply>> {
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
    let attempt = Attempt { outcome: "ok".into(), ..Attempt::default() };
    ledger.note(Fact::AttemptEnded(at(call, hop, attempt)));
    let body = print(tokens).into();
    let head = Head { losses, ..Head::of(&hop.model) };
    Some(Box::new(Reply { head, frames: Frames::Said { body, error: None } }))
}

fn untranslatable(call: &Call, hop: &Hop, error: &encode::Error, ledger: &mut Ledger) -> Failure {
    let message = error.to_string();
    let code = error.code().map(str::to_owned);
    let (outcome, error) = (Outcome::Untranslatable.name().into(), message.clone());
    let attempt = Attempt { outcome, error, ..Attempt::default() };
    ledger.note(Fact::AttemptEnded(at(call, hop, attempt)));
    let view = send::view(ErrorKind::InvalidRequest, 400, message);
    Failure::silent(Outcome::Untranslatable, ErrorView { code, ..view })
}

/// A provider that refuses Gantry's key: not the caller's, who can do nothing about it. A bare 401
/// would send the caller to look for a mistake in a token that is right.
fn key_refused(call: &Call, hop: &Hop, failure: Failure) -> Refusal {
    let Failure { status, error, .. } = failure;
    let public = format!(
        "the provider refused the key that the gateway itself has for the model `{}` (status \
         {status}): {}; your token is right, tell whoever runs the gateway",
        call.model, error.message
    );
    let note = format!("the provider `{}` refused the key", hop.model.upstream.provider);
    Refusal { note: Some(note), ..Refusal::operator(RefusalKind::UpstreamKey, public) }
}

/// The last failure becomes the caller's answer: the upstream's own error, or a refusal.
fn give_up(
    call: &Call,
    hop: &Hop,
    mut failure: Failure,
    ledger: &mut Ledger,
) -> Result<Box<Reply>, Refusal> {
    failure.error.request_id = ledger.id().to_string();
    if failure.refuses_key() {
        ledger.note(Fact::Resolved { model: &hop.model, losses: &[] });
        return Err(key_refused(call, hop, failure));
    }
    if let Some(reply) = failure.reply {
        return Ok(send::upstream_error(call, hop, &failure.error, *reply));
    }
    ledger.note(Fact::Resolved { model: &hop.model, losses: &[] });
    let (kind, public) = match failure.outcome {
        Outcome::Untranslatable => {
            let kind = RefusalKind::untranslatable(failure.error.code.as_deref());
            return Err(Refusal::caller(kind, failure.error.message));
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
    let late = matches!(failure.outcome, Outcome::Timeout | Outcome::FirstTokenTimeout);
    let mut public = format!("the model `{}` {public}", call.model);
    if late {
        // Whose limit it was is what a caller must know to do something about it.
        public = format!("{public}: {}", failure.error.message);
    }
    let mut refusal = Refusal::upstream(kind, public);
    refusal.note = (!late).then_some(failure.error.message);
    refusal.retry_after = failure.retry_after;
    Err(refusal)
}
