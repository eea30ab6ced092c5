//! How one record stands in a frame: a MessagePack map whose keys are the numbers of the record's
//! fields in [`super::names`].
//!
//! What is empty is left out, and reads as empty. The fields that many records have in common stand
//! in a map of their own, whose bytes are then the same. In segments of the second version there is
//! one map, with names in full; readers take either. The writer's thread calls [`append`] for each
//! request, so it says every field itself and goes through no general serializer.

#[cfg(test)]
mod tests;

use super::names::{SHARED, key};
use super::pack::{Cursor, Fields, Key, Malformed, Token, append_key, signed, text};
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
    if let Some(id) = record.id {
        text(fields.key(key!("id")), std::str::from_utf8(&id.digits()).unwrap_or_default());
    }
    // Early, because the lake looks for it first.
    fields.number(key!("received_at_ms"), record.received_at_ms);
    fields.map_bytes(SHARED, |fields| {
        append_origin(fields, record);
        append_course(fields, record);
    });
    append_result(&mut fields, record);
    append_measures(&mut fields, record);
    fields.end();
}

/// Who asked for what. Only what many requests have in common.
fn append_origin(fields: &mut Fields<'_>, record: &RequestRecord) {
    fields.text(key!("tenant"), &record.tenant);
    fields.text(key!("subject"), &record.subject);
    fields.list(key!("teams"), &record.teams, |out, team| text(out, team));
    fields.text(key!("key_name"), &record.key_name);
    fields.text(key!("operation"), &record.operation);
    fields.text(key!("dialect"), &record.dialect);
    fields.flag(key!("stream"), record.stream);
    fields.text(key!("model"), &record.model);
}

/// What became of it on the way. Only what many requests have in common.
fn append_course(fields: &mut Fields<'_>, record: &RequestRecord) {
    fields.text(key!("resolved_model"), &record.resolved_model);
    fields.text(key!("provider"), &record.provider);
    fields.text(key!("upstream_model"), &record.upstream_model);
    fields.number(key!("snapshot_generation"), record.snapshot_generation);
    fields.list(key!("route"), &record.route, append_step);
    fields.number(key!("status"), record.status.into());
    fields.text(key!("refusal"), &record.refusal);
    fields.text(key!("fault"), &record.fault);
    fields.text(key!("finish_reason"), &record.finish_reason);
    fields.flag(key!("usage_estimated"), record.usage_estimated);
    fields.text(key!("price_version"), &record.price_version);
}

/// What belongs to this request alone.
fn append_result(fields: &mut Fields<'_>, record: &RequestRecord) {
    fields.texts(key!("metadata"), record.metadata.iter());
    fields.text(key!("peer"), &record.peer);
    fields.text(key!("trace_id"), &record.trace_id);
    fields.text(key!("parent_span_id"), &record.parent_span_id);
    fields.list(key!("attempts"), &record.attempts, append_attempt);
    fields.text(key!("error"), &record.error);
    fields.list(key!("fidelity"), &record.fidelity, append_loss);
    fields.list(key!("verdicts"), &record.verdicts, |out, verdict| text(out, verdict));
    fields.maybe_text(key!("request_body"), record.request_body.as_deref());
    fields.maybe_text(key!("response_body"), record.response_body.as_deref());
}

/// What it used and how long it took.
fn append_measures(fields: &mut Fields<'_>, record: &RequestRecord) {
    if record.usage != TokenUsage::default() {
        append_usage(fields.key(key!("usage")), &record.usage);
    }
    if record.cost.0 != 0 {
        signed(fields.key(key!("cost")), record.cost.0);
    }
    fields.number(key!("duration_us"), record.duration_us);
    fields.maybe_number(key!("first_token_us"), record.first_token_us);
    fields.maybe_number(key!("inter_token_us"), record.inter_token_us);
    fields.number(key!("stream_events"), record.stream_events);
    fields.number(key!("gateway_us"), record.gateway_us);
    fields.number(key!("request_bytes"), record.request_bytes);
    fields.number(key!("response_bytes"), record.response_bytes);
}

/// All fields, also empty ones: a step that lacks one is none.
fn append_step(out: &mut Vec<u8>, step: &RouteStep) {
    let mut fields = Fields::begin(out);
    fields.maybe_text(key!("target"), Some(&step.target));
    fields.maybe_text(key!("verdict"), Some(&step.verdict));
    fields.maybe_text(key!("reason"), Some(&step.reason));
    fields.text(key!("detail"), &step.detail);
    fields.flag(key!("closed"), step.closed);
    fields.end();
}

fn append_attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut fields = Fields::begin(out);
    fields.text(key!("target"), &attempt.target);
    fields.text(key!("url"), &attempt.url);
    fields.number(key!("status"), attempt.status.into());
    fields.text(key!("outcome"), &attempt.outcome);
    fields.text(key!("error"), &attempt.error);
    fields.text(key!("detail"), &attempt.detail);
    fields.flag(key!("closed"), attempt.closed);
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
    Ok(serde_json::from_slice(&json(payload)?)?)
}

fn json(payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut json = vec![b'{'];
    append_fields(&mut json, payload, |json, shared| {
        append_fields(json, shared, |_, _| Err(Malformed))
    })?;
    json.push(b'}');
    Ok(json)
}

/// Appends the fields of a map as those of a JSON object that was begun; what is shared goes to
/// `shared`.
fn append_fields(
    json: &mut Vec<u8>,
    map: &[u8],
    shared: impl Fn(&mut Vec<u8>, &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(map);
    let Token::Map(count) = cursor.token()? else { return Err(Malformed) };
    for _ in 0..count {
        let key = cursor.key()?;
        if key == Key::Number(SHARED) {
            let Token::Bytes(map) = cursor.token()? else { return Err(Malformed) };
            shared(json, map)?;
            continue;
        }
        if json.len() > 1 {
            json.push(b',');
        }
        append_key(json, key);
        cursor.append_json(json)?;
    }
    if cursor.at_end() { Ok(()) } else { Err(Malformed) }
}
