//! A gateway: made of its parts, given snapshots, and answering by its workers.

use crate::bodies::Bodies;
use crate::body::ReplyBody;
use crate::config::Config;
use crate::pipeline;
use crate::route::health::Registry;
use crate::screens::{Hooks, NewScreen};
use crate::shared::{self, OtherService, Shared};
use crate::snapshot::compile;
use arc_swap::ArcSwapOption;
use gantry_http::pool::{Pool, Settings};
use gantry_http::server::{Rejected, Request, Response, Service};
use gantry_llm::operation::Apis;
use gantry_model::snapshot::SnapshotSource;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::recorder::Recorder;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a gateway is made of.
pub struct Parts {
    pub config: Config,
    /// What callers and upstreams may speak.
    pub apis: Apis,
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

impl Gateway {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self::screened(parts, Vec::new())
    }

    /// A gateway whose replies are looked at before their callers get them, in this order.
    #[must_use]
    pub fn screened(parts: Parts, hooks: Vec<NewScreen>) -> Self {
        let bodies_bytes_max = parts.config.bodies_bytes_max.max(parts.config.request_bytes_max);
        Self(Arc::new(Shared {
            bodies: Arc::new(Bodies::new(bodies_bytes_max)),
            hooks: Hooks::new(hooks),
            config: parts.config,
            apis: parts.apis,
            clock: parts.clock,
            recorder: parts.recorder,
            traces: parts.traces,
            other: parts.other,
            shutdown: parts.shutdown,
            snapshot: ArcSwapOption::empty(),
            health: Registry::default(),
        }))
    }

    /// Compiles what was published, as far as it changed, and swaps it in; requests in progress
    /// keep theirs.
    pub fn publish(&self, source: &SnapshotSource) {
        let before = self.0.snapshot.load_full();
        let compiled = compile(source, (&self.0.health, &self.0.apis), before.as_deref());
        tracing::info!(
            generation = compiled.generation.0,
            models = compiled.models.len(),
            keys = compiled.keys.len(),
            "snapshot in use"
        );
        self.0.snapshot.store(Some(Arc::new(compiled)));
        self.0.health.sweep();
    }

    /// Whether there is a snapshot to serve from.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.snapshot.load().is_some()
    }

    /// Bytes of request bodies that are held now.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.0.bodies.held_bytes()
    }

    /// A worker for the current thread.
    #[must_use]
    pub fn worker(&self) -> Worker {
        let settings = Settings {
            connect_timeout: Duration::from_millis(self.0.config.connect_timeout_ms),
            ..Settings::default()
        };
        let (shared, pool) = (self.0.clone(), Pool::new(settings));
        Worker(Rc::new(shared::Worker { shared, pool, head_due: Cell::new(false) }))
    }
}

/// Serves requests on one thread.
pub struct Worker(Rc<shared::Worker>);

impl Service for Worker {
    type Body = ReplyBody;
    type BodyError = crate::body::Error;

    async fn call(&self, request: Request) -> Response<ReplyBody> {
        pipeline::handle(&self.0, request).await
    }

    fn reject(&self, rejected: Rejected) -> Response<ReplyBody> {
        pipeline::reject(&self.0, &rejected)
    }

    async fn tend(&self) {
        self.0.pool.tend(&self.0.shared.clock).await;
    }
}
