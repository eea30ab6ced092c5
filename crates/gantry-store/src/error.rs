//! What can go wrong with the store, in words that say what to do.

use std::path::PathBuf;

/// A failure of the store. Texts continue "failed to …" or stand alone; none holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the data directory {path}: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error(
        "lock the data directory {path}: another gantry process uses it; stop that one or \
         choose another directory"
    )]
    InUse { path: PathBuf },
    #[error("use the master key {path}: {problem}")]
    MasterKey { path: PathBuf, problem: String },
    #[error(
        "open sealed values of {what} with master key {have}: they were sealed with key {want}; \
         put that key back (file master.key, or GANTRY_MASTER_KEY)"
    )]
    WrongMasterKey { what: String, have: String, want: String },
    #[error("open the sealed value {what}: it was damaged or moved between rows")]
    Unsealable { what: String },
    #[error("write to the database: the disk is full; free some space and try again")]
    Full,
    #[error("use the database: it stayed locked by another process or a long write; try again")]
    Busy,
    #[error(
        "read the database: its file is damaged; restore gantry.db from a backup (keep the \
         damaged file and its -wal file for repair)"
    )]
    Corrupt,
    #[error("write to the database: its file or file system is read-only")]
    ReadOnly,
    #[error("read or write the database file: the operating system reported an I/O error")]
    Io(#[source] sqlx::Error),
    #[error(
        "use the database: its schema is newer than (or differs from) this gantry; start the \
         version that wrote it, or a later one"
    )]
    Schema(#[source] sqlx::migrate::MigrateError),
    #[error("find tenant {0}: it does not exist")]
    NoTenant(String),
    #[error("read a row of table {table}: {problem}")]
    BadRow { table: &'static str, problem: String },
    #[error("run a database statement: {0}")]
    Sql(#[source] sqlx::Error),
    #[error("get random bytes from the operating system")]
    Random,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy;
        }
        let code = error
            .as_database_error()
            .and_then(|e| e.code())
            .and_then(|code| code.parse::<u32>().ok());
        // The low byte is SQLite's primary result code (https://sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy,
            Some(8) => Self::ReadOnly,
            Some(10 | 14) => Self::Io(error),
            Some(11 | 26) => Self::Corrupt,
            Some(13) => Self::Full,
            _ => Self::Sql(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(cause)
            | sqlx::migrate::MigrateError::ExecuteMigration(cause, _) => cause.into(),
            other => Self::Schema(other),
        }
    }
}

impl From<gantry_runtime::ids::RandomError> for Error {
    fn from(_: gantry_runtime::ids::RandomError) -> Self {
        Self::Random
    }
}
