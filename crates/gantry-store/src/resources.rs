//! Manifests of all kinds in one table: a kind needs no schema of its own.

use crate::tx::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::{Generation, UnixMs};

/// A stored manifest. Names are unique within a family, such as `provider-account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub family: String,
    pub name: String,
    /// The manifest's `type`.
    pub kind: String,
    /// The tenant's generation in which it last changed.
    pub generation: Generation,
    /// The manifest as JSON for programs, secrets replaced by references.
    pub spec: String,
    /// The manifest as JSON as its author spells it, secrets replaced by references.
    pub authored: String,
    /// Subject that first applied it.
    pub created_by: String,
    pub created_at_ms: UnixMs,
    pub updated_at_ms: UnixMs,
}

/// What to store.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub family: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub spec: &'a str,
    pub authored: &'a str,
    pub actor: &'a str,
}

type Row = (String, String, String, i64, String, String, String, i64, i64);

impl Tx {
    /// All resources, by family and name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources(&mut self) -> Result<Vec<Resource>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT family, name, kind, generation, spec, authored, created_by, created_at_ms, \
             updated_at_ms FROM resources WHERE tenant = $1 ORDER BY family, name",
        )
        .bind(&self.tenant)
        .fetch_all(&mut *self.inner)
        .await?;
        rows.into_iter().map(resource).collect()
    }

    /// How many resources there are and when the last of them changed: it differs whenever any
    /// was stored or removed since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources_mark(&mut self) -> Result<(u64, Generation), Error> {
        let (count, last): (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(MAX(generation), 0) FROM resources WHERE tenant = $1",
        )
        .bind(&self.tenant)
        .fetch_one(&mut *self.inner)
        .await?;
        Ok((from_sql("resources", count)?, Generation(from_sql("resources", last)?)))
    }

    /// Stores a manifest, new or in place of the one with the same family and name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_resource(&mut self, put: Put<'_>) -> Result<(), Error> {
        self.touch();
        let generation = to_sql(self.generation().0);
        sqlx::query(
            "INSERT INTO resources (tenant, family, name, kind, generation, spec, authored, \
             created_by, created_at_ms, updated_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) \
             ON CONFLICT (tenant, family, name) DO UPDATE SET kind = excluded.kind, \
             generation = excluded.generation, spec = excluded.spec, \
             authored = excluded.authored, updated_at_ms = excluded.updated_at_ms",
        )
        .bind(&self.tenant)
        .bind(put.family)
        .bind(put.name)
        .bind(put.kind)
        .bind(generation)
        .bind(put.spec)
        .bind(put.authored)
        .bind(put.actor)
        .bind(to_sql(self.now_ms))
        .execute(&mut *self.inner)
        .await?;
        Ok(())
    }

    /// Removes a manifest. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_resource(&mut self, family: &str, name: &str) -> Result<bool, Error> {
        let done =
            sqlx::query("DELETE FROM resources WHERE tenant = $1 AND family = $2 AND name = $3")
                .bind(&self.tenant)
                .bind(family)
                .bind(name)
                .execute(&mut *self.inner)
                .await?;
        let existed = done.rows_affected() > 0;
        if existed {
            self.touch();
        }
        Ok(existed)
    }
}

fn resource(row: Row) -> Result<Resource, Error> {
    let (family, name, kind, generation, spec, authored, created_by, created, updated) = row;
    Ok(Resource {
        family,
        name,
        kind,
        generation: Generation(from_sql("resources", generation)?),
        spec,
        authored,
        created_by,
        created_at_ms: from_sql("resources", created)?,
        updated_at_ms: from_sql("resources", updated)?,
    })
}
