//! The control plane: what is desired, who may say so, and telling gateways about it.
//!
//! The binary opens one [`Control`], serves [`Control::router`] and hands [`Control::subscribe`]
//! to the gateway in its own process; remote gateways ask over HTTP. It is never on the path of a
//! model request, and it knows nothing of the gateway's or the lake's insides.
//!
//! ```text
//! apply, delete, tokens ─► one transaction of the Store ─► publisher ─► watch<SnapshotSource>
//!        (this module's files: the rules)       (publish.rs)       └─► GET gateway/snapshot
//! http/ : requests to calls and errors to replies, nothing else
//! ```
//!
//! Nothing secret leaves it but in a snapshot, and a token in the reply that made it.

mod access;
mod accounts;
mod api;
mod apply;
mod bootstrap;
mod delete;
mod error;
mod forget;
mod http;
mod manifests;
mod mint;
mod opaque;
mod order;
mod people;
mod ports;
mod publish;
mod read;
mod rows;
mod time;
mod tokens;
mod upkeep;

pub use access::Permission;
pub use api::{Api, BodyError};
pub use bootstrap::FirstStart;
pub use error::Error;
pub use http::{Access, Route};
pub use people::NewToken;
pub use ports::{
    Analytics, AnalyticsError, Environment, OneRequest, RecordsSink, Segment, SinkError,
};

use arc_swap::ArcSwap;
use gantry_kinds::registry::Registry;
use gantry_kinds::snapshot::Unresolved;
use gantry_kinds::variables::Allowed;
use gantry_model::secret::Secret;
use gantry_model::snapshot::{Caller, KeyEntry, SnapshotSource};
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use gantry_store::{Store, StoreConfig};
use mint::Signer;
use publish::Published;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Name of the tenant that a first start creates unless told otherwise. It is part of secret
/// references and of JWTs.
pub const DEFAULT_TENANT: &str = "default";

/// What the control plane depends on.
pub struct ControlConfig {
    /// Holds the database and the master key.
    pub data_dir: PathBuf,
    /// Address of a PostgreSQL database (see [`gantry_store::StoreConfig`]) in place of a file in
    /// the data directory.
    pub store_url: Option<Secret>,
    /// Name for the tenant of a first start: lower-case letters, digits and inner hyphens.
    /// Default [`DEFAULT_TENANT`]. Later starts find the tenant in the database.
    pub tenant: Option<String>,
    /// Replaces the master key file (`GANTRY_MASTER_KEY`).
    pub master_key: Option<Secret>,
    pub clock: Clock,
    /// Ends waiting requests when the process stops.
    pub shutdown: Shutdown,
    /// Resolves `env://` references.
    pub environment: Environment,
    /// The variables that manifests may name beside the usual credentials of providers.
    pub variables: Allowed,
    /// Whether callers may name a model as its vendor does, where nothing else has that name. What
    /// such a name means changes as models come and go: `gantry up` has it, for a quick start.
    pub short_names: bool,
    /// Takes records from remote gateways; without it their endpoint answers 503.
    pub records: Option<Arc<dyn RecordsSink>>,
    /// Answers `gantry logs` and `gantry usage`; without it their endpoints answer 503.
    pub analytics: Option<Arc<dyn Analytics>>,
    /// The kinds of manifest that there are.
    pub registry: Registry,
}

impl ControlConfig {
    /// The ordinary configuration: system clock, no environment, no analytics.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            store_url: None,
            tenant: None,
            master_key: None,
            clock: Clock::system(),
            shutdown: Shutdown::default(),
            environment: Arc::new(|_| None),
            variables: Allowed::default(),
            short_names: false,
            records: None,
            analytics: None,
            registry: Registry::standard(),
        }
    }
}

/// An open control plane. Cloning it is cheap and shares everything.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    store: Store,
    tenant: String,
    signer: Signer,
    clock: Clock,
    shutdown: Shutdown,
    environment: Environment,
    variables: Allowed,
    short_names: bool,
    records: Option<Arc<dyn RecordsSink>>,
    analytics: Option<Arc<dyn Analytics>>,
    registry: Registry,
    published: ArcSwap<Published>,
    snapshots: watch::Sender<Arc<SnapshotSource>>,
    /// One publication at a time, so that a later one never shows an older state.
    publishing: tokio::sync::Mutex<()>,
}

impl Control {
    /// Opens the data directory, sets it up on the first start, and publishes what it holds.
    ///
    /// The first start returns the administrator's token: print it once. A reference that
    /// resolves to nothing is logged; [`Control::unresolved`] lists them.
    ///
    /// # Errors
    /// When the store does not open, or the tenant's name is malformed or not the stored one.
    pub async fn open(config: ControlConfig) -> Result<(Self, Option<FirstStart>), Error> {
        let store = Store::open(StoreConfig {
            data_dir: config.data_dir,
            url: config.store_url,
            clock: config.clock.clone(),
            master_key: config.master_key,
        })
        .await?;
        let tenant = bootstrap::tenant(&store, config.tenant).await?;
        let (signer, first_start) = bootstrap::setup(&store, &tenant).await?;
        let nothing = Arc::new(SnapshotSource::default());
        let control = Self(Arc::new(Inner {
            store,
            tenant,
            signer,
            clock: config.clock,
            shutdown: config.shutdown,
            environment: config.environment,
            variables: config.variables,
            short_names: config.short_names,
            records: config.records,
            analytics: config.analytics,
            registry: config.registry,
            published: ArcSwap::from_pointee(Published::default()),
            snapshots: watch::Sender::new(nothing),
            publishing: tokio::sync::Mutex::new(()),
        }));
        control.publish().await?;
        for missing in control.unresolved() {
            tracing::warn!(
                kind = missing.kind,
                name = missing.name,
                reference = missing.reference,
                reason = missing.reason,
                "secret not found, its models are unavailable"
            );
        }
        Ok((control, first_start))
    }

    /// The REST API under `/api/svc/`, for the binary to merge with its other routes. It has no
    /// fallback outside that path.
    pub fn router(&self) -> axum::Router {
        http::router(self.clone())
    }

    /// The routes of [`Control::router`] with who may use them.
    #[must_use]
    pub fn routes() -> Vec<Route> {
        http::routes()
    }

    /// Name of the tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// The last published state.
    #[must_use]
    pub fn snapshot(&self) -> Arc<SnapshotSource> {
        self.0.published.load().source.clone()
    }

    /// The published token with this digest (SHA-256 in hex).
    #[must_use]
    pub fn key(&self, sha256: &str) -> Option<KeyEntry> {
        self.0.published.load().callers.get(sha256).cloned()
    }

    /// Follows published states: the receiver holds the present one and wakes with each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<SnapshotSource>> {
        self.0.snapshots.subscribe()
    }

    /// References of the published state that have no value.
    #[must_use]
    pub fn unresolved(&self) -> Vec<Unresolved> {
        self.0.published.load().unresolved().to_vec()
    }

    /// Whether a token is an administrator's at this moment, for what the process shows beside the
    /// API.
    #[must_use]
    pub fn is_administrator(&self, token: &str) -> bool {
        let published = self.0.published.load();
        let key = published.callers.get(&gantry_store::sha256_hex(token.as_bytes()));
        key.is_some_and(|key| {
            let lives = key.expires_at_ms.is_none_or(|end| self.0.clock.unix_ms() < end);
            lives && key.caller.admin
        })
    }

    /// The identity under which the process itself acts, such as when `gantry up` adds the
    /// providers that it found. It may do everything.
    #[must_use]
    pub fn local_caller() -> Caller {
        Caller { subject: "system:gantry".to_owned(), admin: true, ..Caller::default() }
    }

    /// Closes the database cleanly. Clones must not be used afterwards.
    pub async fn close(&self) {
        self.0.store.close().await;
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.0.tenant)
    }
}

/// Runs a change to its end even if the request that asked for it is dropped: between commit and
/// publication nothing may stop it.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = oneshot::channel();
    gantry_runtime::tasks::spawn("control change", async move {
        // The receiver is gone when the caller left; the change stands all the same.
        let _ = done.send(work.await);
    });
    result.await.unwrap_or_else(|_| {
        let text = "the change was interrupted: look whether it was stored before trying again";
        Err(Error::Unavailable(text.to_owned()))
    })
}
