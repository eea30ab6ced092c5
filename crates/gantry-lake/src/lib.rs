//! The lake: request records as Parquet files in an object store, and the questions asked of them.
//!
//! [`Lake::run`] is the task that turns sealed journal segments into Parquet files and merges the
//! files of hours that are over. [`Lake::requests`], [`Lake::request`] and [`Lake::usage`] answer
//! from the files and from what is still in the journal, so a request shows at once. One process
//! per journal runs it; of several on one lake one merges and deletes ([`owner`]). It is a crate of
//! its own so that nothing else pays for building DataFusion.
//!
//! ```text
//! journal/<segment>.open|.seg -> requests/day=2026-03-01/hour=07/<segment>-<n>.parquet
//!                             -> requests/day=2026-03-01/hour=07/m-<name>.parquet
//! ```
//!
//! No record is lost or shown twice, wherever the process dies: a segment is deleted only after its
//! files are stored, its files have names that follow from its own (storing them again changes
//! nothing), and a file is not read while its segment still exists. [`compact`] has the same for
//! merging.

mod blocks;
mod cells;
mod chunk;
mod columns;
mod compact;
mod convert;
mod filter;
mod hybrid;
mod ingest;
mod objects;
mod owner;
mod parquet_file;
mod query;
mod retain;
mod schema;
mod shared;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod usage;

use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use gantry_cloud::credentials::Environment;
use gantry_model::record::RequestRecord;
use gantry_runtime::clock::Clock;
use gantry_runtime::reconcile::{
    AtShutdown, Backoff, Failure, Kit, Next, OnPeriod, Plan, Reconcile,
};
use gantry_telemetry::journal;
use gantry_telemetry::metrics::Metrics;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use objects::{Error as ObjectsError, check_address};
pub use schema::schema;

/// Priority of the lake's threads, of 100 with 50 as usual: niceness 9 on Linux, so that beside a
/// busy thread they get an eighth of a processor.
const PRIORITY: u8 = 25;

/// Longest pause after a failed round of ingestion.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Where the lake lives and what a query may cost.
#[derive(Clone, Debug)]
pub struct LakeConfig {
    /// Folder of the files as a URL: `file:///var/lib/gantry/lake`, which is made,
    /// `s3://bucket/prefix` or `azure://container/prefix`.
    pub url: String,
    /// Variables with the credentials of an object store. Default: none.
    pub environment: Environment,
    /// The journal's directory; it need not exist yet.
    pub journal_dir: PathBuf,
    /// Pause between two rounds of ingestion. Default 5 s; while rounds fail it doubles, up to
    /// `PAUSE_MAX`.
    pub ingest_every: Duration,
    /// Pause between two looks for files to merge. Default 60 s: object stores take money for
    /// each listing.
    pub compact_every: Duration,
    /// The files of an hour are merged this long after its end. Default 15 minutes.
    pub compact_after: Duration,
    /// Files of hours that ended longer ago are deleted; zero keeps them. Default 90 days.
    pub retention: Duration,
    /// Most bytes of all files: when there are more, the oldest are deleted. 0, the default, keeps
    /// them.
    pub retention_bytes: u64,
    /// Memory for sorting and grouping, all queries together, in bytes. Default 256 MiB.
    pub query_memory_bytes: usize,
    /// Most journal bytes that one query reads, and about as many of memory. Default 256 MiB, a
    /// million records without bodies; more is [`Error::Backlog`].
    pub query_journal_bytes: u64,
    /// Longest time for one query. Default 30 s.
    pub query_time: Duration,
}

impl LakeConfig {
    /// Defaults for a lake at `url` that is fed from `journal_dir`.
    #[must_use]
    pub fn new(url: String, journal_dir: PathBuf) -> Self {
        Self {
            url,
            environment: Environment::default(),
            journal_dir,
            ingest_every: Duration::from_secs(5),
            compact_every: Duration::from_secs(60),
            compact_after: Duration::from_secs(900),
            retention: Duration::from_secs(90 * 86_400),
            retention_bytes: 0,
            query_memory_bytes: 256 << 20,
            query_journal_bytes: 256 << 20,
            query_time: Duration::from_secs(30),
        }
    }
}

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the lake address {url}: {why}")]
    Address { url: String, why: String },
    #[error("use the lake address {url}")]
    Refused { url: String, source: Box<objects::Error> },
    #[error("understand the query: {field} {found:?} {why}")]
    Invalid { field: &'static str, found: String, why: &'static str },
    #[error("find one request: {} ids or more begin with {prefix}", candidates.len())]
    Ambiguous {
        prefix: String,
        /// The newest of them, newest first, without bodies.
        candidates: Vec<RequestRecord>,
    },
    #[error("answer the query within {limit:?}")]
    Timeout { limit: Duration },
    #[error("answer the query within its memory")]
    Memory { source: datafusion::error::DataFusionError },
    #[error("answer the query: {bytes} bytes of the journal wait for ingestion")]
    Backlog { bytes: u64 },
    #[error("read the journal")]
    Journal {
        #[from]
        source: journal::Error,
    },
    #[error("reach the lake's files")]
    Store {
        #[from]
        source: object_store::Error,
    },
    #[error("list the lake's files: they are replaced all the time")]
    Moving,
    #[error("lock the lake's folder")]
    Owner { source: std::io::Error },
    #[error("sync the lake's files")]
    Sync { source: std::io::Error },
    #[error("read or write Parquet")]
    Parquet {
        #[from]
        source: parquet::errors::ParquetError,
    },
    #[error("convert records to columns")]
    Arrow {
        #[from]
        source: arrow::error::ArrowError,
    },
    #[error("read a record")]
    Record {
        #[from]
        source: serde_json::Error,
    },
    #[error("run the query")]
    Query { source: datafusion::error::DataFusionError },
    #[error("finish work on another thread")]
    Thread { source: tokio::task::JoinError },
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(source: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError::ResourcesExhausted;
        match source.find_root() {
            ResourcesExhausted(_) => Self::Memory { source },
            _ => Self::Query { source },
        }
    }
}

/// The lake of one installation; cheap to clone.
///
/// Queries keep processors busy: call them on a runtime with several threads that serves no
/// requests of the gateway.
#[derive(Clone, Debug)]
pub struct Lake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: LakeConfig,
    store: store::Store,
    journal: journal::Reader,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Made by the first query.
    engine: OnceLock<Arc<RuntimeEnv>>,
    /// Held by ingestion and compaction, which are never at work at the same time.
    maintenance: tokio::sync::Mutex<owner::Owner>,
    /// Read while a query lists the journal and the files, written while compaction replaces
    /// files: so each query sees one consistent set.
    layout: tokio::sync::RwLock<()>,
    /// Counts replacements of files: a query that fails meanwhile is asked again.
    replaced: AtomicU64,
}

impl Lake {
    /// Opens the lake. Nothing is read or written yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn open(config: LakeConfig, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let store = store::Store::open(&config.url, &config.environment, clock.clone())?;
        Ok(Self::on(store, config, clock, metrics))
    }

    fn on(store: store::Store, config: LakeConfig, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            journal: journal::Reader::new(&config.journal_dir),
            config,
            store,
            clock,
            metrics,
            engine: OnceLock::new(),
            maintenance: tokio::sync::Mutex::default(),
            layout: tokio::sync::RwLock::new(()),
            replaced: AtomicU64::new(0),
        }))
    }

    /// Tries once whether the files can be listed, written, read and deleted. A store that is away
    /// is no failure: the log says so, and records wait in the journal.
    ///
    /// # Errors
    /// When the store will not do so before somebody changes a setting; the text says which.
    pub async fn check(&self) -> Result<(), Error> {
        match self.0.store.check().await {
            Ok(()) => Ok(()),
            Err(error) if error.temporary() => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the lake's files are out of reach: records wait on disk");
                Ok(())
            }
            Err(error) => {
                let (url, source) = (self.0.config.url.clone(), Box::new(error));
                Err(Error::Refused { url, source })
            }
        }
    }

    /// Ingests, merges and deletes until the kit's shutdown begins, and once more then. A failed
    /// round is logged and tried again.
    ///
    /// All of it happens on threads of its own, which give way to those that serve requests.
    pub async fn run(self, kit: Kit) {
        let every = self.0.config.ingest_every;
        let plan = Plan {
            name: "lake",
            period: every,
            backoff: Backoff { first: every, max: PAUSE_MAX.max(every) },
            at_shutdown: AtShutdown::LastPass,
        };
        let lake = self.clone();
        let rounds = async move {
            kit.run(plan, OnPeriod, Maintenance { lake: self, compacted_us: None }).await;
            lake.disown().await;
        };
        let (ended, thread_ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("gantry-lake".to_owned()).spawn(move || {
            give_way();
            // Not the caller's: threads that begin here take the low priority along.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(1)
                .thread_name("gantry-lake-io")
                .build();
            // Nobody waits any more when the caller's runtime goes first.
            let _ = ended.send(runtime.map(|runtime| runtime.block_on(rounds)));
        });
        match thread {
            Ok(_) => match thread_ended.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the lake's runtime cannot start"),
                Err(_) => tracing::error!("the thread of the lake panicked"),
            },
            Err(error) => tracing::error!(%error, "the thread of the lake cannot start"),
        }
    }

    /// `compacted_us` is when files were last looked for that could be merged.
    async fn round(&self, compacted_us: &mut Option<u64>) -> Result<(), Error> {
        let ingested = self.ingest().await;
        let now_us = self.0.clock.monotonic_us();
        let every = self.0.config.compact_every.as_micros();
        let due = compacted_us.is_none_or(|last| u128::from(now_us.saturating_sub(last)) >= every);
        if due {
            self.compact().await?;
            self.expire().await?;
            *compacted_us = Some(now_us);
        }
        ingested.map(|_| ())
    }

    /// What all queries share: the limit on their memory, and the way to the files.
    fn engine(&self) -> Result<Arc<RuntimeEnv>, Error> {
        if let Some(engine) = self.0.engine.get() {
            return Ok(engine.clone());
        }
        let engine = RuntimeEnvBuilder::new()
            .with_memory_limit(self.0.config.query_memory_bytes, 1.0)
            .build_arc()?;
        engine.register_object_store(self.0.store.root(), self.0.store.objects());
        // Two first queries at once: both use what the quicker one made.
        Ok(self.0.engine.get_or_init(|| engine).clone())
    }
}

/// The background work of a lake.
struct Maintenance {
    lake: Lake,
    compacted_us: Option<u64>,
}

impl Reconcile for Maintenance {
    async fn pass(&mut self) -> Result<Next, Failure> {
        let done = self.lake.round(&mut self.compacted_us).await;
        if done.is_err() {
            self.lake.0.metrics.lake_failed();
        }
        Ok(done.map(|()| Next::Rest)?)
    }

    fn trouble(&self) -> &'static str {
        "the lake cannot take records: they wait on disk"
    }

    fn relief(&self) -> &'static str {
        "the lake takes records again"
    }
}

/// Lets the other threads of the process run first when processors are scarce.
fn give_way() {
    use thread_priority::{ThreadPriority, set_current_thread_priority};
    let outcome = PRIORITY.try_into().map(ThreadPriority::Crossplatform);
    if let Err(error) = outcome.map(set_current_thread_priority) {
        tracing::debug!(error, "the lake's threads keep their priority");
    }
}

/// Runs work that keeps a processor busy or waits for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::Thread { source })?
}
