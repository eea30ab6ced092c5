//! The schema, forward only: each file is applied once, in order, and never edited afterwards.

use crate::Error;
use sqlx::SqlitePool;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use std::borrow::Cow;

/// Version, description, text. A new migration is a new line.
const SQLITE: &[(i64, &str, &str)] =
    &[(1, "first", include_str!("../migrations/sqlite/0001_first.sql"))];

/// Applies what is missing. An applied migration that is unknown here (a newer schema) or whose
/// text differs refuses to start.
pub(crate) async fn run(pool: &SqlitePool) -> Result<(), Error> {
    let migrations = SQLITE
        .iter()
        .map(|(version, description, sql)| {
            let sql = sqlx::SqlSafeStr::into_sql_str(*sql);
            let description = Cow::Borrowed(*description);
            Migration::new(*version, description, MigrationType::Simple, sql, false)
        })
        .collect();
    let migrator = Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT };
    Ok(migrator.run(pool).await?)
}
