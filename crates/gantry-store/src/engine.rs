//! The two engines behind one face. The store calls it; nothing outside the crate sees which of
//! them it has.

use crate::connection::Connection;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Error, migrations};

#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Engine {
    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => migrations::sqlite(engine.writer()).await,
            Self::Postgres(engine) => migrations::postgres(engine.writers()).await,
        }
    }

    /// Begins a transaction that sees one moment and cannot write.
    pub(crate) async fn read(&self) -> Result<Connection, Error> {
        match self {
            Self::Sqlite(engine) => engine.read().await,
            Self::Postgres(engine) => engine.read().await,
        }
    }

    /// Begins a transaction that writes.
    pub(crate) async fn write(&self) -> Result<Connection, Error> {
        match self {
            Self::Sqlite(engine) => engine.write().await,
            Self::Postgres(engine) => engine.write().await,
        }
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(engine) => engine.close().await,
            Self::Postgres(engine) => engine.close().await,
        }
    }
}
