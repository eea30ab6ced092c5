//! Folds facts into the record. The ledger is its only caller; it knows no stage and no clock.

use super::fact::{Fact, Metered, Streamed};
use crate::admit::Admitted;
use crate::authenticate::Identified;
use crate::decode::Call;
use crate::snapshot::{Entry, Model, Virtual};
use gantry_llm::dialect::Dialect;
use gantry_llm::observe::Spent;
use gantry_model::money::NanoUsd;
use gantry_model::price::ModelPrice;
use gantry_model::record::{Loss, LossKind, Name, RequestRecord, RouteStep};
use gantry_model::snapshot::LoggingSettings;
use std::sync::Arc;

/// The record so far, with what is needed to fold the next fact.
pub(super) struct Folded {
    pub(super) record: Box<RequestRecord>,
    /// The virtual model that was asked for.
    pub(super) applied: Option<Arc<Virtual>>,
    pub(super) log_bodies: bool,
    logging: Option<LoggingSettings>,
    model: Option<Arc<Model>>,
}

/// What a fact does not say itself.
pub(super) struct Moment {
    /// Microseconds from the receipt of the request to now, and to the end of its body.
    pub(super) elapsed_us: u64,
    pub(super) body_came_us: u64,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) logged_bytes_max: usize,
}

impl Folded {
    pub(super) fn begin(record: Box<RequestRecord>) -> Self {
        Self { record, applied: None, log_bodies: false, logging: None, model: None }
    }

    pub(super) fn fold(&mut self, fact: Fact<'_>, moment: &Moment) {
        let record = &mut self.record;
        match fact {
            Fact::Pinned(snapshot) => {
                self.logging = snapshot.logging.clone();
                record.tenant.clone_from(&snapshot.tenant);
                record.snapshot_generation = snapshot.generation.0;
            }
            Fact::Identified(identified) => identify(record, identified),
            Fact::Decoded(call) => self.decoded(call, moment),
            Fact::Planned { admitted, steps } => self.planned(admitted, steps, moment),
            Fact::Considered(mut steps) => record.route.append(&mut steps),
            Fact::AttemptEnded(attempt) => record.attempts.push(attempt),
            Fact::AttemptBroke { outcome, error } => {
                if let Some(attempt) = record.attempts.last_mut() {
                    attempt.outcome = outcome.into();
                    error.clone_into(&mut attempt.error);
                }
                end_attempt(record, moment);
            }
            Fact::AttemptDone => end_attempt(record, moment),
            Fact::Resolved { model, losses } => {
                self.model = Some(model.clone());
                record.resolved_model.clone_from(&model.id);
                record.provider.clone_from(&model.upstream.provider);
                record.upstream_model.clone_from(&model.upstream_model);
                record.fidelity = losses.to_vec();
            }
            Fact::AttemptBilled { model, spent } => charge(record, &spent, model.price_of(None)),
            Fact::BodyKept(_) => {}
            Fact::Replied { bytes, body } => {
                record.response_bytes = bytes;
                record.response_body = body;
            }
            Fact::Streamed(streamed) => stream(record, &streamed),
            Fact::Metered(metered) => self.metered(&metered, moment),
        }
    }

    fn decoded(&mut self, call: &Call, moment: &Moment) {
        self.log_bodies = match &self.logging {
            Some(LoggingSettings::Always) => true,
            Some(LoggingSettings::Never) => false,
            Some(LoggingSettings::HeaderControlled { log_body_by_default }) => {
                call.wishes.log_bodies.unwrap_or(*log_body_by_default)
            }
            None => call.wishes.log_bodies.unwrap_or(false),
        };
        let record = &mut self.record;
        record.metadata.clone_from(&call.metadata);
        record.model.clone_from(&call.model);
        record.stream = call.stream;
        record.request_bytes = call.body.len() as u64;
        record.request_body = self.log_bodies.then(|| logged(&call.body, moment.logged_bytes_max));
    }

    fn planned(&mut self, admitted: &Admitted, mut steps: Vec<RouteStep>, moment: &Moment) {
        let record = &mut self.record;
        record.gateway_us = moment.elapsed_us.saturating_sub(moment.body_came_us);
        let own = |id: &str, verdict: &'static str, reason: Name| RouteStep {
            target: id.to_owned(),
            verdict: verdict.into(),
            reason,
            ..RouteStep::default()
        };
        if let Entry::Virtual(model) = &admitted.entry {
            self.applied = Some(model.clone());
            record.route.push(own(&model.id, "expanded", model.reason.clone().into()));
        }
        record.route.append(&mut steps);
        if let Entry::Real(model) = &admitted.entry {
            record.route.push(own(&model.id, "chosen", "named by the request".into()));
        }
    }

    /// Takes the upstream's token counts, and estimates what it did not report.
    fn metered(&mut self, metered: &Metered<'_>, moment: &Moment) {
        let record = &mut self.record;
        metered.finish_reason.unwrap_or_default().clone_into(&mut record.finish_reason);
        let served = metered.observer.model();
        served.unwrap_or_default().clone_into(&mut record.served_model);
        let spent = metered.observer.spent(|| metered.prompt.tokens(moment.dialect));
        if spent.doubted {
            record.fidelity.push(doubted());
        }
        let price = self.model.as_ref().and_then(|model| model.price_of(served));
        charge(record, &spent, price);
    }
}

/// Adds what the last attempt has used, and what it costs, to the record.
fn charge(record: &mut RequestRecord, spent: &Spent, price: Option<&ModelPrice>) {
    record.usage = record.usage.plus(&spent.usage);
    record.usage_estimated |= spent.estimated;
    let mut cost = NanoUsd::ZERO;
    if let Some(charge) = price.and_then(|p| p.charge(&spent.usage, record.received_at_ms)) {
        cost = charge.cost;
        charge.version.clone_into(&mut record.price_version);
    }
    record.cost = NanoUsd(record.cost.0.saturating_add(cost.0));
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.input_tokens = spent.usage.input;
        attempt.output_tokens = spent.usage.output;
        attempt.cost = cost;
    }
}

fn identify(record: &mut RequestRecord, identified: &Identified) {
    record.subject.clone_from(&identified.caller.subject);
    record.teams.clone_from(&identified.caller.teams);
    record.key_name.push_str(&identified.key_name);
    record.metadata.clone_from(&identified.caller.tags);
}

fn stream(record: &mut RequestRecord, streamed: &Streamed<'_>) {
    record.fidelity.truncate(streamed.request_losses);
    record.fidelity.extend_from_slice(streamed.losses);
    record.stream_events = streamed.tokens;
    record.first_token_us = Some(streamed.first_token_us);
    let spent = streamed.last_token_us.saturating_sub(streamed.first_token_us);
    record.inter_token_us = (streamed.tokens > 1).then(|| spent / (streamed.tokens - 1));
}

fn end_attempt(record: &mut RequestRecord, moment: &Moment) {
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.duration_us = moment.elapsed_us.saturating_sub(attempt.started_us);
    }
}

/// The part of a body that goes into the record.
pub(super) fn logged(body: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(body.get(..limit).unwrap_or(body)).into_owned()
}

/// What a record says of a usage that is not believed.
fn doubted() -> Loss {
    Loss {
        field: "reply.usage".to_owned(),
        kind: LossKind::Approximated,
        note: "a count of the upstream's is unreadable or beyond belief, so it is estimated"
            .to_owned(),
    }
}
