//! Deleting manifests: all that are named or none, in one transaction.

use crate::forget::LetGo;
use crate::manifests::{self, Stored, StoredSet};
use crate::opaque;
use crate::read::{self, Selected};
use crate::rows::Opaque;
use crate::{Control, Error, to_the_end, tokens};
use gantry_kinds::kinds::{self, Manifest};
use gantry_kinds::manifest::{SetEntry, Tenancy};
use gantry_kinds::registry::Selection;
use gantry_model::rest::{ManifestRef, Problem, Source, StoredManifest};
use gantry_model::snapshot::Caller;
use gantry_store::{AuditEntry, Purpose, Resource, Tx};

impl Control {
    /// Deletes what `targets` name and returns it as it was. Deleting a virtual account ends its
    /// tokens. With `dry_run` nothing is deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one of them does not exist, [`Error::Conflict`] when something
    /// that stays refers to one of them; then nothing was deleted.
    pub async fn delete(
        &self,
        caller: &Caller,
        targets: Vec<ManifestRef>,
        dry_run: bool,
    ) -> Result<Vec<StoredManifest>, Error> {
        if targets.is_empty() {
            return Err(Error::BadRequest("nothing was named to be deleted".to_owned()));
        }
        let (control, actor) = (self.clone(), caller.subject.clone());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            let deleted = control.delete_in(&mut tx, &actor, &targets).await?;
            if dry_run {
                return Ok(deleted);
            }
            let generation = tx.commit().await?;
            control.announce().await;
            tracing::info!(actor, resources = deleted.len(), %generation, "resources deleted");
            Ok(deleted)
        })
        .await
    }

    /// What source texts name, for [`Control::delete`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when they are not manifests.
    pub fn named_in(&self, sources: &[Source]) -> Result<Vec<ManifestRef>, Error> {
        let manifests = manifests::from_sources(&self.0.registry, sources)?;
        Ok(manifests
            .iter()
            .map(|authored| &authored.manifest)
            .map(|m| ManifestRef { kind: m.kind().to_owned(), name: Some(m.name().to_owned()) })
            .collect())
    }

    async fn delete_in(
        &self,
        tx: &mut Tx,
        actor: &str,
        targets: &[ManifestRef],
    ) -> Result<Vec<StoredManifest>, Error> {
        let stored = StoredSet::load(tx, &self.0.registry).await?;
        let mut going: Vec<Row<'_>> = Vec::new();
        let mut let_go = LetGo::default();
        for target in targets {
            let found = self.find(&stored, target)?;
            let resource = found.resource();
            if going.iter().any(|row| std::ptr::eq(row.resource(), resource)) {
                continue;
            }
            tx.delete_resource(&resource.family, &resource.name).await?;
            if let Some(subject) = self.0.registry.subject(&resource.family) {
                revoke_all(tx, &format!("{subject}:{}", resource.name)).await?;
            }
            tx.audit(&AuditEntry {
                actor: actor.to_owned(),
                action: "delete".to_owned(),
                kind: resource.kind.clone(),
                name: resource.name.clone(),
                before: Some(found.view().manifest.to_string()),
                ..AuditEntry::default()
            })
            .await?;
            let_go.row(resource);
            going.push(found);
        }
        let left = StoredSet::load(tx, &self.0.registry).await?;
        self.refuse_dangling(tx, (&stored, &left), &going).await?;
        let_go.forget(tx, &left).await?;
        Ok(going.iter().map(Row::view).collect())
    }

    fn find<'a>(&self, stored: &'a StoredSet, target: &ManifestRef) -> Result<Row<'a>, Error> {
        let name = target.name.as_deref().unwrap_or(&target.kind);
        let selected = read::select(&self.0.registry, stored, &target.kind)?;
        // A family alone (`provider-account`) names any of its kinds.
        let (family, kind) = match &selected {
            Selected::Known(Selection::Family(family)) => (*family, None),
            Selected::Known(Selection::Kind(kind)) => (kinds::family(kind), Some(kind)),
            Selected::Unknown(asked) => (kinds::family(asked), Some(asked)),
        };
        let read = stored.find(family, name).map(Row::Read);
        let found = read.or_else(|| stored.opaque(family, name).map(Row::Unread));
        let found = found.ok_or_else(|| {
            Error::NotFound(format!(
                "there is no {family} named {name:?}; `gantry get {family}` lists them"
            ))
        })?;
        let has = &found.resource().kind;
        if kind.is_some_and(|kind| kind != family && kind != has) {
            return Err(Error::NotFound(format!(
                "{name:?} is a {has}, not a {}; nothing was deleted",
                target.kind
            )));
        }
        Ok(found)
    }

    /// What stays must not refer to what goes.
    async fn refuse_dangling(
        &self,
        tx: &mut Tx,
        (stored, left): (&StoredSet, &StoredSet),
        going: &[Row<'_>],
    ) -> Result<(), Error> {
        opaque::refuse_needed(left, going.iter().map(|row| row.resource().name.as_str()))?;
        let after: Vec<_> = left.manifests().map(manifests::unwritten).collect();
        let teams = manifests::teams(tx).await?;
        let tenancy = Tenancy { tenant: self.tenant(), teams: &teams };
        let problems = manifests::new_problems(stored, &after, tenancy);
        let users = problems.iter().filter_map(|found| referrer(&after, found));
        let users: Vec<String> = users.chain(users_of_unread(&after, going)).collect();
        if users.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = going.iter().map(|row| format!("`{}`", row.resource().name)).collect();
        Err(Error::Conflict(format!(
            "{} is still needed, so nothing was deleted; delete or change first what refers to \
             it:\n{}\n`gantry delete -f` deletes all that a file names at once; `tfy delete -f` \
             goes from its top to its end, so there what refers to others stands before them",
            names.join(", "),
            users.join("\n")
        )))
    }
}

/// What is to be deleted.
enum Row<'a> {
    Read(&'a Stored),
    Unread(&'a Opaque),
}

impl Row<'_> {
    fn resource(&self) -> &Resource {
        match self {
            Self::Read(stored) => &stored.resource,
            Self::Unread(opaque) => &opaque.resource,
        }
    }

    fn view(&self) -> StoredManifest {
        match self {
            Self::Read(stored) => read::view(stored),
            Self::Unread(opaque) => opaque.view(),
        }
    }
}

async fn revoke_all(tx: &mut Tx, subject: &str) -> Result<(), Error> {
    for token in tx.tokens(tokens::of(Purpose::VirtualAccount, subject)).await? {
        tx.revoke_token(&token.id).await?;
    }
    Ok(())
}

/// The manifest that would refer to nothing, and the field in which it would.
fn referrer(after: &[SetEntry<'_>], (index, problem): &(usize, Problem)) -> Option<String> {
    Some(shown(after.get(*index)?.manifest, &problem.field))
}

/// What refers to rows that could not be read: whether it did rightly was never known, so no
/// problem is new with them gone.
fn users_of_unread(after: &[SetEntry<'_>], going: &[Row<'_>]) -> Vec<String> {
    let unread = |(family, name): (&str, &str)| {
        going.iter().any(|row| match row {
            Row::Unread(opaque) => opaque.resource.family == family && opaque.resource.name == name,
            Row::Read(_) => false,
        })
    };
    let mut users = Vec::new();
    for entry in after {
        for reference in entry.manifest.references() {
            if reference.resource.is_some_and(unread) {
                let problem = entry.problem(&reference.path, String::new());
                let manifest = entry.manifest;
                users.push(shown(manifest, &problem.field));
            }
        }
    }
    users
}

fn shown(manifest: &Manifest, field: &str) -> String {
    format!("  {} `{}` in {field}", manifest.kind(), manifest.name())
}
