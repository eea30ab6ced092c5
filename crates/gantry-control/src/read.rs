//! Reading resources and the audit log.

use crate::manifests::{Stored, StoredSet};
use crate::{Control, Error};
use gantry_kinds::kinds::{self, family};
use gantry_model::rest::StoredManifest;
use gantry_store::AuditEntry;

impl Control {
    /// Stored manifests by kind and name; secrets are references. `kind` may be a whole kind
    /// (`provider-account/openai`) or a family (`provider-account`).
    ///
    /// # Errors
    /// [`Error::NotFound`] when a kind or a name is given that does not exist.
    pub async fn get(
        &self,
        kind: Option<&str>,
        name: Option<&str>,
    ) -> Result<Vec<StoredManifest>, Error> {
        kind.map_or(Ok(()), check_kind)?;
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let set = StoredSet::load(&mut tx).await?;
        let of_kind = |stored: &Stored| {
            kind.is_none_or(|k| stored.resource.kind == k || family(&stored.resource.kind) == k)
        };
        let found: Vec<_> = set
            .iter()
            .filter(|stored| of_kind(stored))
            .filter(|stored| name.is_none_or(|n| stored.resource.name == n))
            .map(view)
            .collect();
        match name {
            Some(name) if found.is_empty() => Err(Error::NotFound(format!(
                "there is no {} named {name:?}; `gantry get` lists everything",
                kind.unwrap_or("resource")
            ))),
            _ => Ok(found),
        }
    }

    /// The newest `limit` deeds, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_log(&self, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        Ok(tx.audit_log(limit).await?)
    }
}

/// Refuses what is neither a kind nor a family: an empty list would say that it has no resources.
pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    let all = kinds::all();
    if all.iter().any(|known| known == kind || family(known) == kind) {
        return Ok(());
    }
    let mut families: Vec<&str> = all.iter().map(|known| family(known)).collect();
    families.dedup();
    Err(Error::NotFound(format!(
        "there is no kind {kind:?}; there are {}, and provider-account/PROVIDER such as {}",
        families.join(", "),
        all.first().map_or("", String::as_str)
    )))
}

pub(crate) fn view(stored: &Stored) -> StoredManifest {
    StoredManifest {
        kind: stored.resource.kind.clone(),
        name: stored.resource.name.clone(),
        generation: stored.resource.generation.0,
        manifest: stored.authored(),
        created_by: stored.resource.created_by.clone(),
        created_at_ms: stored.resource.created_at_ms,
        updated_at_ms: stored.resource.updated_at_ms,
    }
}
