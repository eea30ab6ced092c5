//! From manifests to what a gateway takes: permissions become authorised subjects, references
//! become values.
//!
//! The control plane's publisher and a gateway that runs from files alone both call it, so that
//! they agree. It never drops a manifest: a model whose secret is missing stays known, and is
//! refused as unavailable.

use super::SnapshotSource;
use crate::kinds::virtual_account::Permission;
use crate::kinds::{Manifest, VirtualAccount};
use crate::roles;
use crate::secret::Secret;
use crate::secrets;
use crate::subject::Subject;

/// A reference for which there is no value. The models that need it are unavailable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Kind of the manifest with the reference.
    pub kind: String,
    pub name: String,
    /// `env://NAME` or `tfy-secret://…`.
    pub reference: String,
    /// A lower-case fragment that says why, without the value of anything.
    pub reason: String,
}

/// Completes a snapshot: grants what virtual accounts' permissions say, and fills
/// [`SnapshotSource::secrets`] by asking `resolve` for each reference.
///
/// `resolve` gets a whole reference and returns its clear value, or a fragment saying why not.
pub fn assemble(
    mut source: SnapshotSource,
    resolve: &mut dyn FnMut(&str) -> Result<Secret, String>,
) -> (SnapshotSource, Vec<Unresolved>) {
    grant(&source.tenant, &mut source.manifests);
    let mut unresolved = Vec::new();
    for manifest in &source.manifests {
        for reference in secrets::references(manifest) {
            if source.secrets.contains_key(&reference) {
                continue;
            }
            match resolve(&reference) {
                Ok(value) => {
                    source.secrets.insert(reference, value);
                }
                Err(reason) => unresolved.push(Unresolved {
                    kind: manifest.kind().to_owned(),
                    name: manifest.name().to_owned(),
                    reference,
                    reason,
                }),
            }
        }
    }
    (source, unresolved)
}

/// Adds each virtual account to the authorised subjects of the models that its permissions name.
fn grant(tenant: &str, manifests: &mut [Manifest]) {
    let accounts: Vec<VirtualAccount> = manifests
        .iter()
        .filter_map(|manifest| match manifest {
            Manifest::VirtualAccount(account) => Some((**account).clone()),
            _ => None,
        })
        .collect();
    for account in &accounts {
        let subject = Subject(format!("virtualaccount:{}", account.name));
        for target in account.permissions.iter().filter_map(|p| used_target(tenant, p)) {
            manifests.iter_mut().for_each(|manifest| target.authorise(&subject, manifest));
        }
    }
}

/// What a permission lets its holder use, if it does so at all.
fn used_target<'a>(tenant: &str, permission: &'a Permission) -> Option<Target<'a>> {
    let usable = roles::may_use(&permission.resource_type, &permission.role_id);
    Target::parse(tenant, &permission.resource_fqn).filter(|_| usable)
}

/// What a permission is about: an account, or one of its models.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    account: &'a str,
    model: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads `tenant:provider:account`, `tenant:provider:account:kind:model`, `account/model` or
    /// `account`. Model names may hold colons. `None` for another tenant's resource.
    fn parse(tenant: &str, fqn: &'a str) -> Option<Self> {
        if let Some((account, model)) = fqn.split_once('/')
            && !account.contains(':')
        {
            return Some(Self { account, model: Some(model).filter(|m| *m != "*") });
        }
        let mut parts = fqn.splitn(5, ':');
        let (first, provider, account) = (parts.next()?, parts.next(), parts.next());
        let (_kind, model) = (parts.next(), parts.next());
        match (provider, account) {
            (None, None) => Some(Self { account: first, model: None }),
            (Some(_), Some(account)) if first == tenant => {
                Some(Self { account, model: model.filter(|m| *m != "*") })
            }
            _ => None,
        }
    }

    fn authorise(&self, subject: &Subject, manifest: &mut Manifest) {
        if manifest.name() != self.account {
            return;
        }
        let models: Vec<(&str, &mut Vec<Subject>)> = match manifest {
            Manifest::ProviderAccount(account) => account
                .integrations
                .iter_mut()
                .map(|model| (model.name.as_str(), &mut model.authorized_subjects))
                .collect(),
            Manifest::VirtualModel(account) => account
                .integrations
                .iter_mut()
                .map(|model| (model.name.as_str(), &mut model.authorized_subjects))
                .collect(),
            Manifest::VirtualAccount(_) | Manifest::GlobalSettings(_) => Vec::new(),
        };
        for (name, subjects) in models {
            if self.model.is_none_or(|model| model == name) && !subjects.contains(subject) {
                subjects.push(subject.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
