//! Deleting manifests: all that are named or none, in one transaction.

use crate::apply::forget_unreferenced;
use crate::manifests::{self, StoredSet};
use crate::{Control, Error, read, to_the_end};
use gantry_kinds::kinds::{family, virtual_account};
use gantry_kinds::manifest::{SetEntry, Tenancy};
use gantry_model::rest::{ManifestRef, Problem, Source, StoredManifest};
use gantry_model::snapshot::Caller;
use gantry_store::{AuditEntry, Purpose, Tx};

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
            let deleted = delete_in(&mut tx, control.tenant(), &actor, &targets).await?;
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
    pub fn named_in(sources: &[Source]) -> Result<Vec<ManifestRef>, Error> {
        let manifests = manifests::from_sources(sources)?;
        Ok(manifests
            .iter()
            .map(|authored| &authored.manifest)
            .map(|m| ManifestRef { kind: m.kind().to_owned(), name: Some(m.name().to_owned()) })
            .collect())
    }
}

async fn delete_in(
    tx: &mut Tx,
    tenant: &str,
    actor: &str,
    targets: &[ManifestRef],
) -> Result<Vec<StoredManifest>, Error> {
    let stored = StoredSet::load(tx).await?;
    let mut deleted: Vec<StoredManifest> = Vec::new();
    for target in targets {
        let found = find(&stored, target)?;
        let (kind, name) = (&found.resource.kind, &found.resource.name);
        if deleted.iter().any(|d| d.kind == *kind && d.name == *name) {
            continue;
        }
        tx.delete_resource(&found.resource.family, name).await?;
        if kind == virtual_account::KIND {
            revoke_all(tx, name).await?;
        }
        tx.audit(&AuditEntry {
            actor: actor.to_owned(),
            action: "delete".to_owned(),
            kind: kind.clone(),
            name: name.clone(),
            before: Some(found.authored().to_string()),
            ..AuditEntry::default()
        })
        .await?;
        deleted.push(read::view(found));
    }
    refuse_dangling(tx, tenant, &stored, &deleted).await?;
    forget_unreferenced(tx).await?;
    Ok(deleted)
}

fn find<'a>(stored: &'a StoredSet, target: &ManifestRef) -> Result<&'a manifests::Stored, Error> {
    let name = target.name.as_deref().unwrap_or(&target.kind);
    let family = family(&target.kind);
    read::check_kind(&target.kind)?;
    let found = stored.find(family, name).ok_or_else(|| {
        Error::NotFound(format!(
            "there is no {family} named {name:?}; `gantry get {family}` lists them"
        ))
    })?;
    // A family alone (`provider-account`) names any of its kinds.
    if target.kind != family && found.resource.kind != target.kind {
        return Err(Error::NotFound(format!(
            "{name:?} is a {}, not a {}; nothing was deleted",
            found.resource.kind, target.kind
        )));
    }
    Ok(found)
}

async fn revoke_all(tx: &mut Tx, account: &str) -> Result<(), Error> {
    let subject = format!("virtualaccount:{account}");
    for token in tx.tokens().await? {
        if token.purpose == Purpose::VirtualAccount && token.subject == subject {
            tx.revoke_token(&token.id).await?;
        }
    }
    Ok(())
}

/// What stays must not refer to what goes.
async fn refuse_dangling(
    tx: &mut Tx,
    tenant: &str,
    stored: &StoredSet,
    deleted: &[StoredManifest],
) -> Result<(), Error> {
    let left = StoredSet::load(tx).await?;
    let after: Vec<_> = left.manifests().map(manifests::unwritten).collect();
    let teams = manifests::teams(tx).await?;
    let problems = manifests::new_problems(stored, &after, Tenancy { tenant, teams: &teams });
    if problems.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = deleted.iter().map(|d| format!("`{}`", d.name)).collect();
    let users: Vec<_> = problems.iter().filter_map(|found| referrer(&after, found)).collect();
    Err(Error::Conflict(format!(
        "{} is still needed, so nothing was deleted; delete or change first what refers to it:\n\
         {}\n`gantry delete -f` deletes all that a file names at once; `tfy delete -f` goes from \
         its top to its end, so there what refers to others stands before them",
        names.join(", "),
        users.join("\n")
    )))
}

/// The manifest that would refer to nothing, and the field in which it would.
fn referrer(after: &[SetEntry<'_>], (index, problem): &(usize, Problem)) -> Option<String> {
    let manifest = after.get(*index)?.manifest;
    Some(format!("  {} `{}` in {}", manifest.kind(), manifest.name(), problem.field))
}
