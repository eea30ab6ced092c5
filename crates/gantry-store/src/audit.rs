//! Who did what, and when. Written in the transaction of the deed, never changed.

use crate::list::{self, Key, Order, Page, Paging, Select};
use crate::statement::{Statement, Value};
use crate::values::{from_sql, to_sql};
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

/// Which deeds a list shows: those that meet every condition given.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter<'a> {
    pub actor: Option<&'a str>,
    pub action: Option<&'a str>,
    pub kind: Option<&'a str>,
    /// The whole name of the resource.
    pub name: Option<&'a str>,
    /// Not before this moment.
    pub since_ms: Option<UnixMs>,
    /// Before this moment.
    pub until_ms: Option<UnixMs>,
}

type Row = (i64, i64, String, String, String, String, Option<String>, Option<String>);

/// Deeds are numbered in the order in which they were done.
const ORDER: Order = Order { name: "audit", keys: &[Key::Int("number")] };

impl Tx {
    /// Notes a deed of this transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        let insert = Statement::new(
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
        .bind(entry.before.as_deref())
        .bind(entry.after.as_deref());
        self.connection.execute(insert).await?;
        Ok(())
    }

    /// The newest `limit` deeds, newest first; at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_log(&mut self, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let paging = Paging { limit, after: None, descending: true };
        Ok(self.audit_page(AuditFilter::default(), &paging).await?.items)
    }

    /// One page of deeds, in the order in which they were done.
    ///
    /// # Errors
    /// [`Error::BadCursor`], or when the database cannot be read.
    pub async fn audit_page(
        &mut self,
        filter: AuditFilter<'_>,
        paging: &Paging,
    ) -> Result<Page<AuditEntry>, Error> {
        let time = |condition: &str, ms: Option<UnixMs>, select: Select| match ms {
            Some(ms) => select.and(condition, vec![Value::from(to_sql(ms))]),
            None => select,
        };
        let select = Select::new(
            "SELECT number, at_ms, actor, action, kind, name, before, after FROM audit \
             WHERE tenant = $1",
            &self.tenant,
        )
        .equals("actor", filter.actor)
        .equals("action", filter.action)
        .equals("kind", filter.kind)
        .equals("name", filter.name);
        let select = time("at_ms >= ?", filter.since_ms, select);
        let select = time("at_ms < ?", filter.until_ms, select);
        let rows: Vec<Row> = self.connection.all(select.page(ORDER, paging)?).await?;
        let page = list::page(rows, ORDER, paging, |row| vec![row.0.to_string()])?;
        let items = page.items.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }
}

fn entry(row: Row) -> Result<AuditEntry, Error> {
    let (_, at, actor, action, kind, name, before, after) = row;
    Ok(AuditEntry { at_ms: from_sql("audit", at)?, actor, action, kind, name, before, after })
}
