//! One transaction on one tenant. What it can do stands in the module of each table.

use crate::seal::Sealer;
use crate::{Error, data_key_of};
use gantry_model::ids::{Generation, UnixMs};
use sqlx::{Sqlite, Transaction};

/// A transaction that sees and changes one tenant only.
///
/// Dropped without [`Tx::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Tx {
    pub(crate) inner: Transaction<'static, Sqlite>,
    pub(crate) tenant: String,
    pub(crate) sealer: Sealer,
    pub(crate) now_ms: UnixMs,
    generation: Generation,
    changed: bool,
}

impl Tx {
    pub(crate) async fn new(
        mut inner: Transaction<'static, Sqlite>,
        tenant: &str,
        master: &Sealer,
        now_ms: UnixMs,
    ) -> Result<Self, Error> {
        let row: Option<(i64, String)> =
            sqlx::query_as("SELECT generation, sealed_data_key FROM tenants WHERE name = $1")
                .bind(tenant)
                .fetch_optional(&mut *inner)
                .await?;
        let (generation, sealed) = row.ok_or_else(|| Error::NoTenant(tenant.to_owned()))?;
        let sealer = master.open_key(&data_key_of(tenant), &sealed)?;
        let generation = Generation(from_sql("tenants", generation)?);
        let tenant = tenant.to_owned();
        Ok(Self { inner, tenant, sealer, now_ms, generation, changed: false })
    }

    /// The tenant's generation: the one that [`Tx::commit`] will publish once anything that
    /// gateways see has been changed, else the last one.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.generation.0.saturating_add(u64::from(self.changed)))
    }

    /// When the transaction began; all rows it writes carry this time.
    #[must_use]
    pub fn now_ms(&self) -> UnixMs {
        self.now_ms
    }

    /// Makes everything durable and returns the tenant's generation, which has grown by one if
    /// anything that gateways see was changed.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was stored.
    pub async fn commit(mut self) -> Result<Generation, Error> {
        let generation = self.generation();
        if self.changed {
            sqlx::query("UPDATE tenants SET generation = $1 WHERE name = $2")
                .bind(to_sql(generation.0))
                .bind(&self.tenant)
                .execute(&mut *self.inner)
                .await?;
        }
        self.inner.commit().await?;
        Ok(generation)
    }

    /// Caps the database file at `pages` of 4 KiB, so that a test can fill it. Such a database is
    /// full to SQLite exactly as on a full disk.
    ///
    /// # Errors
    /// When the database refuses the cap.
    #[doc(hidden)]
    pub async fn limit_pages_for_tests(&mut self, pages: u32) -> Result<(), Error> {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(&mut *self.inner).await?;
        Ok(())
    }

    /// Notes that gateways must hear of this transaction.
    pub(crate) fn touch(&mut self) {
        self.changed = true;
    }
}

/// SQL integers are signed; times and generations stay far below the difference.
pub(crate) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(table: &'static str, value: i64) -> Result<u64, Error> {
    u64::try_from(value)
        .map_err(|_| Error::BadRow { table, problem: format!("negative number {value}") })
}

#[cfg(test)]
mod tests {
    use crate::{Store, StoreConfig};
    use gantry_runtime::clock::Clock;

    /// After an error of the disk SQLite ends the transaction itself, so that the rollback fails.
    #[tokio::test]
    async fn a_transaction_that_sqlite_has_undone_is_not_in_the_way_of_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (data_dir, clock) = (dir.path().to_owned(), Clock::manual(1));
        let config = StoreConfig { data_dir, clock, master_key: None };
        let store = Store::open(config).await.unwrap();
        store.create_tenant("acme").await.unwrap();
        for _ in 0..2 {
            let mut tx = store.write("acme").await.unwrap();
            sqlx::query("ROLLBACK").execute(&mut *tx.inner).await.unwrap();
            drop(tx);
        }
        store.write("acme").await.unwrap().commit().await.unwrap();
    }
}
