//! How one record stands in a frame: a MessagePack map with the names of the record's fields.
//!
//! What is empty is left out, and reads as empty. Names stand in full, so that a reader of another
//! version keeps fields that it does not know. The writer's thread calls [`append`] for each
//! request, so it says every field itself and goes through no general serializer.

#[cfg(test)]
mod tests;

use super::pack::{Cursor, Fields, Malformed, signed, text};
use gantry_model::record::{Attempt, Loss, LossKind, RequestRecord, RouteStep};
use gantry_model::usage::TokenUsage;

/// Why a payload is not a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("read a record's fields")]
    Fields(#[from] serde_json::Error),
}

/// Appends a record.
pub(super) fn append(out: &mut Vec<u8>, record: &RequestRecord) {
    let mut fields = Fields::begin(out);
    append_origin(&mut fields, record);
    append_course(&mut fields, record);
    append_result(&mut fields, record);
    fields.end();
}

/// Who asked for what.
fn append_origin(fields: &mut Fields<'_>, record: &RequestRecord) {
    if let Some(id) = record.id {
        text(fields.key("id"), std::str::from_utf8(&id.digits()).unwrap_or_default());
    }
    // Early, because the lake looks for it first.
    fields.number("received_at_ms", record.received_at_ms);
    fields.text("tenant", &record.tenant);
    fields.number("duration_us", record.duration_us);
    fields.text("subject", &record.subject);
    fields.list("teams", &record.teams, |out, team| text(out, team));
    fields.text("key_name", &record.key_name);
    fields.texts("metadata", record.metadata.iter());
    fields.text("trace_id", &record.trace_id);
    fields.text("parent_span_id", &record.parent_span_id);
    fields.text("operation", &record.operation);
    fields.text("dialect", &record.dialect);
    fields.flag("stream", record.stream);
    fields.text("model", &record.model);
}

/// What became of it on the way.
fn append_course(fields: &mut Fields<'_>, record: &RequestRecord) {
    fields.text("resolved_model", &record.resolved_model);
    fields.text("provider", &record.provider);
    fields.text("upstream_model", &record.upstream_model);
    fields.number("snapshot_generation", record.snapshot_generation);
    fields.list("route", &record.route, append_step);
    fields.list("attempts", &record.attempts, append_attempt);
    fields.number("status", record.status.into());
    fields.text("refusal", &record.refusal);
    fields.text("fault", &record.fault);
    fields.text("error", &record.error);
    fields.text("finish_reason", &record.finish_reason);
}

/// What it used and how long it took.
fn append_result(fields: &mut Fields<'_>, record: &RequestRecord) {
    if record.usage != TokenUsage::default() {
        append_usage(fields.key("usage"), &record.usage);
    }
    fields.flag("usage_estimated", record.usage_estimated);
    if record.cost.0 != 0 {
        signed(fields.key("cost"), record.cost.0);
    }
    fields.text("price_version", &record.price_version);
    fields.maybe_number("first_token_us", record.first_token_us);
    fields.maybe_number("inter_token_us", record.inter_token_us);
    fields.number("stream_events", record.stream_events);
    fields.number("gateway_us", record.gateway_us);
    fields.list("fidelity", &record.fidelity, append_loss);
    fields.list("verdicts", &record.verdicts, |out, verdict| text(out, verdict));
    fields.number("request_bytes", record.request_bytes);
    fields.number("response_bytes", record.response_bytes);
    fields.maybe_text("request_body", record.request_body.as_deref());
    fields.maybe_text("response_body", record.response_body.as_deref());
}

/// All fields, also empty ones: a step that lacks one is none.
fn append_step(out: &mut Vec<u8>, step: &RouteStep) {
    let mut fields = Fields::begin(out);
    fields.maybe_text("target", Some(&step.target));
    fields.maybe_text("verdict", Some(&step.verdict));
    fields.maybe_text("reason", Some(&step.reason));
    fields.end();
}

fn append_attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut fields = Fields::begin(out);
    fields.text("target", &attempt.target);
    fields.text("url", &attempt.url);
    fields.number("status", attempt.status.into());
    fields.text("outcome", &attempt.outcome);
    fields.text("error", &attempt.error);
    fields.number("started_us", attempt.started_us);
    fields.number("duration_us", attempt.duration_us);
    fields.maybe_number("retry_after_ms", attempt.retry_after_ms);
    fields.end();
}

fn append_usage(out: &mut Vec<u8>, usage: &TokenUsage) {
    let mut fields = Fields::begin(out);
    fields.number("input", usage.input);
    fields.number("cache_read", usage.cache_read);
    fields.number("cache_write", usage.cache_write);
    fields.number("cache_write_1h", usage.cache_write_1h);
    fields.number("output", usage.output);
    fields.number("reasoning", usage.reasoning);
    fields.end();
}

/// All fields, as of a step.
fn append_loss(out: &mut Vec<u8>, loss: &Loss) {
    let kind = match loss.kind {
        LossKind::Dropped => "dropped",
        LossKind::Approximated => "approximated",
    };
    let mut fields = Fields::begin(out);
    fields.maybe_text("field", Some(&loss.field));
    fields.maybe_text("kind", Some(kind));
    fields.maybe_text("note", Some(&loss.note));
    fields.end();
}

/// The record of a payload. Not for whole segments: it goes through JSON.
pub(super) fn record(payload: &[u8]) -> Result<RequestRecord, Error> {
    let mut json = Vec::new();
    Cursor::new(payload).append_json(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}
