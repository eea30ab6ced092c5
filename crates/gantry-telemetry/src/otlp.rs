//! Traces: one span per request, one below it per upstream call, sent by OTLP over HTTP.
//!
//! [`pair`] gives a [`Queue`], which the recorder feeds on its writer thread, and an [`Exporter`],
//! whose [`Exporter::run`] is a task. Between them is a bounded queue; when it is full, or the
//! receiver stays away longer than the retries last, spans are dropped and counted. HTTP itself is
//! the binary's: it passes a [`Transport`]. Nothing here touches a request.

mod export;
pub mod semconv;
mod spans;
#[cfg(test)]
mod tests;

pub use export::Exporter;
pub use spans::spans;

use crate::metrics::Metrics;
use crate::names::DropReason;
use crate::recorder::Sink;
use bytes::Bytes;
use gantry_model::record::RequestRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where spans go, and how. The binary maps `OTEL_EXPORTER_OTLP_*` to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The whole address, path included; see [`Config::traces_url`].
    pub url: String,
    /// Sent with each call, such as an API key. Values are not logged.
    pub headers: Vec<(String, String)>,
    /// Resource attributes; `service.name` is among them.
    pub resource: Vec<(String, String)>,
    /// Whether spans carry request and answer bodies, when the records do. Default: no.
    pub bodies: bool,
    /// A batch is sent when it has this many spans. Default 512.
    pub batch_spans: usize,
    /// A batch that is not empty is sent after this time. Default 2 s.
    pub batch_wait: Duration,
    /// Requests whose spans wait; beyond it they are dropped and counted. Default 4096.
    pub queue_requests: usize,
    /// Longest wait for one answer of the receiver. Default 10 s, as in OpenTelemetry's SDKs.
    pub timeout: Duration,
    /// Calls for one batch before it is dropped. Default 6: about half a minute of waiting.
    pub tries: u32,
}

impl Config {
    /// Defaults for the receiver at `url`.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            headers: Vec::new(),
            resource: vec![("service.name".to_owned(), "gantry".to_owned())],
            bodies: false,
            batch_spans: 512,
            batch_wait: Duration::from_secs(2),
            queue_requests: 4096,
            timeout: Duration::from_secs(10),
            tries: 6,
        }
    }

    /// The address for traces from the general one: `OTEL_EXPORTER_OTLP_ENDPOINT` gets `/v1/traces`
    /// appended (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is used as it is).
    #[must_use]
    pub fn traces_url(general_endpoint: &str) -> String {
        format!("{}/v1/traces", general_endpoint.trim_end_matches('/'))
    }
}

/// Why a call did not get an answer.
pub type TransportError = Box<dyn std::error::Error + Send + Sync>;

/// The answer to one call, its body read whole.
pub type Answer =
    Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send>>;

/// Sends one HTTP request; follows no redirects. The exporter sets the time limit.
pub type Transport = Arc<dyn Fn(http::Request<Bytes>) -> Answer + Send + Sync>;

/// The entrance of the exporter's queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// One entry per request, its root span first.
    requests: mpsc::Sender<Vec<Span>>,
    bodies: bool,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// A sink for [`crate::recorder::Options::sinks`].
    #[must_use]
    pub fn sink(self) -> Box<dyn Sink> {
        Box::new(move |record: &RequestRecord| {
            let spans = spans(record, self.bodies);
            let count = spans.len() as u64;
            if count > 0 && self.requests.try_send(spans).is_err() {
                self.metrics.dropped(DropReason::OtlpQueue, count);
            }
        })
    }
}

/// Makes the queue and the task that empties it.
#[must_use]
pub fn pair(config: Config, transport: Transport, metrics: Arc<Metrics>) -> (Queue, Exporter) {
    let (requests, received) = mpsc::channel(config.queue_requests.max(1));
    let queue = Queue { requests, bodies: config.bodies, metrics: metrics.clone() };
    (queue, Exporter::new(config, transport, metrics, received))
}
