//! The rows of a tenant: manifests that this version can read, and rows that it cannot.
//!
//! Every rule begins by loading them. It has no rule of its own.

use crate::Error;
use gantry_kinds::kinds::Manifest;
use gantry_kinds::manifest::to_json;
use gantry_kinds::registry::Registry;
use gantry_model::rest::StoredManifest;
use gantry_store::{Resource, Tx};
use serde_json::{Value, json};

/// All rows of a tenant.
#[derive(Debug)]
pub(crate) struct StoredSet {
    stored: Vec<Stored>,
    opaque: Vec<Opaque>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub resource: Resource,
    pub manifest: Manifest,
}

impl StoredSet {
    /// Reads all. What this version cannot read is kept apart, so that one bad row does not take
    /// everything down.
    pub(crate) async fn load(tx: &mut Tx, registry: &Registry) -> Result<Self, Error> {
        let mut set = Self { stored: Vec::new(), opaque: Vec::new() };
        for resource in tx.resources().await? {
            match registry.restore(&resource.spec) {
                Ok(manifest) => set.stored.push(Stored { resource, manifest }),
                Err(why) => set.opaque.push(Opaque { resource, why: why.to_string() }),
            }
        }
        Ok(set)
    }

    /// The rows that can be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter()
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.stored.iter().map(|stored| &stored.manifest)
    }

    /// The rows that cannot be read.
    pub(crate) fn opaques(&self) -> impl Iterator<Item = &Opaque> {
        self.opaque.iter()
    }

    /// All rows as they lie in the store.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        let opaque = self.opaque.iter().map(|opaque| &opaque.resource);
        self.stored.iter().map(|stored| &stored.resource).chain(opaque)
    }

    pub(crate) fn find(&self, family: &str, name: &str) -> Option<&Stored> {
        self.stored.iter().find(|s| s.resource.family == family && s.resource.name == name)
    }

    pub(crate) fn opaque(&self, family: &str, name: &str) -> Option<&Opaque> {
        self.opaque.iter().find(|o| o.resource.family == family && o.resource.name == name)
    }
}

impl Stored {
    /// The manifest as its author spells it.
    pub(crate) fn authored(&self) -> Value {
        let stored = serde_json::from_str(&self.resource.authored);
        stored.unwrap_or_else(|_| to_json(&self.manifest))
    }
}

/// A row that this version cannot read.
#[derive(Clone, Debug)]
pub(crate) struct Opaque {
    pub resource: Resource,
    /// A lower-case clause.
    pub why: String,
}

impl Opaque {
    /// What is the matter and what to do about it, for people.
    pub(crate) fn advice(&self) -> String {
        let Resource { kind, name, .. } = &self.resource;
        format!(
            "`{name}` is a `{kind}` that this version of Gantry cannot read: {}; upgrade Gantry, \
             or delete it by name first: `gantry delete {kind} {name}`",
            self.why
        )
    }

    /// Which row it is and what is the matter, for the log.
    pub(crate) fn named(&self) -> String {
        format!("{} {}: {}", self.resource.kind, self.resource.name, self.why)
    }

    /// Whose its sealed values are.
    pub(crate) fn owner(&self) -> String {
        owner(&self.resource.family, &self.resource.name)
    }

    /// The row as far as it can be shown.
    pub(crate) fn view(&self) -> StoredManifest {
        let resource = &self.resource;
        let unknown = || json!({ "type": resource.kind, "name": resource.name });
        StoredManifest {
            kind: resource.kind.clone(),
            name: resource.name.clone(),
            generation: resource.generation.0,
            manifest: serde_json::from_str(&resource.authored).unwrap_or_else(|_| unknown()),
            created_by: resource.created_by.clone(),
            created_at_ms: resource.created_at_ms,
            updated_at_ms: resource.updated_at_ms,
            unreadable: Some(self.advice()),
        }
    }
}

/// Who owns the sealed values of a resource.
pub(crate) fn owner(family: &str, name: &str) -> String {
    format!("{family}/{name}")
}
