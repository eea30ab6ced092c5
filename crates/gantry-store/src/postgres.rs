//! PostgreSQL 15 or later: a database that several control planes may share. The engine opens it.

use crate::connection::Connection;
use crate::{Error, address};
use gantry_model::secret::Secret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _};
use std::time::Duration;

/// Longest wait for a connection, and for one that was used to answer that it still serves.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of each kind: writers that wait for one another must not keep readers out.
const WRITERS: u32 = 4;
const READERS: u32 = 4;

/// An unused connection is given up after so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Sees one moment of the database, and is refused any change.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What follows waits for the tenant's row, and sees what the one before has left there: a higher
/// level would refuse it after the wait. A wait has the length of SQLite's, and the server ends a
/// transaction that its process has forgotten, with the lock on the tenant.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                           SET LOCAL lock_timeout = '5s'; \
                           SET LOCAL idle_in_transaction_session_timeout = '60s'";

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    writers: PgPool,
    readers: PgPool,
}

impl Postgres {
    /// Connects, so that a server that cannot be used is known at start.
    pub(crate) async fn open(url: &Secret) -> Result<Self, Error> {
        let options = address::options(url.expose())?.disable_statement_logging();
        let writers = pool(WRITERS, &options);
        let readers = pool(READERS, &options);
        drop(writers.acquire().await.map_err(unreachable)?);
        Ok(Self { writers, readers })
    }

    /// The pool whose connections may change the schema.
    pub(crate) fn writers(&self) -> &PgPool {
        &self.writers
    }

    pub(crate) async fn read(&self) -> Result<Connection, Error> {
        begin(&self.readers, BEGIN_READ).await
    }

    pub(crate) async fn write(&self) -> Result<Connection, Error> {
        begin(&self.writers, BEGIN_WRITE).await
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

async fn begin(pool: &PgPool, statement: &'static str) -> Result<Connection, Error> {
    Ok(pool.begin_with(statement).await.map_err(unreachable)?.into())
}

/// Names what kept a connection from being there.
fn unreachable(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::PoolTimedOut => Error::Unreachable(Box::new(error)),
        other => match Error::from(other) {
            Error::Lost(cause) => Error::Unreachable(cause),
            other => other,
        },
    }
}

fn pool(size: u32, options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        // Each connection shows before its use that it still serves: one that the server has ended
        // is replaced here, and nobody hears of it.
        .test_before_acquire(true)
        // A server that is silent must not keep the place of a connection in the pool.
        .after_release(|connection, _| {
            Box::pin(async move {
                let alive = tokio::time::timeout(CONNECT_TIMEOUT, connection.ping()).await;
                alive.map_err(|_| sqlx::Error::PoolTimedOut)?.map(|()| true)
            })
        })
        .connect_lazy_with(options.clone())
}
