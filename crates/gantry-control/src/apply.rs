//! Applying manifests: all of them or none, in one transaction.

use crate::forget::LetGo;
use crate::manifests::{self, Authored, Stored, StoredSet, to_spec};
use crate::rows::owner;
use crate::{Control, Error, accounts, opaque, publish, to_the_end};
use gantry_kinds::kinds::{Manifest, VirtualAccount};
use gantry_kinds::manifest::{Document, SetEntry, Tenancy};
use gantry_kinds::secrets;
use gantry_model::ids::UnixMs;
use gantry_model::rest::{Applied, Problem, Source};
use gantry_model::snapshot::Caller;
use gantry_store::{AuditEntry, Put, Tx};
use serde_json::Value;

impl Control {
    /// Applies source texts (YAML or JSON, several documents each) as one transaction and
    /// publishes the result. With `dry_run` everything is checked and nothing is stored; the
    /// reply then says what would have been done, which is also what `diff` shows.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem found; then nothing of it was stored.
    pub async fn apply(
        &self,
        caller: &Caller,
        sources: Vec<Source>,
        dry_run: bool,
    ) -> Result<Vec<Applied>, Error> {
        let manifests = manifests::from_sources(&self.0.registry, &sources)?;
        if manifests.is_empty() {
            let files: Vec<&str> = sources.iter().map(|source| source.file.as_str()).collect();
            let text = format!("there is no manifest in {}", files.join(", "));
            return Err(Error::BadRequest(text));
        }
        self.apply_manifests(caller, manifests, dry_run).await
    }

    /// As [`Control::apply`], for one manifest that came as JSON.
    ///
    /// # Errors
    /// As [`Control::apply`].
    pub async fn apply_value(
        &self,
        caller: &Caller,
        manifest: Value,
        dry_run: bool,
    ) -> Result<Applied, Error> {
        let manifest = manifests::from_value(&self.0.registry, manifest)?;
        let applied = self.apply_manifests(caller, vec![manifest], dry_run).await?;
        applied.into_iter().next().ok_or_else(|| Error::Internal("nothing was applied".to_owned()))
    }

    async fn apply_manifests(
        &self,
        caller: &Caller,
        manifests: Vec<Authored>,
        dry_run: bool,
    ) -> Result<Vec<Applied>, Error> {
        let (control, actor) = (self.clone(), caller.subject.clone());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            let applied = control.apply_in(&mut tx, &actor, manifests, dry_run).await?;
            if dry_run {
                return Ok(applied);
            }
            let generation = tx.commit().await?;
            control.announce().await;
            tracing::info!(actor, resources = applied.len(), %generation, "manifests applied");
            Ok(applied)
        })
        .await
    }

    /// Everything that apply does inside the transaction.
    async fn apply_in(
        &self,
        tx: &mut Tx,
        actor: &str,
        manifests: Vec<Authored>,
        dry_run: bool,
    ) -> Result<Vec<Applied>, Error> {
        let stored = StoredSet::load(tx, &self.0.registry).await?;
        let mut planned = Vec::new();
        for manifest in manifests {
            planned.push(self.seal(tx, &stored, manifest).await?);
        }
        self.check(tx, &stored, &planned).await?;
        let mut applied = Vec::new();
        let mut let_go = LetGo::default();
        for plan in &planned {
            store(tx, plan, actor).await?;
            if let Some(before) = &plan.before {
                let_go.row(&before.resource);
            }
            let new = plan.before.is_none() && !dry_run;
            let token = match plan.manifest.as_::<VirtualAccount>().filter(|_| new) {
                Some(account) => Some(accounts::mint(self, tx, account, actor).await?),
                None => None,
            };
            applied.push(Applied {
                action: plan.action().to_owned(),
                kind: plan.manifest.kind().to_owned(),
                name: plan.manifest.name().to_owned(),
                manifest: plan.authored.clone(),
                existing_manifest: plan.before.as_ref().map(Stored::authored),
                token,
            });
        }
        let after = StoredSet::load(tx, &self.0.registry).await?;
        let_go.forget(tx, &after).await?;
        Ok(applied)
    }

    /// Seals a manifest's clear secrets and finds what it replaces.
    async fn seal(
        &self,
        tx: &mut Tx,
        stored: &StoredSet,
        authored: Authored,
    ) -> Result<Plan, Error> {
        let (manifest, secrets) = secrets::seal_out(authored.manifest, &self.0.tenant);
        let family = manifest.family().to_owned();
        let owner = owner(&family, manifest.name());
        let mut new_secret = false;
        for (reference, value) in &secrets {
            new_secret |= tx.put_secret(reference, &owner, value).await?;
        }
        let before = stored.find(&family, manifest.name()).cloned();
        let shown = manifests::authored(&self.0.registry, &manifest, authored.shape.as_ref());
        let document = authored.document;
        Ok(Plan { family, manifest, document, authored: shown, before, new_secret })
    }

    /// Checks the tenant as it would be: references between manifests and to secrets.
    async fn check(&self, tx: &mut Tx, stored: &StoredSet, planned: &[Plan]) -> Result<(), Error> {
        let blocked =
            planned.iter().flat_map(|p| opaque::blocked(stored, &p.manifest, &p.document));
        let blocked: Vec<Problem> = blocked.collect();
        if !blocked.is_empty() {
            return Err(Error::Invalid(blocked));
        }
        let replaced =
            |f: &str, n: &str| planned.iter().any(|p| p.family == f && p.manifest.name() == n);
        let kept = stored
            .iter()
            .filter(|s| !replaced(&s.resource.family, &s.resource.name))
            .map(|s| manifests::unwritten(&s.manifest));
        let after: Vec<_> = kept.chain(planned.iter().map(Plan::entry)).collect();
        let teams = manifests::teams(tx).await?;
        let tenancy = Tenancy { tenant: self.tenant(), teams: &teams };
        let found = manifests::new_problems(stored, &after, tenancy);
        let mut problems: Vec<Problem> = found.into_iter().map(|(_, problem)| problem).collect();
        problems.extend(planned.iter().filter_map(Plan::changed_kind));
        problems.extend(planned.iter().filter_map(|plan| plan.ended(tx.now_ms())));
        for plan in planned {
            for reference in secrets::references(&plan.manifest) {
                if let Err(why) = publish::allowed(&self.0, &plan.manifest, &reference) {
                    let message = format!("{reference} is refused: {why}");
                    problems.push(plan.document.problem_at_text(&reference, message));
                    continue;
                }
                if let Err(why) = publish::resolve(&self.0, tx, &reference).await? {
                    problems.push(unresolved(plan, &reference, &why));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }
}

/// One manifest on its way into the store.
struct Plan {
    family: String,
    /// With references in place of secrets.
    manifest: Manifest,
    document: Document,
    /// The manifest for people.
    authored: Value,
    before: Option<Stored>,
    /// Whether a secret's value is new, which the manifest does not show.
    new_secret: bool,
}

impl Plan {
    fn entry(&self) -> SetEntry<'_> {
        SetEntry { manifest: &self.manifest, document: Some(&self.document) }
    }

    /// Accounts of all providers share their names. One that silently became another's would lose
    /// its models, and whoever may use them by its name would use others.
    fn changed_kind(&self) -> Option<Problem> {
        let (old, new) = (self.before.as_ref()?.manifest.kind(), self.manifest.kind());
        let name = self.manifest.name();
        (old != new).then(|| {
            let message =
                format!("`{name}` is a `{old}` already; delete that first, or choose another name");
            self.document.problem(&["type".into()], message)
        })
    }

    /// A new account whose token would be refused from the beginning. One that is there may be
    /// ended by a past date.
    fn ended(&self, now_ms: UnixMs) -> Option<Problem> {
        let account = self.manifest.as_::<VirtualAccount>().filter(|_| self.before.is_none())?;
        publish::account_end_ms(account).filter(|end| *end <= now_ms)?;
        let message = "lies in the past: a new account would be of no use".to_owned();
        Some(self.document.problem(&["expiration_date".into()], message))
    }

    fn action(&self) -> &'static str {
        match &self.before {
            None => "CREATE",
            Some(before) if before.manifest == self.manifest && !self.new_secret => "UNCHANGED",
            Some(_) => "UPDATE",
        }
    }
}

async fn store(tx: &mut Tx, plan: &Plan, actor: &str) -> Result<(), Error> {
    let action = plan.action();
    if action == "UNCHANGED" {
        return Ok(());
    }
    let (kind, name) = (plan.manifest.kind(), plan.manifest.name());
    let (spec, authored) = (to_spec(&plan.manifest)?, plan.authored.to_string());
    tx.put_resource(Put {
        family: &plan.family,
        name,
        kind,
        spec: &spec,
        authored: &authored,
        actor,
        ..Put::default()
    })
    .await?;
    tx.audit(&AuditEntry {
        actor: actor.to_owned(),
        action: action.to_lowercase(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        before: plan.before.as_ref().map(|before| before.authored().to_string()),
        after: Some(authored),
        ..AuditEntry::default()
    })
    .await?;
    Ok(())
}

fn unresolved(plan: &Plan, reference: &str, why: &str) -> Problem {
    plan.document.problem_at_text(reference, format!("{reference} has no value: {why}"))
}
