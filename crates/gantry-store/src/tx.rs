//! One transaction on one tenant. What it can do stands in the module of each table.

use crate::Error;
use crate::connection::Connection;
use crate::seal::{Sealer, data_key_of};
use crate::statement::Statement;
use crate::values::{from_sql, to_sql};
use gantry_model::ids::{Generation, UnixMs};
use sqlx::AssertSqlSafe;

/// A transaction that sees and changes one tenant only.
///
/// Dropped without [`Tx::commit`], it leaves nothing behind. After a call that failed it can only
/// be dropped: every further one is [`Error::Spoiled`].
#[derive(Debug)]
pub struct Tx {
    pub(crate) connection: Connection,
    pub(crate) tenant: String,
    pub(crate) sealer: Sealer,
    pub(crate) now_ms: UnixMs,
    generation: Generation,
    changed: bool,
}

/// Whether a transaction will write: one at a time does on each tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Tx {
    pub(crate) async fn new(
        mut connection: Connection,
        access: Access,
        tenant: &str,
        master: &Sealer,
        now_ms: UnixMs,
    ) -> Result<Self, Error> {
        let lock = if access == Access::Write { connection.for_update() } else { "" };
        let select = "SELECT generation, sealed_data_key FROM tenants WHERE name = $1";
        let select = Statement::new(AssertSqlSafe(format!("{select}{lock}"))).bind(tenant);
        let row: Option<(i64, String)> = connection.first(select).await?;
        let (generation, sealed) = row.ok_or_else(|| Error::NoTenant(tenant.to_owned()))?;
        let sealer = master.open_key(&data_key_of(tenant), &sealed)?;
        let generation = Generation(from_sql("tenants", generation)?);
        let tenant = tenant.to_owned();
        Ok(Self { connection, tenant, sealer, now_ms, generation, changed: false })
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
    /// When the database cannot be written; then nothing was stored, but for
    /// [`Error::Uncertain`], which does not know.
    pub async fn commit(mut self) -> Result<Generation, Error> {
        let generation = self.generation();
        if self.changed {
            let update = Statement::new("UPDATE tenants SET generation = $1 WHERE name = $2")
                .bind(to_sql(generation.0))
                .bind(&self.tenant);
            self.connection.execute(update).await?;
        }
        self.connection.commit().await?;
        Ok(generation)
    }

    /// Notes that gateways must hear of this transaction.
    pub(crate) fn touch(&mut self) {
        self.changed = true;
    }
}
