//! From manifests to what a gateway takes: permissions become authorised subjects, references
//! become values.
//!
//! The control plane's publisher and a gateway that runs from files alone both call it, so that
//! they agree. It never drops a manifest: a model whose secret is missing stays known, and is
//! refused as unavailable.

use super::SnapshotSource;
use crate::grant::{Models, Target};
use crate::kinds::virtual_account::Permission;
use crate::kinds::{Manifest, ProviderAccount, VirtualAccount, VirtualModelAccount};
use crate::roles;
use crate::secrets;
use gantry_model::secret::Secret;
use gantry_model::subject::Subject;

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

/// Of which tenants the resources in permissions may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Of the snapshot's tenant. A permission on another one's resources grants nothing.
    OwnTenant,
    /// Of any: whoever runs from files alone has no tenant, and takes the manifests of one.
    AnyTenant,
}

/// Completes a snapshot: grants what virtual accounts' permissions say, and fills
/// [`SnapshotSource::secrets`] by asking `resolve` for each reference.
///
/// `resolve` gets a whole reference and returns its clear value, or a fragment saying why not.
pub fn assemble(
    mut source: SnapshotSource,
    reach: Reach,
    resolve: &mut dyn FnMut(&str) -> Result<Secret, String>,
) -> (SnapshotSource, Vec<Unresolved>) {
    grant(reach, &source.tenant, &mut source.manifests);
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
fn grant(reach: Reach, tenant: &str, manifests: &mut [Manifest]) {
    let accounts: Vec<VirtualAccount> =
        manifests.iter().filter_map(|manifest| manifest.as_::<VirtualAccount>().cloned()).collect();
    let within = |target: &Target<'_>| match (reach, target.whole) {
        (Reach::OwnTenant, Some((named, _))) => named == tenant,
        (Reach::OwnTenant, None) | (Reach::AnyTenant, _) => true,
    };
    for account in &accounts {
        let subject = Subject(format!("virtualaccount:{}", account.name));
        for target in account.permissions.iter().filter_map(used_target).filter(within) {
            manifests.iter_mut().for_each(|manifest| authorise(target, &subject, manifest));
        }
    }
}

/// What a permission lets its holder use, if it does so at all.
fn used_target(permission: &Permission) -> Option<Target<'_>> {
    let usable = roles::may_use(&permission.resource_type, &permission.role_id);
    Target::of(permission)?.ok().filter(|_| usable)
}

fn authorise(target: Target<'_>, subject: &Subject, manifest: &mut Manifest) {
    if !target.names_account(manifest) {
        return;
    }
    let mut models: Vec<(&str, &mut Vec<Subject>)> = Vec::new();
    if manifest.as_::<ProviderAccount>().is_some() {
        let account = manifest.as_mut::<ProviderAccount>();
        let own = account.into_iter().flat_map(|account| &mut account.integrations);
        models.extend(own.map(|model| (model.name.as_str(), &mut model.authorized_subjects)));
    } else if let Some(group) = manifest.as_mut::<VirtualModelAccount>() {
        let own = group.integrations.iter_mut();
        models.extend(own.map(|model| (model.name.as_str(), &mut model.authorized_subjects)));
    }
    for (name, subjects) in models {
        let named = match target.models {
            Models::Unsaid | Models::All => true,
            Models::One(model) => model == name,
        };
        if named && !subjects.contains(subject) {
            subjects.push(subject.clone());
        }
    }
}

#[cfg(test)]
mod tests;
