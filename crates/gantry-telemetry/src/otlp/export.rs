//! The task that sends batches of spans and repeats what failed for a passing reason.

use super::{Config, Transport, TransportError, semconv};
use crate::metrics::Metrics;
use crate::names::DropReason;
use bytes::Bytes;
use gantry_runtime::tasks::Shutdown;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// First wait before a call is repeated; doubled each time.
const BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait, also when the receiver asks for a longer one.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Empties the queue; one per process.
pub struct Exporter {
    config: Config,
    transport: Transport,
    metrics: Arc<Metrics>,
    requests: mpsc::Receiver<Vec<Span>>,
    resource: Resource,
    /// Whether the last batch was lost, so that a long outage is logged once.
    failing: bool,
}

/// What became of one call.
enum Outcome {
    /// Spans that the receiver did not take; the others are safe.
    Accepted {
        rejected: u64,
    },
    /// Worth repeating, after the time that the receiver named.
    Later {
        why: String,
        wait: Option<Duration>,
    },
    Refused {
        why: String,
    },
}

impl Exporter {
    pub(super) fn new(
        config: Config,
        transport: Transport,
        metrics: Arc<Metrics>,
        requests: mpsc::Receiver<Vec<Span>>,
    ) -> Self {
        let attributes = config.resource.iter().map(|(key, text)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(Value::StringValue(text.clone())) }),
            ..KeyValue::default()
        });
        let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
        Self { config, transport, metrics, requests, resource, failing: false }
    }

    /// Sends spans until the shutdown begins or the queue's entrance is gone; then sends what is
    /// left, with one call per batch.
    pub async fn run(mut self, shutdown: Shutdown) {
        let _hold = shutdown.hold();
        loop {
            let (batch, more) = self.next_batch(&shutdown).await;
            if !batch.is_empty() {
                self.send(batch, &shutdown).await;
            }
            if !more {
                return;
            }
        }
    }

    /// Collects until the batch is full, its time is up, or the shutdown begins. The second value
    /// is false when nothing more will come.
    async fn next_batch(&mut self, shutdown: &Shutdown) -> (Vec<Span>, bool) {
        let mut batch = Vec::new();
        let first = tokio::select! {
            biased;
            first = self.requests.recv() => first,
            () = shutdown.wait() => return (batch, false),
        };
        let Some(first) = first else { return (batch, false) };
        batch.extend(first);
        let until = tokio::time::Instant::now() + self.config.batch_wait;
        while batch.len() < self.config.batch_spans {
            let next = tokio::select! {
                biased;
                next = self.requests.recv() => next,
                () = tokio::time::sleep_until(until) => break,
                // The queue was empty: send this, then look again.
                () = shutdown.wait() => break,
            };
            let Some(next) = next else { return (batch, false) };
            batch.extend(next);
        }
        (batch, true)
    }

    async fn send(&mut self, batch: Vec<Span>, shutdown: &Shutdown) {
        let count = batch.len() as u64;
        let body = Bytes::from(self.request(batch).encode_to_vec());
        let mut backoff = BACKOFF;
        for attempt in 1.. {
            let why = match self.call(body.clone()).await {
                Outcome::Accepted { rejected } => {
                    self.settle(count.saturating_sub(rejected), rejected, "rejected in part");
                    return;
                }
                Outcome::Refused { why } => {
                    self.settle(0, count, &why);
                    return;
                }
                Outcome::Later { why, wait } => {
                    backoff = wait.unwrap_or(backoff).min(BACKOFF_MAX);
                    why
                }
            };
            if attempt >= self.config.tries || shutdown.begun() {
                self.settle(0, count, &why);
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                // One more call at once, the last.
                () = shutdown.wait() => {}
            }
            backoff *= 2;
        }
    }

    fn settle(&mut self, accepted: u64, lost: u64, why: &str) {
        self.metrics.spans_exported(accepted);
        self.metrics.dropped(DropReason::OtlpFailed, lost);
        let failing = lost > 0;
        if failing && !self.failing {
            tracing::warn!(spans = lost, why, "spans could not be exported");
        } else if self.failing && !failing {
            tracing::info!("spans are exported again");
        }
        self.failing = failing;
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "gantry".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = semconv::SCHEMA_URL.to_owned();
        let scope_spans =
            vec![ScopeSpans { scope: Some(scope), spans, schema_url: schema_url.clone() }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url }],
        }
    }

    async fn call(&self, body: Bytes) -> Outcome {
        let mut request = http::Request::post(&self.config.url)
            .header(http::header::CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        let request = match request.body(body) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused { why: error.to_string() },
        };
        let answer = tokio::time::timeout(self.config.timeout, (self.transport)(request)).await;
        match answer {
            Ok(answer) => classify(answer),
            Err(_) => Outcome::Later { why: "no answer in time".to_owned(), wait: None },
        }
    }
}

/// The rules of OTLP: 429, 502, 503 and 504 may be repeated, other failures not.
fn classify(answer: Result<http::Response<Bytes>, TransportError>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Outcome::Later { why: error.to_string(), wait: None },
    };
    let status = answer.status();
    if status.is_success() {
        let response = ExportTraceServiceResponse::decode(answer.into_body()).unwrap_or_default();
        let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
        return Outcome::Accepted { rejected: u64::try_from(rejected).unwrap_or(0) };
    }
    let why = format!("the receiver answered {status}");
    if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Outcome::Refused { why };
    }
    let header = answer.headers().get(http::header::RETRY_AFTER);
    let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Outcome::Later { why, wait: seconds.map(Duration::from_secs) }
}
