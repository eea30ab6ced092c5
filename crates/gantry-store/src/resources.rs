//! Manifests of all kinds in one table: a kind needs no schema of its own.

use crate::list::{self, Key, Order, Page, Paging, Select};
use crate::statement::Statement;
use crate::values::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::{Generation, UnixMs};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

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
    /// The workspace that it lies in; `None`: the tenant as a whole.
    pub workspace: Option<String>,
    /// What lists can be narrowed by.
    pub labels: BTreeMap<String, String>,
    /// What was last said of it with [`Tx::put_status`], JSON of the kind's own.
    pub status: Option<String>,
    /// The `generation` that `status` speaks of; an older one than the resource's own means that
    /// nobody has looked at the last change yet.
    pub observed_generation: Option<Generation>,
    /// Subject that first applied it.
    pub created_by: String,
    pub created_at_ms: UnixMs,
    pub updated_at_ms: UnixMs,
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// What to store.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub family: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub spec: &'a str,
    pub authored: &'a str,
    pub workspace: Option<&'a str>,
    /// Without the character U+0000, which no database takes.
    pub labels: &'a BTreeMap<String, String>,
    pub actor: &'a str,
}

impl Default for Put<'_> {
    fn default() -> Self {
        Self {
            family: "",
            name: "",
            kind: "",
            spec: "{}",
            authored: "{}",
            workspace: None,
            labels: &NO_LABELS,
            actor: "",
        }
    }
}

/// Which resources a list shows: those that meet every condition given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceFilter<'a> {
    pub family: Option<&'a str>,
    pub kind: Option<&'a str>,
    pub workspace: Option<&'a str>,
    /// How the name begins.
    pub name_prefix: Option<&'a str>,
    /// Labels that it has, all of them.
    pub labels: &'a [(&'a str, &'a str)],
}

/// By what a list of resources is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResourceOrder {
    /// By family and name.
    #[default]
    Name,
    /// By the moment of the last change; those of one moment by family and name.
    Updated,
}

impl ResourceOrder {
    fn order(self) -> Order {
        match self {
            Self::Name => {
                Order { name: "resources", keys: &[Key::Text("family"), Key::Text("name")] }
            }
            Self::Updated => Order {
                name: "resources.updated",
                keys: &[Key::Int("updated_at_ms"), Key::Text("family"), Key::Text("name")],
            },
        }
    }

    fn place(self, resource: &Resource) -> Vec<String> {
        let name = [resource.family.clone(), resource.name.clone()];
        match self {
            Self::Name => name.to_vec(),
            Self::Updated => [&[resource.updated_at_ms.to_string()], &name[..]].concat(),
        }
    }
}

type Row = (
    String,
    String,
    String,
    i64,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<i64>,
    String,
    i64,
    i64,
);

const SELECT: &str = "SELECT family, name, kind, generation, spec, authored, workspace, labels, \
                      status, observed_generation, created_by, created_at_ms, updated_at_ms \
                      FROM resources WHERE tenant = $1";

impl Tx {
    /// All resources, by family and name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources(&mut self) -> Result<Vec<Resource>, Error> {
        let select = AssertSqlSafe(format!("{SELECT} ORDER BY family, name"));
        let select = Statement::new(select).bind(&self.tenant);
        self.connection.all(select).await?.into_iter().map(resource).collect()
    }

    /// How many resources there are and when the last of them changed: it differs whenever any
    /// was stored or removed since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources_mark(&mut self) -> Result<(u64, Generation), Error> {
        let select = Statement::new(
            "SELECT COUNT(*), COALESCE(MAX(generation), 0) FROM resources WHERE tenant = $1",
        );
        let row: Option<(i64, i64)> = self.connection.first(select.bind(&self.tenant)).await?;
        let (count, last) = row.unwrap_or_default();
        Ok((from_sql("resources", count)?, Generation(from_sql("resources", last)?)))
    }

    /// One resource.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource(&mut self, family: &str, name: &str) -> Result<Option<Resource>, Error> {
        let select = AssertSqlSafe(format!("{SELECT} AND family = $2 AND name = $3"));
        let select = Statement::new(select).bind(&self.tenant).bind(family).bind(name);
        self.connection.first(select).await?.map(resource).transpose()
    }

    /// One page of resources.
    ///
    /// # Errors
    /// [`Error::BadCursor`], or when the database cannot be read.
    pub async fn resource_page(
        &mut self,
        filter: ResourceFilter<'_>,
        order: ResourceOrder,
        paging: &Paging,
    ) -> Result<Page<Resource>, Error> {
        let mut select = Select::new(SELECT, &self.tenant)
            .equals("family", filter.family)
            .equals("kind", filter.kind)
            .equals("workspace", filter.workspace)
            .begins("name", filter.name_prefix);
        for (key, value) in filter.labels {
            let condition = self.connection.has_label();
            select = select.and(condition, vec![(*key).into(), (*value).into()]);
        }
        let rows: Vec<Row> = self.connection.all(select.page(order.order(), paging)?).await?;
        let resources = rows.into_iter().map(resource).collect::<Result<_, _>>()?;
        list::page(resources, order.order(), paging, |resource| order.place(resource))
    }

    /// Stores a manifest, new or in place of the one with the same family and name, whose status
    /// stays.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_resource(&mut self, put: Put<'_>) -> Result<(), Error> {
        self.touch();
        let generation = to_sql(self.generation().0);
        let insert = Statement::new(
            "INSERT INTO resources (tenant, family, name, kind, generation, spec, authored, \
             workspace, labels, created_by, created_at_ms, updated_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) \
             ON CONFLICT (tenant, family, name) DO UPDATE SET kind = excluded.kind, \
             generation = excluded.generation, spec = excluded.spec, \
             authored = excluded.authored, workspace = excluded.workspace, \
             labels = excluded.labels, updated_at_ms = excluded.updated_at_ms",
        )
        .bind(&self.tenant)
        .bind(put.family)
        .bind(put.name)
        .bind(put.kind)
        .bind(generation)
        .bind(put.spec)
        .bind(put.authored)
        .bind(put.workspace)
        .bind(labels_text(put.labels)?)
        .bind(put.actor)
        .bind(to_sql(self.now_ms));
        self.connection.execute(insert).await?;
        Ok(())
    }

    /// Says how a resource is, as of its generation `observed`. Gateways do not see it, so it
    /// makes no new generation. Returns whether it was stored: not where there is no such resource,
    /// and not over what was said of a later generation.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_status(
        &mut self,
        family: &str,
        name: &str,
        status: &str,
        observed: Generation,
    ) -> Result<bool, Error> {
        let update = Statement::new(
            "UPDATE resources SET status = $4, observed_generation = $5 \
             WHERE tenant = $1 AND family = $2 AND name = $3 \
             AND (observed_generation IS NULL OR observed_generation <= $5)",
        )
        .bind(&self.tenant)
        .bind(family)
        .bind(name)
        .bind(status)
        .bind(to_sql(observed.0));
        Ok(self.connection.execute(update).await? > 0)
    }

    /// Removes a manifest. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_resource(&mut self, family: &str, name: &str) -> Result<bool, Error> {
        let delete =
            Statement::new("DELETE FROM resources WHERE tenant = $1 AND family = $2 AND name = $3")
                .bind(&self.tenant)
                .bind(family)
                .bind(name);
        let existed = self.connection.execute(delete).await? > 0;
        if existed {
            self.touch();
        }
        Ok(existed)
    }
}

fn labels_text(labels: &BTreeMap<String, String>) -> Result<String, Error> {
    let bad = |problem: String| Error::BadRow { table: "resources", problem };
    if labels.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
        return Err(bad("a label holds the character U+0000".to_owned()));
    }
    serde_json::to_string(labels).map_err(|error| bad(error.to_string()))
}

fn resource(row: Row) -> Result<Resource, Error> {
    let (family, name, kind, generation, spec, authored, workspace, labels, ..) = row;
    let (.., status, observed, created_by, created, updated) = row;
    let number = |value: i64| from_sql("resources", value);
    Ok(Resource {
        family,
        name,
        kind,
        generation: Generation(number(generation)?),
        spec,
        authored,
        workspace,
        labels: serde_json::from_str(&labels)
            .map_err(|e| Error::BadRow { table: "resources", problem: e.to_string() })?,
        status,
        observed_generation: observed.map(number).transpose()?.map(Generation),
        created_by,
        created_at_ms: number(created)?,
        updated_at_ms: number(updated)?,
    })
}
