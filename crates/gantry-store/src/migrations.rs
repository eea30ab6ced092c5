//! The schema, forward only: each file is applied once, in order, and never edited afterwards.
//! Both engines end with the same tables.

use crate::Error;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlitePool};
use std::borrow::Cow;
use std::time::Duration;

/// Version, description, text. A new migration is a new line in each list.
type Files = &'static [(i64, &'static str, &'static str)];

const SQLITE: Files = &[
    (1, "first", include_str!("../migrations/sqlite/0001_first.sql")),
    (2, "resource status", include_str!("../migrations/sqlite/0002_resource_status.sql")),
];

const POSTGRES: Files = &[(1, "first", include_str!("../migrations/postgres/0001_first.sql"))];

/// Longest wait for another process that migrates the same PostgreSQL database.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(120);

/// Applies what is missing. An applied migration that is unknown here (a newer schema) or whose
/// text differs refuses to start.
pub(crate) async fn sqlite(pool: &SqlitePool) -> Result<(), Error> {
    Ok(migrator(SQLITE).run(pool).await?)
}

/// As for SQLite. A lock of the server keeps a second process waiting until the first is done.
pub(crate) async fn postgres(pool: &PgPool) -> Result<(), Error> {
    let migrator = migrator(POSTGRES);
    let done = tokio::time::timeout(MIGRATION_TIMEOUT, migrator.run(pool)).await;
    Ok(done.map_err(|_| Error::Busy)??)
}

fn migrator(files: Files) -> Migrator {
    let migrations = files
        .iter()
        .map(|(version, description, sql)| {
            let sql = sqlx::SqlSafeStr::into_sql_str(*sql);
            let description = Cow::Borrowed(*description);
            Migration::new(*version, description, MigrationType::Simple, sql, false)
        })
        .collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}
