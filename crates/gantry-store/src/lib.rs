//! What the control plane keeps: resources, sealed secrets, token digests, users, audit.
//!
//! The only crate with SQL. `gantry-control` calls it; gateways never do. It knows nothing of
//! kinds or HTTP, never stores a token or a secret in clear, and never logs a value.
//!
//! ```text
//! Store ── read(tenant) ──► Tx (consistent snapshot of the database)
//!       └─ write(tenant) ─► Tx (one at a time on a tenant) ── commit() ──► Generation
//!                            └─ Connection: SQLite, or PostgreSQL
//! ```
//!
//! SQLite lies in the data directory, for one process. A PostgreSQL database may have several.
//! Which of them it is shows nowhere but in [`StoreConfig`] and in errors.

mod address;
mod audit;
mod connection;
mod engine;
mod error;
mod files;
mod list;
mod migrations;
mod postgres;
mod resources;
mod seal;
mod secrets;
mod sqlite;
mod statement;
mod tokens;
mod tx;
mod users;
mod values;

#[cfg(test)]
mod tests;

pub use address::check_address;
pub use audit::{AuditEntry, AuditFilter};
pub use error::{Cause, Error};
pub use gantry_runtime::digest::sha256_hex;
pub use list::{PAGE_MAX, Page, Paging};
pub use resources::{Put, Resource, ResourceFilter, ResourceOrder};
pub use tokens::{Purpose, Token, TokenFilter};
pub use tx::Tx;
pub use users::{User, UserFilter};

use engine::Engine;
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use postgres::Postgres;
use seal::{Sealer, data_key_of};
use sqlite::Sqlite;
use statement::Statement;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tx::Access;

/// Where the store lives and what it depends on.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Holds `gantry.db`, `master.key` and `gantry.lock`; created with mode 0700.
    pub data_dir: PathBuf,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (see [`check_address`]) in place of
    /// `gantry.db`. Several processes, each with a data directory of its own, may share it; they
    /// need the same master key.
    pub url: Option<Secret>,
    pub clock: Clock,
    /// Replaces the file `master.key`: 32 bytes as base64 or hex (`GANTRY_MASTER_KEY`).
    pub master_key: Option<Secret>,
}

/// An open store. Cloning it is cheap and shares everything.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    master: Arc<Sealer>,
    clock: Clock,
    /// Keeps a second process out of the data directory for as long as any clone lives.
    _lock: Arc<std::fs::File>,
}

impl Store {
    /// Opens or creates the store and brings its schema up to date.
    ///
    /// # Errors
    /// Says what is at fault and what to do; see [`Error`].
    pub async fn open(config: StoreConfig) -> Result<Self, Error> {
        let dir = &config.data_dir;
        files::directory(dir)?;
        let lock = Arc::new(files::lock(dir)?);
        let clock = config.clock.clone();
        let (engine, master) = match &config.url {
            None => sqlite(&config).await?,
            Some(url) => shared(&config, url).await?,
        };
        let store = Self { engine, master: Arc::new(master), clock, _lock: lock };
        store.check_master_key().await?;
        Ok(store)
    }

    /// Creates a tenant with a data key of its own. Returns whether it was new.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn create_tenant(&self, name: &str) -> Result<bool, Error> {
        let sealed = self.master.seal(&data_key_of(name), &*seal::random_key()?)?;
        let insert = Statement::new(
            "INSERT INTO tenants (name, generation, sealed_data_key, created_at_ms) \
             VALUES ($1, 0, $2, $3) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(sealed)
        .bind(values::to_sql(self.clock.unix_ms()));
        let mut connection = self.engine.write().await?;
        let new = connection.execute(insert).await? > 0;
        connection.commit().await?;
        Ok(new)
    }

    /// Names of all tenants, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<String>, Error> {
        tenants(&self.engine).await
    }

    /// Begins a transaction that sees one moment of the database and cannot write.
    ///
    /// # Errors
    /// When there is no such tenant, its data key does not open, or the database cannot be read.
    pub async fn read(&self, tenant: &str) -> Result<Tx, Error> {
        let connection = self.engine.read().await?;
        Tx::new(connection, Access::Read, tenant, &self.master, self.clock.unix_ms()).await
    }

    /// Begins the tenant's one writing transaction; a second caller waits for the first, in
    /// another process too. SQLite has one for all tenants. Dropping it without [`Tx::commit`]
    /// undoes everything.
    ///
    /// # Errors
    /// As [`Store::read`]; [`Error::Busy`] when another writer takes too long.
    pub async fn write(&self, tenant: &str) -> Result<Tx, Error> {
        let connection = self.engine.write().await?;
        Tx::new(connection, Access::Write, tenant, &self.master, self.clock.unix_ms()).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// Fails at start, not at the first use, when the master key is not the one of this database.
    async fn check_master_key(&self) -> Result<(), Error> {
        for tenant in self.tenants().await? {
            self.read(&tenant).await?;
        }
        Ok(())
    }
}

/// The database file in the data directory.
async fn sqlite(config: &StoreConfig) -> Result<(Engine, Sealer), Error> {
    let dir = &config.data_dir;
    let fresh = !dir.join(files::DATABASE).exists();
    let master = master(config, fresh)?;
    let engine = Engine::Sqlite(Sqlite::open(&files::database(dir)?).await?);
    engine.migrate().await?;
    Ok((engine, master))
}

/// A database that other processes may use too. A new master key is made for an empty one only.
async fn shared(config: &StoreConfig, url: &Secret) -> Result<(Engine, Sealer), Error> {
    let engine = Engine::Postgres(Postgres::open(url).await?);
    engine.migrate().await?;
    let fresh = tenants(&engine).await?.is_empty();
    Ok((engine, master(config, fresh)?))
}

fn master(config: &StoreConfig, fresh: bool) -> Result<Sealer, Error> {
    let path: &Path = "GANTRY_MASTER_KEY".as_ref();
    let bytes = match &config.master_key {
        Some(text) => seal::parse_key(text.expose())
            .map_err(|problem| Error::MasterKey { path: path.to_owned(), problem })?,
        None => files::master_key(&config.data_dir, fresh)?,
    };
    Sealer::new(&bytes)
}

async fn tenants(engine: &Engine) -> Result<Vec<String>, Error> {
    let select = Statement::new("SELECT name FROM tenants ORDER BY name");
    let names: Vec<(String,)> = engine.read().await?.all(select).await?;
    Ok(names.into_iter().map(|(name,)| name).collect())
}
