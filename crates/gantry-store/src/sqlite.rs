//! SQLite: one file in the data directory, one writer and some readers. The engine opens it.

use crate::Error;
use crate::connection::Connection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _};
use std::path::Path;
use std::time::Duration;

/// Longest wait for SQLite's write lock.
///
/// Writers queue inside the process, so only a foreign process (a backup) can make this matter.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Readers at a time; a control plane's reads last microseconds.
const READERS: u32 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the file, which exists, with the connection that writes.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let writer = pool(options(path), 1).await?;
        let readers = pool(options(path).pragma("query_only", "on"), READERS).await?;
        Ok(Self { writer, readers })
    }

    /// The pool whose connections may change the schema.
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(crate) async fn read(&self) -> Result<Connection, Error> {
        Ok(self.readers.begin().await?.into())
    }

    pub(crate) async fn write(&self) -> Result<Connection, Error> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?.into())
    }

    /// Closes all connections; SQLite folds its write-ahead log into the database file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
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
