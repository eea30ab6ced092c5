//! From a record to its spans. Pure; called on the recorder's writer thread.

use super::semconv;
use gantry_model::record::{Attempt, RequestRecord};
use gantry_model::trace::span_id;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Serialize;

/// The spans of a request: its own first, then one per upstream call.
///
/// The trace id is the request's id, or the caller's when there is one. Span ids follow from the
/// request's id, so that sending a record twice gives the same spans. A record without an id has
/// no spans. Token counts stand on the request's span only, so that sums do not count them twice.
#[must_use]
pub fn spans(record: &RequestRecord, bodies: bool) -> Vec<Span> {
    let Some(id) = record.id else { return Vec::new() };
    let parent = parent(record);
    let trace_id = parent.map_or(id.0, |(trace_id, _)| trace_id);
    let start = record.received_at_ms.saturating_mul(1_000_000);
    let root_id = span_id(id, 0).to_be_bytes().to_vec();
    let (operation, _) = semconv::operation(&record.operation);
    let root = Span {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: root_id.clone(),
        parent_span_id: parent.map_or(Vec::new(), |(_, span_id)| span_id.to_be_bytes().to_vec()),
        name: format!("{operation} {}", record.model).trim_end().to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(record.duration_us.saturating_mul(1_000)),
        attributes: request_attributes(record, bodies),
        status: status(record.status >= 500 || broke(record), &record.error),
        ..Span::default()
    };
    let calls = (1..).zip(&record.attempts).map(|(number, attempt)| {
        let start = start.saturating_add(attempt.started_us.saturating_mul(1_000));
        Span {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: span_id(id, number).to_be_bytes().to_vec(),
            parent_span_id: root_id.clone(),
            name: format!("{operation} {}", attempt.target).trim_end().to_owned(),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(attempt.duration_us.saturating_mul(1_000)),
            attributes: attempt_attributes(record, attempt),
            status: status(attempt.outcome != "ok", &attempt.error),
            ..Span::default()
        }
    });
    std::iter::once(root).chain(calls).collect()
}

/// Trace and span of the caller, when it named them.
fn parent(record: &RequestRecord) -> Option<(u128, u64)> {
    let trace_id = u128::from_str_radix(&record.trace_id, 16).ok()?;
    Some((trace_id, u64::from_str_radix(&record.parent_span_id, 16).ok()?))
}

/// Whether the reply ended badly after its status had gone out.
fn broke(record: &RequestRecord) -> bool {
    record.status < 400 && record.failed()
}

fn status(failed: bool, message: &str) -> Option<Status> {
    let code = if failed { StatusCode::Error } else { StatusCode::Unset };
    let message = if failed { message.to_owned() } else { String::new() };
    Some(Status { message, code: code.into() })
}

fn request_attributes(record: &RequestRecord, bodies: bool) -> Vec<KeyValue> {
    let (operation, span_type) = semconv::operation(&record.operation);
    let mut list = Attributes::default();
    list.text(semconv::OPERATION_NAME, operation);
    list.text(semconv::PROVIDER_NAME, semconv::provider(&record.provider));
    list.text(semconv::REQUEST_MODEL, &record.model);
    list.text(semconv::RESPONSE_MODEL, &record.upstream_model);
    if !record.finish_reason.is_empty() {
        list.texts(semconv::FINISH_REASONS, std::slice::from_ref(&record.finish_reason));
    }
    list.int(semconv::STATUS_CODE, record.status.into());
    if record.failed() {
        let status = record.status.to_string();
        let kind = if record.refusal.is_empty() { &*status } else { &*record.refusal };
        list.text(semconv::ERROR_TYPE, kind);
    }
    list.text(semconv::TFY_SPAN_TYPE, span_type);
    list.text(semconv::TFY_ERROR, &record.error);
    list.text(semconv::TFY_MODEL_REQUESTED, &record.model);
    list.text(semconv::TFY_SUBJECT, &record.subject);
    list.texts(semconv::TFY_TEAMS, &record.teams);
    list.json(semconv::TFY_METADATA, &record.metadata, record.metadata.is_empty());
    list.text(semconv::TFY_MODEL_NAME, &record.upstream_model);
    list.text(semconv::TFY_MODEL_FQN, &record.resolved_model);
    list.flag(semconv::TFY_MODEL_STREAMING, record.stream);
    list.text(semconv::TFY_MODEL_TYPE, &record.operation);
    usage_attributes(record, &mut list);
    list.text(semconv::TENANT, &record.tenant);
    list.text(semconv::KEY_NAME, &record.key_name);
    list.text(semconv::REFUSAL, &record.refusal);
    list.text(semconv::FAULT, &record.fault);
    list.json(semconv::ROUTE, &record.route, record.route.is_empty());
    list.text(semconv::PRICE_VERSION, &record.price_version);
    list.int(semconv::GENERATION, record.snapshot_generation);
    if bodies {
        list.text(semconv::TFY_INPUT, record.request_body.as_deref().unwrap_or_default());
        list.text(semconv::TFY_OUTPUT, record.response_body.as_deref().unwrap_or_default());
    }
    list.0
}

/// Tokens, cost and latencies.
fn usage_attributes(record: &RequestRecord, list: &mut Attributes) {
    list.double(semconv::TFY_LATENCY, record.duration_us as f64 / 1e3);
    if let Some(first) = record.first_token_us {
        list.double(semconv::TFY_FIRST_TOKEN, first as f64 / 1e3);
    }
    if let Some(gap) = record.inter_token_us {
        list.double(semconv::TFY_INTER_TOKEN, gap as f64 / 1e3);
    }
    let usage = &record.usage;
    if usage.total() == 0 {
        return;
    }
    for (key, count) in [
        (semconv::INPUT_TOKENS, usage.input),
        (semconv::OUTPUT_TOKENS, usage.output),
        (semconv::CACHE_READ_TOKENS, usage.cache_read),
        (semconv::CACHE_WRITE_TOKENS, usage.cache_write),
        (semconv::REASONING_TOKENS, usage.reasoning),
        (semconv::TFY_INPUT_TOKENS, usage.input),
        (semconv::TFY_OUTPUT_TOKENS, usage.output),
        (semconv::TFY_CACHE_READ, usage.cache_read),
        (semconv::TFY_CACHE_WRITE, usage.cache_write),
    ] {
        list.int(key, count);
    }
    list.flag(semconv::USAGE_ESTIMATED, record.usage_estimated);
    list.double(semconv::TFY_COST, record.cost.0 as f64 / 1e9);
    list.push(semconv::COST_NANO_USD, Value::IntValue(record.cost.0));
}

fn attempt_attributes(record: &RequestRecord, attempt: &Attempt) -> Vec<KeyValue> {
    let (operation, _) = semconv::operation(&record.operation);
    let mut list = Attributes::default();
    list.text(semconv::OPERATION_NAME, operation);
    if attempt.target == record.resolved_model {
        list.text(semconv::PROVIDER_NAME, semconv::provider(&record.provider));
        list.text(semconv::REQUEST_MODEL, &record.upstream_model);
    }
    list.text(semconv::TFY_SPAN_TYPE, "Model");
    list.text(semconv::TFY_MODEL_FQN, &attempt.target);
    list.text(semconv::TFY_MODEL_URL, &attempt.url);
    list.text(semconv::URL, &attempt.url);
    list.text(semconv::TARGET, &attempt.target);
    list.text(semconv::OUTCOME, &attempt.outcome);
    if attempt.status > 0 {
        list.int(semconv::STATUS_CODE, attempt.status.into());
    }
    if attempt.outcome != "ok" {
        list.text(semconv::ERROR_TYPE, &attempt.outcome);
        list.text(semconv::TFY_ERROR, &attempt.error);
    }
    list.0
}

/// A growing list of attributes. Empty texts and lists are left out.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, key: &str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.push(key, Value::StringValue(text.to_owned()));
        }
    }

    fn texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            let value = |text: &String| AnyValue { value: Some(Value::StringValue(text.clone())) };
            let values = texts.iter().map(value).collect();
            self.push(key, Value::ArrayValue(ArrayValue { values }));
        }
    }

    fn json(&mut self, key: &str, value: &impl Serialize, empty: bool) {
        if !empty && let Ok(text) = serde_json::to_string(value) {
            self.push(key, Value::StringValue(text));
        }
    }

    fn int(&mut self, key: &str, number: u64) {
        self.push(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn double(&mut self, key: &str, number: f64) {
        self.push(key, Value::DoubleValue(number));
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.push(key, Value::BoolValue(flag));
    }
}
