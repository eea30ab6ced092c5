//! Spans as a receiver decodes them, and what happens when the receiver does not take them.

use super::*;
use gantry_model::ids::RequestId;
use gantry_model::money::NanoUsd;
use gantry_model::record::{Attempt, RequestRecord, RouteStep};
use gantry_model::usage::TokenUsage;
use gantry_runtime::tasks::{Shutdown, spawn};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Mutex;

const ID: u128 = 0x0198_7654_3210_7abc_8def_0123_4567_89ab;

fn record() -> RequestRecord {
    let attempt = |target: &str, outcome: &'static str, status, started_us| Attempt {
        target: target.into(),
        url: "api.example/v1/chat".into(),
        outcome: outcome.into(),
        status,
        started_us,
        duration_us: 400,
        ..Attempt::default()
    };
    RequestRecord {
        id: Some(RequestId(ID)),
        tenant: "acme".into(),
        received_at_ms: 1_750_000_000_000,
        duration_us: 2_500,
        subject: "user:ann".into(),
        teams: vec!["red".into(), "blue".into()],
        metadata: BTreeMap::from([("project".into(), "x".into())]),
        operation: "messages".into(),
        stream: true,
        model: "fast".into(),
        resolved_model: "main/gpt".into(),
        provider: "azure-openai".into(),
        upstream_model: "gpt-5".into(),
        route: vec![RouteStep {
            target: "main/gpt".into(),
            verdict: "chosen".into(),
            reason: "only one".into(),
            ..RouteStep::default()
        }],
        attempts: vec![
            attempt("spare/gpt", "timeout", 0, 100),
            attempt("main/gpt", "ok", 200, 700),
        ],
        status: 200,
        usage: TokenUsage { input: 7, output: 5, cache_read: 3, ..TokenUsage::default() },
        cost: NanoUsd(1_250_000),
        first_token_us: Some(1_500),
        request_body: Some("secret question".into()),
        ..RequestRecord::default()
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let values = list.values.iter().map(|value| text(value.value.as_ref().unwrap()));
            values.collect::<Vec<_>>().join("|")
        }
        other => panic!("{other:?}"),
    }
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let pair = |pair: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref()).unwrap();
        (pair.key.clone(), text(value))
    };
    span.attributes.iter().map(pair).collect()
}

/// An in-process receiver: answers with the statuses given, then always with 200.
#[derive(Clone, Default)]
struct Receiver {
    requests: Arc<Mutex<Vec<http::Request<Bytes>>>>,
    answers: Arc<Mutex<Vec<http::Response<Bytes>>>>,
}

impl Receiver {
    fn answering(answers: Vec<http::Response<Bytes>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers)), ..Self::default() }
    }

    fn transport(&self) -> Transport {
        let this = self.clone();
        Arc::new(move |request| {
            this.requests.lock().unwrap().push(request);
            let mut answers = this.answers.lock().unwrap();
            let empty = || http::Response::new(Bytes::new());
            let answer = if answers.is_empty() { empty() } else { answers.remove(0) };
            Box::pin(async move { Ok(answer) })
        })
    }

    fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn status(status: u16) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::new()).unwrap()
}

/// Sends `records` requests to `receiver` and returns the metrics after a shutdown that came when
/// the time `until` had passed.
async fn export(
    config: Config,
    receiver: &Receiver,
    records: u32,
    until: Duration,
) -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::default());
    let (queue, exporter) = pair(config, receiver.transport(), metrics.clone());
    let mut sink = queue.sink();
    for _ in 0..records {
        sink.take(&record());
    }
    let shutdown = Shutdown::default();
    let task = spawn("otlp", exporter.run(shutdown.clone()));
    tokio::time::sleep(until).await;
    shutdown.begin();
    task.await.unwrap();
    metrics
}

#[track_caller]
fn counted(metrics: &Metrics, exported: u64, failed: u64, queue: u64) {
    let page = metrics.render();
    let line = format!("gantry_spans_exported_total {exported}\n");
    assert!(page.contains(&line), "no {line}in\n{page}");
    let dropped = |reason| metrics.dropped_so_far(reason);
    assert_eq!(dropped(DropReason::OtlpFailed), failed, "dropped after calls");
    assert_eq!(dropped(DropReason::OtlpQueue), queue, "dropped before the queue");
}

#[tokio::test(start_paused = true)]
async fn receiver_decodes_request_and_attempt_spans() {
    let receiver = Receiver::default();
    let mut config = Config::new(Config::traces_url("http://collector:4318/"));
    config.headers.push(("authorization".into(), "Bearer t".into()));
    let metrics = export(config, &receiver, 1, Duration::ZERO).await;
    counted(&metrics, 3, 0, 0);
    let request = receiver.requests.lock().unwrap().remove(0);
    assert_eq!(request.uri(), "http://collector:4318/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    assert_eq!(request.headers()["authorization"], "Bearer t");
    let sent = ExportTraceServiceRequest::decode(request.into_body()).unwrap();
    let resource = &sent.resource_spans[0];
    assert_eq!(resource.schema_url, semconv::SCHEMA_URL);
    let name = &resource.resource.as_ref().unwrap().attributes[0];
    assert_eq!(name.key, "service.name");
    let spans = &resource.scope_spans[0].spans;
    let [root, first, second] = spans.as_slice() else { panic!("{spans:?}") };
    for span in spans {
        assert_eq!(span.trace_id, ID.to_be_bytes());
        assert_eq!(span.span_id.len(), 8);
    }
    assert_eq!((root.name.as_str(), root.kind), ("chat fast", SpanKind::Server as i32));
    assert!(root.parent_span_id.is_empty());
    let start = 1_750_000_000_000_000_000;
    assert_eq!((root.start_time_unix_nano, root.end_time_unix_nano), (start, start + 2_500_000));
    let found = attributes(root);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "azure.ai.openai"),
        ("gen_ai.request.model", "fast"),
        ("gen_ai.response.model", "gpt-5"),
        ("gen_ai.usage.input_tokens", "7"),
        ("gen_ai.usage.cache_read.input_tokens", "3"),
        ("http.response.status_code", "200"),
        ("tfy.span_type", "ChatCompletion"),
        ("tfy.request.created_by_subject_teams", "red|blue"),
        ("tfy.request.metadata", r#"{"project":"x"}"#),
        ("tfy.model.streaming", "true"),
        ("tfy.model.metric.time_to_first_token_in_ms", "1.5"),
        ("tfy.model.metric.cost_in_usd", "0.00125"),
        ("gantry.cost_nano_usd", "1250000"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key} in {found:?}");
    }
    assert!(!found.contains_key("tfy.input"), "bodies only when asked for");
    for (span, target, code) in [(first, "spare/gpt", 2), (second, "main/gpt", 0)] {
        assert_eq!(span.parent_span_id, root.span_id);
        assert_eq!((span.name.as_str(), span.kind), (&*format!("chat {target}"), 3));
        assert_eq!(span.status.as_ref().unwrap().code, code);
        assert!(!attributes(span).contains_key("gen_ai.usage.input_tokens"));
    }
    assert_eq!(attributes(first).get("error.type").map(String::as_str), Some("timeout"));
    assert_ne!(first.span_id, second.span_id);
}

#[test]
fn a_stream_that_broke_is_an_error_though_its_status_was_200() {
    let broken =
        RequestRecord { refusal: "stream_error".into(), fault: "upstream".into(), ..record() };
    let spans = spans(&broken, false);
    assert_eq!(spans[0].status.as_ref().unwrap().code, 2);
    let kind = attributes(&spans[0]).remove("error.type");
    assert_eq!(kind.as_deref(), Some("stream_error"));
}

#[test]
fn joins_the_callers_trace() {
    let (trace_id, parent_span_id) = (format!("{:032x}", 5), format!("{:016x}", 6));
    let spans = spans(&RequestRecord { trace_id, parent_span_id, ..record() }, true);
    assert!(spans.iter().all(|span| span.trace_id == 5u128.to_be_bytes()));
    assert_eq!(spans[0].parent_span_id, 6u64.to_be_bytes());
    assert_eq!(attributes(&spans[0])["tfy.input"], "secret question");
}

#[tokio::test(start_paused = true)]
async fn batches_by_count_and_by_time() {
    let receiver = Receiver::default();
    let config = Config { batch_spans: 9, ..Config::new("http://c/v1/traces".into()) };
    let metrics = export(config.clone(), &receiver, 7, Duration::from_millis(1_999)).await;
    // Three, three, and the last one when the shutdown begins.
    assert_eq!(receiver.calls(), 3);
    counted(&metrics, 21, 0, 0);
    let receiver = Receiver::default();
    let before = tokio::time::Instant::now();
    export(config, &receiver, 1, Duration::from_secs(3)).await;
    assert_eq!(receiver.calls(), 1);
    assert_eq!(before.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn answers_decide_between_retry_and_drop() {
    let busy = |wait: &str| {
        http::Response::builder().status(429).header("retry-after", wait).body(Bytes::new())
    };
    let partial = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".into(),
        }),
    };
    let partial = http::Response::new(Bytes::from(partial.encode_to_vec()));
    let cases = [
        ("taken", vec![status(200)], 1, (3, 0)),
        ("busy, then taken", vec![busy("4").unwrap(), status(503), status(200)], 3, (3, 0)),
        ("not ours", vec![status(400)], 1, (0, 3)),
        ("wrong key", vec![status(401)], 1, (0, 3)),
        ("taken in part", vec![partial], 1, (2, 1)),
        ("down for long", (0..9).map(|_| status(503)).collect(), 6, (0, 3)),
    ];
    for (name, answers, calls, (exported, failed)) in cases {
        let receiver = Receiver::answering(answers);
        let config = Config::new("http://c/v1/traces".into());
        let metrics = export(config, &receiver, 1, Duration::from_secs(200)).await;
        assert_eq!(receiver.calls(), calls, "{name}");
        counted(&metrics, exported, failed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_receiver_that_is_down() {
    let receiver = Receiver::answering((0..99).map(|_| status(503)).collect());
    let config = Config::new("http://c/v1/traces".into());
    let before = tokio::time::Instant::now();
    let metrics = export(config, &receiver, 1, Duration::from_millis(2_100)).await;
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    counted(&metrics, 0, 3, 0);
}

#[tokio::test(start_paused = true)]
async fn full_queue_drops_and_counts() {
    let receiver = Receiver::default();
    let config = Config { queue_requests: 2, ..Config::new("http://c/v1/traces".into()) };
    let metrics = export(config, &receiver, 5, Duration::ZERO).await;
    counted(&metrics, 6, 0, 9);
}
