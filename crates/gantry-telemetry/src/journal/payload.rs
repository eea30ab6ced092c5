//! How one record stands in a frame: a MessagePack map whose keys are the numbers of the record's
//! fields in [`super::names`].
//!
//! What is empty is left out, and reads as empty. In segments of the second version names stand in
//! full; readers take either. The writer's thread calls [`append`] for each request, so it says
//! every field itself and goes through no general serializer.

#[cfg(test)]
mod tests;

use super::names::key;
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
        text(fields.key(key!("id")), std::str::from_utf8(&id.digits()).unwrap_or_default());
    }
    // Early, because the lake looks for it first.
    fields.number(key!("received_at_ms"), record.received_at_ms);
    fields.text(key!("tenant"), &record.tenant);
    fields.number(key!("duration_us"), record.duration_us);
    fields.text(key!("subject"), &record.subject);
    fields.list(key!("teams"), &record.teams, |out, team| text(out, team));
    fields.text(key!("key_name"), &record.key_name);
    fields.texts(key!("metadata"), record.metadata.iter());
    fields.text(key!("trace_id"), &record.trace_id);
    fields.text(key!("parent_span_id"), &record.parent_span_id);
    fields.text(key!("operation"), &record.operation);
    fields.text(key!("dialect"), &record.dialect);
    fields.flag(key!("stream"), record.stream);
    fields.text(key!("model"), &record.model);
}

/// What became of it on the way.
fn append_course(fields: &mut Fields<'_>, record: &RequestRecord) {
    fields.text(key!("resolved_model"), &record.resolved_model);
    fields.text(key!("provider"), &record.provider);
    fields.text(key!("upstream_model"), &record.upstream_model);
    fields.number(key!("snapshot_generation"), record.snapshot_generation);
    fields.list(key!("route"), &record.route, append_step);
    fields.list(key!("attempts"), &record.attempts, append_attempt);
    fields.number(key!("status"), record.status.into());
    fields.text(key!("refusal"), &record.refusal);
    fields.text(key!("fault"), &record.fault);
    fields.text(key!("error"), &record.error);
    fields.text(key!("finish_reason"), &record.finish_reason);
}

/// What it used and how long it took.
fn append_result(fields: &mut Fields<'_>, record: &RequestRecord) {
    if record.usage != TokenUsage::default() {
        append_usage(fields.key(key!("usage")), &record.usage);
    }
    fields.flag(key!("usage_estimated"), record.usage_estimated);
    if record.cost.0 != 0 {
        signed(fields.key(key!("cost")), record.cost.0);
    }
    fields.text(key!("price_version"), &record.price_version);
    fields.maybe_number(key!("first_token_us"), record.first_token_us);
    fields.maybe_number(key!("inter_token_us"), record.inter_token_us);
    fields.number(key!("stream_events"), record.stream_events);
    fields.number(key!("gateway_us"), record.gateway_us);
    fields.list(key!("fidelity"), &record.fidelity, append_loss);
    fields.list(key!("verdicts"), &record.verdicts, |out, verdict| text(out, verdict));
    fields.number(key!("request_bytes"), record.request_bytes);
    fields.number(key!("response_bytes"), record.response_bytes);
    fields.maybe_text(key!("request_body"), record.request_body.as_deref());
    fields.maybe_text(key!("response_body"), record.response_body.as_deref());
}

/// All fields, also empty ones: a step that lacks one is none.
fn append_step(out: &mut Vec<u8>, step: &RouteStep) {
    let mut fields = Fields::begin(out);
    fields.maybe_text(key!("target"), Some(&step.target));
    fields.maybe_text(key!("verdict"), Some(&step.verdict));
    fields.maybe_text(key!("reason"), Some(&step.reason));
    fields.end();
}

fn append_attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut fields = Fields::begin(out);
    fields.text(key!("target"), &attempt.target);
    fields.text(key!("url"), &attempt.url);
    fields.number(key!("status"), attempt.status.into());
    fields.text(key!("outcome"), &attempt.outcome);
    fields.text(key!("error"), &attempt.error);
    fields.number(key!("started_us"), attempt.started_us);
    fields.number(key!("duration_us"), attempt.duration_us);
    fields.maybe_number(key!("retry_after_ms"), attempt.retry_after_ms);
    fields.end();
}

fn append_usage(out: &mut Vec<u8>, usage: &TokenUsage) {
    let mut fields = Fields::begin(out);
    fields.number(key!("input"), usage.input);
    fields.number(key!("cache_read"), usage.cache_read);
    fields.number(key!("cache_write"), usage.cache_write);
    fields.number(key!("cache_write_1h"), usage.cache_write_1h);
    fields.number(key!("output"), usage.output);
    fields.number(key!("reasoning"), usage.reasoning);
    fields.end();
}

/// All fields, as of a step.
fn append_loss(out: &mut Vec<u8>, loss: &Loss) {
    let kind = match loss.kind {
        LossKind::Dropped => "dropped",
        LossKind::Approximated => "approximated",
    };
    let mut fields = Fields::begin(out);
    fields.maybe_text(key!("field"), Some(&loss.field));
    fields.maybe_text(key!("kind"), Some(kind));
    fields.maybe_text(key!("note"), Some(&loss.note));
    fields.end();
}

/// The record of a payload. Not for whole segments: it goes through JSON.
pub(super) fn record(payload: &[u8]) -> Result<RequestRecord, Error> {
    let mut json = Vec::new();
    Cursor::new(payload).append_json(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}
