//! What can go wrong with the store, in words that say what to do.

use std::path::PathBuf;

/// What lies behind a failure, for logs.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

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
    /// The address of the database; the text does not repeat it, for it may hold a password.
    #[error("use the address of the store: {0}")]
    Address(String),
    #[error("write to the database: the disk is full; free some space and try again")]
    Full,
    #[error("use the database: it stayed locked by another process or a long write; try again")]
    Busy,
    #[error(
        "read the database: its file is damaged; restore gantry.db from a backup (keep the \
         damaged file and its -wal file for repair)"
    )]
    Corrupt,
    #[error(
        "write to the database: it is read-only (the file, its file system, or the server, as a \
         replica is)"
    )]
    ReadOnly,
    #[error("read or write the database file: the operating system reported an I/O error")]
    Io(#[source] Cause),
    /// There was no connection to begin with.
    #[error(
        "reach the database server: it does not answer, or gives no further connection; see that \
         it runs and that the address of the store is right"
    )]
    Unreachable(#[source] Cause),
    #[error(
        "log in to the database server: it refuses the user, the password or the database of the \
         store's address"
    )]
    Login(#[source] Cause),
    #[error(
        "use the database: its server refuses this user the right; let the user own the database"
    )]
    Rights(#[source] Cause),
    #[error("reach the database server by TLS: see sslmode and sslrootcert in the store's address")]
    Tls(#[source] Cause),
    /// The connection ended before the commit: the server has undone the transaction.
    #[error("use the database server: the connection was lost and nothing was stored; try again")]
    Lost(#[source] Cause),
    /// The connection ended during the commit.
    #[error(
        "hear that the database server has stored the change: the connection was lost; look \
         whether it was stored before trying again"
    )]
    Uncertain(#[source] Cause),
    /// A statement of the transaction failed before: it can only be dropped.
    #[error("use the transaction: a part of it failed before, so that nothing of it is stored")]
    Spoiled,
    #[error(
        "use the database: its schema is newer than (or differs from) this gantry; start the \
         version that wrote it, or a later one"
    )]
    Schema(#[source] Cause),
    #[error("find tenant {0}: it does not exist")]
    NoTenant(String),
    /// What was to be added is there already: a token's id or digest.
    #[error("add a row: there is one with the same key")]
    Exists(#[source] Cause),
    #[error("read a row of table {table}: {problem}")]
    BadRow { table: &'static str, problem: String },
    /// The caller's mistake.
    #[error("read the cursor of a list: it is not one that this list gave; begin anew without it")]
    BadCursor,
    #[error("run a database statement: {0}")]
    Sql(#[source] Cause),
    #[error("get random bytes from the operating system")]
    Random,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else { return without_code(error) };
        if database.is_unique_violation() {
            return Self::Exists(Box::new(error));
        }
        let code = database.code().unwrap_or_default().into_owned();
        if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
            of_postgres(&code, error)
        } else {
            of_sqlite(&code, error)
        }
    }
}

fn without_code(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::PoolTimedOut => Error::Busy,
        sqlx::Error::Tls(cause) => Error::Tls(cause),
        sqlx::Error::Io(cause) => Error::Lost(Box::new(cause)),
        other => Error::Sql(Box::new(other)),
    }
}

/// The low byte is SQLite's primary result code (<https://sqlite.org/rescode.html>).
fn of_sqlite(code: &str, error: sqlx::Error) -> Error {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Error::Busy,
        Ok(8) => Error::ReadOnly,
        Ok(10 | 14) => Error::Io(Box::new(error)),
        Ok(11 | 26) => Error::Corrupt,
        Ok(13) => Error::Full,
        _ => Error::Sql(Box::new(error)),
    }
}

/// SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(code: &str, error: sqlx::Error) -> Error {
    let cause = Box::new(error);
    match code {
        // A lock was not given in time, a deadlock was broken, a statement took too long.
        "55P03" | "40001" | "40P01" | "57014" => Error::Busy,
        "53100" => Error::Full,
        "25006" => Error::ReadOnly,
        "42501" => Error::Rights(cause),
        "3D000" => Error::Login(cause),
        // It starts, stops or recovers; or has no connection left.
        "57P03" | "53300" => Error::Unreachable(cause),
        // It ended the session: by a shutdown, a command, a crash, or for waiting too long.
        "57P01" | "57P02" | "57P05" | "25P03" => Error::Lost(cause),
        _ if code.starts_with("28") => Error::Login(cause),
        _ if code.starts_with("08") => Error::Lost(cause),
        _ => Error::Sql(cause),
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(cause)
            | sqlx::migrate::MigrateError::ExecuteMigration(cause, _) => cause.into(),
            other => Self::Schema(Box::new(other)),
        }
    }
}

impl From<gantry_runtime::ids::RandomError> for Error {
    fn from(_: gantry_runtime::ids::RandomError) -> Self {
        Self::Random
    }
}
