//! Who did what, and when. Written in the transaction of the deed, never changed.

use crate::tx::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::UnixMs;

/// One deed. `before` and `after` are manifests with references in place of secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// Set by the store.
    pub at_ms: UnixMs,
    /// Subject that did it.
    pub actor: String,
    /// `create`, `update`, `delete`, `token.create`, `token.revoke`, …
    pub action: String,
    /// Kind of the resource.
    pub kind: String,
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

type Row = (i64, String, String, String, String, Option<String>, Option<String>);

impl Tx {
    /// Notes a deed of this transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO audit (tenant, number, at_ms, actor, action, kind, name, before, after) \
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 \
             FROM audit WHERE tenant = $1",
        )
        .bind(&self.tenant)
        .bind(to_sql(self.now_ms))
        .bind(&entry.actor)
        .bind(&entry.action)
        .bind(&entry.kind)
        .bind(&entry.name)
        .bind(&entry.before)
        .bind(&entry.after)
        .execute(&mut *self.inner)
        .await?;
        Ok(())
    }

    /// The newest `limit` deeds, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_log(&mut self, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT at_ms, actor, action, kind, name, before, after FROM audit \
             WHERE tenant = $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(&self.tenant)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.inner)
        .await?;
        rows.into_iter().map(entry).collect()
    }
}

fn entry(row: Row) -> Result<AuditEntry, Error> {
    let (at, actor, action, kind, name, before, after) = row;
    Ok(AuditEntry { at_ms: from_sql("audit", at)?, actor, action, kind, name, before, after })
}
