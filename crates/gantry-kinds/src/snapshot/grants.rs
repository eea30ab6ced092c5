//! What the permissions of virtual accounts let them use.
//!
//! A grant stays with its holder and names an account's models together, so that neither accounts
//! nor models multiply by each other.

use crate::grant::{self, Models, Target};
use crate::kinds::virtual_account::Permission;
use crate::kinds::{Manifest, VirtualAccount};
use crate::roles;
use std::collections::{BTreeSet, HashMap};

/// Of which tenants the resources in permissions may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Of the snapshot's tenant. A permission on another one's resources grants nothing.
    OwnTenant,
    /// Of any: whoever runs from files alone has no tenant, and takes the manifests of one.
    AnyTenant,
}

/// The accounts that permissions may name, by name, with their providers.
#[derive(Debug)]
pub struct Accounts<'a> {
    providers: HashMap<&'a str, &'a str>,
    tenant: &'a str,
    reach: Reach,
}

impl<'a> Accounts<'a> {
    #[must_use]
    pub fn new(
        manifests: impl IntoIterator<Item = &'a Manifest>,
        tenant: &'a str,
        reach: Reach,
    ) -> Self {
        let accounts = manifests.into_iter().filter(|one| one.family() == roles::PROVIDER_ACCOUNT);
        let providers = accounts.map(|one| (one.name(), grant::provider_of(one))).collect();
        Self { providers, tenant, reach }
    }

    /// What a virtual account may use, as [`gantry_model::snapshot::Caller::grants`] spells it.
    #[must_use]
    pub fn grants(&self, account: &VirtualAccount) -> BTreeSet<String> {
        account.permissions.iter().filter_map(|permission| self.grant(permission)).collect()
    }

    fn grant(&self, permission: &Permission) -> Option<String> {
        let usable = roles::may_use(&permission.resource_type, &permission.role_id);
        let target = Target::of(permission)?.ok().filter(|_| usable)?;
        let provider = self.providers.get(target.account)?;
        if let Some((tenant, named)) = target.whole {
            let reached = self.reach == Reach::AnyTenant || tenant == self.tenant;
            if !reached || named != *provider {
                return None;
            }
        }
        Some(match target.models {
            Models::Unsaid | Models::All => format!("{}/*", target.account),
            Models::One(model) => format!("{}/{model}", target.account),
        })
    }
}
