//! The gateway's shared state and its per-thread workers.

use crate::body::{OtherBody, ReplyBody};
use crate::config::Config;
use crate::pipeline;
use crate::route::health::Registry;
use crate::snapshot::{Snapshot, compile};
use arc_swap::ArcSwapOption;
use gantry_model::snapshot::SnapshotSource;
use gantry_providers::pool::{Pool, Settings};
use gantry_runtime::clock::Clock;
use gantry_runtime::server::{DetachedBody, Rejected, Request, Response, Service};
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::recorder::Recorder;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Answers what is not the gateway's: health checks, metrics, the control plane of `gantry up`.
pub trait OtherService: Send + Sync {
    fn call(
        &self,
        request: http::Request<DetachedBody>,
    ) -> Pin<Box<dyn Future<Output = http::Response<OtherBody>> + Send>>;
}

/// What a gateway is made of.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub recorder: Recorder,
    /// Whether the recorder makes spans of records: upstream calls then carry a `traceparent` that
    /// names them. Without, the caller's own goes on.
    pub traces: bool,
    pub other: Arc<dyn OtherService>,
    /// Of the workers: it tells requests that are cut from callers that leave.
    pub shutdown: Shutdown,
}

/// Shared by all workers; clones are cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) traces: bool,
    pub(crate) other: Arc<dyn OtherService>,
    pub(crate) shutdown: Shutdown,
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    health: Registry,
}

impl Gateway {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            config: parts.config,
            clock: parts.clock,
            recorder: parts.recorder,
            traces: parts.traces,
            other: parts.other,
            shutdown: parts.shutdown,
            snapshot: ArcSwapOption::empty(),
            health: Registry::default(),
        }))
    }

    /// Compiles what was published and swaps it in; requests in progress keep theirs.
    pub fn publish(&self, source: &SnapshotSource) {
        let compiled = compile(source, &self.0.health);
        tracing::info!(
            generation = compiled.generation.0,
            models = compiled.models.len(),
            keys = compiled.keys.len(),
            "snapshot in use"
        );
        self.0.snapshot.store(Some(Arc::new(compiled)));
    }

    /// Whether there is a snapshot to serve from.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.snapshot.load().is_some()
    }

    /// A worker for the current thread.
    #[must_use]
    pub fn worker(&self) -> Worker {
        let settings = Settings {
            connect_timeout: Duration::from_millis(self.0.config.connect_timeout_ms),
            ..Settings::default()
        };
        Worker { shared: self.0.clone(), pool: Pool::new(settings) }
    }
}

/// One thread's part of the gateway.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
}

impl Service for Worker {
    type Body = ReplyBody;
    type BodyError = crate::body::Error;

    async fn call(&self, request: Request) -> Response<ReplyBody> {
        pipeline::handle(self, request).await
    }

    fn reject(&self, rejected: Rejected) -> Response<ReplyBody> {
        pipeline::reject(self, &rejected)
    }

    async fn tend(&self) {
        self.pool.tend(&self.shared.clock).await;
    }
}
