//! What the control plane keeps: resources, sealed secrets, token digests, users, audit.
//!
//! The only crate with SQL. `gantry-control` calls it; gateways never do. It knows nothing of
//! kinds or HTTP, never stores a token or a secret in clear, and never logs a value.
//!
//! ```text
//! Store ── read(tenant) ──► Tx (consistent snapshot of the database)
//!       └─ write(tenant) ─► Tx (BEGIN IMMEDIATE, one at a time) ── commit() ──► Generation
//! ```
//!
//! The engine is SQLite (WAL). Statements keep to the subset that PostgreSQL shares.

mod audit;
mod error;
mod files;
mod migrations;
mod resources;
mod seal;
mod secrets;
mod tokens;
mod tx;
mod users;

pub use audit::AuditEntry;
pub use error::Error;
pub use gantry_runtime::digest::sha256_hex;
pub use resources::{Put, Resource};
pub use tokens::{Purpose, Token};
pub use tx::Tx;
pub use users::User;

use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use seal::Sealer;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for SQLite's write lock and for a pooled connection.
///
/// Writers queue inside the process, so only a foreign process (a backup) can make this matter.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Readers at a time; a control plane's reads last microseconds.
const READERS: u32 = 4;

/// Where the store lives and what it depends on.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Holds `gantry.db`, `master.key` and `gantry.lock`; created with mode 0700.
    pub data_dir: PathBuf,
    pub clock: Clock,
    /// Replaces the file `master.key`: 32 bytes as base64 or hex (`GANTRY_MASTER_KEY`).
    pub master_key: Option<Secret>,
}

/// An open store. Cloning it is cheap and shares everything.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    master: Arc<Sealer>,
    clock: Clock,
    /// Keeps a second process out for as long as any clone lives.
    _lock: Arc<std::fs::File>,
}

impl Store {
    /// Opens or creates the store and brings its schema up to date.
    ///
    /// # Errors
    /// Says which file is at fault and what to do; see [`Error`].
    pub async fn open(config: StoreConfig) -> Result<Self, Error> {
        let dir = &config.data_dir;
        files::directory(dir)?;
        let lock = files::lock(dir)?;
        let fresh = !dir.join(files::DATABASE).exists();
        let master = Arc::new(Self::master(&config, fresh)?);
        let path = files::database(dir)?;
        let writer = pool(connect_options(&path), 1).await?;
        migrations::run(&writer).await?;
        let readers = pool(connect_options(&path).pragma("query_only", "on"), READERS).await?;
        let store = Self { writer, readers, master, clock: config.clock, _lock: Arc::new(lock) };
        store.check_master_key().await?;
        Ok(store)
    }

    fn master(config: &StoreConfig, fresh: bool) -> Result<Sealer, Error> {
        let bytes = match &config.master_key {
            Some(text) => seal::parse_key(text.expose()).map_err(|problem| Error::MasterKey {
                path: PathBuf::from("GANTRY_MASTER_KEY"),
                problem,
            })?,
            None => files::master_key(&config.data_dir, fresh)?,
        };
        Sealer::new(&bytes)
    }

    /// Creates a tenant with a data key of its own. Returns whether it was new.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn create_tenant(&self, name: &str) -> Result<bool, Error> {
        let sealed = self.master.seal(&data_key_of(name), &*seal::random_key()?)?;
        let done = sqlx::query(
            "INSERT INTO tenants (name, generation, sealed_data_key, created_at_ms) \
             VALUES ($1, 0, $2, $3) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(sealed)
        .bind(tx::to_sql(self.clock.unix_ms()))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Names of all tenants, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<String>, Error> {
        Ok(sqlx::query_scalar("SELECT name FROM tenants ORDER BY name")
            .fetch_all(&self.readers)
            .await?)
    }

    /// Begins a transaction that sees one moment of the database and cannot write.
    ///
    /// # Errors
    /// When there is no such tenant, its data key does not open, or the database cannot be read.
    pub async fn read(&self, tenant: &str) -> Result<Tx, Error> {
        let inner = self.readers.begin().await?;
        Tx::new(inner, tenant, &self.master, self.clock.unix_ms()).await
    }

    /// Begins the one writing transaction; a second caller waits for the first. Dropping it
    /// without [`Tx::commit`] undoes everything.
    ///
    /// # Errors
    /// As [`Store::read`]; [`Error::Busy`] when another process holds the write lock too long.
    pub async fn write(&self, tenant: &str) -> Result<Tx, Error> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Tx::new(inner, tenant, &self.master, self.clock.unix_ms()).await
    }

    /// Closes all connections; SQLite folds its write-ahead log into the database file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Fails at start, not at the first use, when the master key is not the one of this database.
    async fn check_master_key(&self) -> Result<(), Error> {
        for tenant in self.tenants().await? {
            self.read(&tenant).await?;
        }
        Ok(())
    }
}

/// What a tenant's sealed data key is bound to.
pub(crate) fn data_key_of(tenant: &str) -> String {
    format!("data key of tenant {tenant}")
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: an acknowledged apply survives a power cut, which NORMAL does not promise in WAL.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

async fn pool(options: SqliteConnectOptions, size: u32) -> Result<SqlitePool, Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(BUSY_TIMEOUT * 2)
        .idle_timeout(None)
        .max_lifetime(None)
        // After a failed write SQLite may have undone the transaction, of which sqlx still counts
        // one: nothing could be begun on such a connection any more.
        .before_acquire(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        })
        .connect_with(options)
        .await?;
    Ok(pool)
}
