//! What all workers of a gateway share, and what each has of its own.
//!
//! The stages take it; `gateway` makes it.

use crate::bodies::Bodies;
use crate::config::Config;
use crate::route::health::Registry;
use crate::screens::Hooks;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwapOption;
use gantry_http::pool::Pool;
use gantry_http::server::DetachedBody;
use gantry_llm::operation::Apis;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::recorder::Recorder;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The body of another service's response.
pub type OtherBody = DetachedBody;

/// Answers what is not the gateway's: health checks, metrics, the control plane of `gantry up`.
pub trait OtherService: Send + Sync {
    fn call(
        &self,
        request: http::Request<DetachedBody>,
    ) -> Pin<Box<dyn Future<Output = http::Response<OtherBody>> + Send>>;
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) apis: Apis,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) traces: bool,
    pub(crate) other: Arc<dyn OtherService>,
    pub(crate) shutdown: Shutdown,
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    pub(crate) health: Registry,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) hooks: Hooks,
}

/// One thread's part of the gateway.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    /// Set by a request while it is polled, when the head of its stream has to go out before its
    /// reply is there. Who polls the request takes it back at once: it is another's after that.
    pub(crate) head_due: Cell<bool>,
}
