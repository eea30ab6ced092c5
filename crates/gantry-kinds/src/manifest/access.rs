//! Checks of rights against what stands in no manifest: the tenant, its teams, callers with tokens.
//!
//! The control plane calls [`check_access`] beside [`check_set`](super::check_set). A gateway that
//! runs from files has no teams and no tenant, but tokens of virtual accounts without a manifest:
//! it calls [`check_subjects`]. People are never looked for, since an identity provider may bring
//! them later.

use super::{Problem, SetEntry, checks, set};
use crate::kind::{Found, Named};
use crate::kinds::common::Permission;
use crate::roles;
use gantry_model::subject::{self, Subject};
use std::collections::BTreeSet;

/// What rights may refer to besides manifests.
#[derive(Clone, Copy, Debug)]
pub struct Tenancy<'a> {
    /// Name of the tenant.
    pub tenant: &'a str,
    /// Teams that have members; everybody is in `everyone` besides.
    pub teams: &'a [String],
}

/// Checks that subjects name virtual accounts and teams that exist, and permissions resources of
/// this tenant.
///
/// Returns the problems with the index of the manifest that has them.
#[must_use]
pub fn check_access(entries: &[SetEntry<'_>], tenancy: Tenancy<'_>) -> Vec<(usize, Problem)> {
    let hint = "apply it before this manifest or together with it";
    check(entries, Known { accounts: accounts(entries).collect(), hint, tenancy: Some(tenancy) })
}

/// Checks that subjects name virtual accounts that exist, by a manifest or among `others`.
///
/// `hint` says how to make one that does not. Returns the problems as [`check_access`] does.
#[must_use]
pub fn check_subjects<'a>(
    entries: &[SetEntry<'a>],
    others: impl IntoIterator<Item = &'a str>,
    hint: &str,
) -> Vec<(usize, Problem)> {
    let accounts = accounts(entries).chain(others).collect();
    check(entries, Known { accounts, hint, tenancy: None })
}

/// Names of the callers among a set's manifests.
fn accounts<'a>(entries: &[SetEntry<'a>]) -> impl Iterator<Item = &'a str> {
    let callers = entries.iter().filter(|entry| entry.manifest.row().subject.is_some());
    callers.map(|entry| entry.manifest.name())
}

fn check(entries: &[SetEntry<'_>], known: Known<'_>) -> Vec<(usize, Problem)> {
    let mut found = Found::new();
    for (index, entry) in entries.iter().enumerate() {
        for reference in entry.manifest.references() {
            let message = match reference.names {
                Named::Subject(subject) => known.nobody(subject),
                Named::Permission(permission) => known.other_tenant(permission),
                Named::Resource(..) | Named::Model(_) => None,
            };
            found.extend(message.map(|message| (index, reference.path, message)));
        }
    }
    set::problems(entries, found)
}

struct Known<'a> {
    /// Virtual accounts that there are.
    accounts: BTreeSet<&'a str>,
    /// How to make one.
    hint: &'a str,
    /// Without it teams and tenants are not looked at.
    tenancy: Option<Tenancy<'a>>,
}

impl Known<'_> {
    /// Why a subject stands for nobody who exists.
    fn nobody(&self, subject: &Subject) -> Option<String> {
        let (kind, name) = subject.split()?;
        match kind {
            subject::VIRTUAL_ACCOUNT | subject::SERVICE_ACCOUNT => {
                if self.accounts.contains(name) {
                    return None;
                }
                let accounts = self.accounts.iter().copied();
                missing("virtual account", name, accounts, self.hint.to_owned())
            }
            subject::TEAM => {
                let teams = self.tenancy?.teams.iter().map(String::as_str);
                let hint = format!("everybody is in `{}`", subject::EVERYONE);
                missing("team", name, teams.chain([subject::EVERYONE_NAME]), hint)
            }
            _ => None,
        }
    }

    /// Says that a permission is about another tenant's resource.
    fn other_tenant(&self, permission: &Permission) -> Option<String> {
        let own = self.tenancy?.tenant;
        let name = permission.resource_fqn.as_str();
        let tenant = match permission.resource_type.as_str() {
            roles::TENANT => name,
            about if roles::about_models(about) => name.split_once(':')?.0,
            _ => return None,
        };
        // A model's name may hold colons: `account/llama3:8b`.
        let other = tenant != own && !tenant.contains('/');
        other.then(|| format!("there is no tenant `{tenant}`, only `{own}`"))
    }
}

/// Says that a name is not known, and which one is near.
fn missing<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    hint: String,
) -> Option<String> {
    if known.clone().any(|known| known == name) {
        return None;
    }
    let hint = checks::nearest(name, known).map_or(hint, |near| format!("did you mean `{near}`?"));
    Some(format!("there is no {what} `{name}`; {hint}"))
}
