//! Reading resources and the audit log.

use crate::manifests::{Stored, StoredSet};
use crate::{Control, Error};
use gantry_kinds::registry::{Registry, Selection};
use gantry_model::rest::StoredManifest;
use gantry_store::{AuditEntry, Resource};

impl Control {
    /// Stored manifests by kind and name; secrets are references. `kind` may be a whole kind
    /// (`provider-account/openai`), a family (`provider-account`) or its collection
    /// (`provider-accounts`). Those that this version cannot read are among them and say so.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a kind or a name is given that does not exist.
    pub async fn get(
        &self,
        kind: Option<&str>,
        name: Option<&str>,
    ) -> Result<Vec<StoredManifest>, Error> {
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let set = StoredSet::load(&mut tx, &self.0.registry).await?;
        let selection = kind.map(|kind| select(&self.0.registry, &set, kind)).transpose()?;
        let wanted = |resource: &Resource| {
            let Resource { family, kind, .. } = resource;
            selection.as_ref().is_none_or(|selection| selection.takes(family, kind))
                && name.is_none_or(|name| resource.name == name)
        };
        let read = set.iter().filter(|stored| wanted(&stored.resource));
        let unread = set.opaques().filter(|opaque| wanted(&opaque.resource));
        let read = read.map(|stored| (&stored.resource.family, view(stored)));
        let mut found: Vec<_> =
            read.chain(unread.map(|opaque| (&opaque.resource.family, opaque.view()))).collect();
        found.sort_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
        let found: Vec<StoredManifest> = found.into_iter().map(|(_, view)| view).collect();
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

/// What somebody means who names a kind. What is none is refused, because an empty list would say
/// that there are no resources of it; kinds that only rows have which cannot be read are some.
pub(crate) fn select(registry: &Registry, set: &StoredSet, asked: &str) -> Result<Selected, Error> {
    if let Some(selection) = registry.select(asked) {
        return Ok(Selected::Known(selection));
    }
    let named = |resource: &Resource| resource.kind == asked || resource.family == asked;
    if set.opaques().any(|opaque| named(&opaque.resource)) {
        return Ok(Selected::Unknown(asked.to_owned()));
    }
    if registry.later(asked) {
        return Err(Error::NotFound(format!("kind {asked:?} is not supported yet")));
    }
    let near = registry.near(asked).map(|near| format!("; did you mean {near}?"));
    Err(Error::NotFound(format!(
        "there is no kind {asked:?}; there are {}, and provider-account/PROVIDER such as {}{}",
        registry.families().join(", "),
        registry.kinds().next().unwrap_or_default(),
        near.unwrap_or_default()
    )))
}

/// The kinds that somebody means.
pub(crate) enum Selected {
    Known(Selection),
    /// A kind or a family that this version does not know.
    Unknown(String),
}

impl Selected {
    fn takes(&self, family: &str, kind: &str) -> bool {
        match self {
            Self::Known(selection) => selection.takes(family, kind),
            Self::Unknown(asked) => asked == kind || asked == family,
        }
    }
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
        unreadable: None,
    }
}
