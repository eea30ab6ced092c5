//! Checks of rights against what stands in no manifest: the tenant, its teams, callers with tokens.
//!
//! The control plane calls [`check_access`] beside [`check_set`](super::check_set). A gateway that
//! runs from files has no teams and no tenant, but tokens of virtual accounts without a manifest:
//! it calls [`check_subjects`]. People are never looked for, since an identity provider may bring
//! them later.

use super::{Problem, SetEntry, Step, checks};
use crate::kinds::virtual_account::Permission;
use crate::kinds::{Collaborator, Manifest};
use crate::roles;
use gantry_model::subject::{self, Subject};

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

/// Names of the virtual accounts of a set.
fn accounts<'a>(entries: &[SetEntry<'a>]) -> impl Iterator<Item = &'a str> {
    entries.iter().filter_map(|entry| match entry.manifest {
        Manifest::VirtualAccount(account) => Some(account.name.as_str()),
        _ => None,
    })
}

fn check(entries: &[SetEntry<'_>], known: Known<'_>) -> Vec<(usize, Problem)> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let problems = known.check(entry.manifest).into_iter();
        found.extend(problems.map(|(path, message)| (index, entry.problem(&path, message))));
    }
    found.sort_by_key(|(entry, problem)| (*entry, problem.line, problem.column));
    found
}

type Found = Vec<(Vec<Step>, String)>;

struct Known<'a> {
    /// Virtual accounts that there are.
    accounts: Vec<&'a str>,
    /// How to make one.
    hint: &'a str,
    /// Without it teams and tenants are not looked at.
    tenancy: Option<Tenancy<'a>>,
}

impl Known<'_> {
    fn check(&self, manifest: &Manifest) -> Found {
        let (collaborators, models): (&[Collaborator], Vec<&[Subject]>) = match manifest {
            Manifest::ProviderAccount(account) => (
                &account.collaborators,
                account.integrations.iter().map(|m| m.authorized_subjects.as_slice()).collect(),
            ),
            Manifest::VirtualModel(group) => (
                &group.collaborators,
                group.integrations.iter().map(|m| m.authorized_subjects.as_slice()).collect(),
            ),
            Manifest::VirtualAccount(account) => {
                return self.check_permissions(&account.permissions);
            }
            Manifest::GlobalSettings(_) => return Vec::new(),
        };
        let mut found = Vec::new();
        for (index, collaborator) in collaborators.iter().enumerate() {
            let path = ["collaborators".into(), index.into(), "subject".into()];
            let message = self.nobody(&collaborator.subject);
            found.extend(message.map(|message| (path.to_vec(), message)));
        }
        for (model, subjects) in models.iter().enumerate() {
            for (index, subject) in subjects.iter().enumerate() {
                let head = ["integrations".into(), model.into()];
                let path = head.into_iter().chain(["authorized_subjects".into(), index.into()]);
                let message = self.nobody(subject);
                found.extend(message.map(|message| (path.collect(), message)));
            }
        }
        found
    }

    /// Why a subject stands for nobody who exists.
    fn nobody(&self, subject: &Subject) -> Option<String> {
        let (kind, name) = subject.split()?;
        match kind {
            subject::VIRTUAL_ACCOUNT | subject::SERVICE_ACCOUNT => {
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

    fn check_permissions(&self, permissions: &[Permission]) -> Found {
        let mut found = Vec::new();
        for (index, permission) in permissions.iter().enumerate() {
            if let Some((other, own)) = self.other_tenant(permission) {
                let path = ["permissions".into(), index.into(), "resource_fqn".into()];
                found.push((path.to_vec(), format!("there is no tenant `{other}`, only `{own}`")));
            }
        }
        found
    }

    /// The tenant whose resource it is, if it is not this one, and this one.
    fn other_tenant<'a>(&'a self, permission: &'a Permission) -> Option<(&'a str, &'a str)> {
        let own = self.tenancy?.tenant;
        let name = permission.resource_fqn.as_str();
        let tenant = match permission.resource_type.as_str() {
            roles::TENANT => name,
            about if roles::about_models(about) => name.split_once(':')?.0,
            _ => return None,
        };
        // A model's name may hold colons: `account/llama3:8b`.
        (tenant != own && !tenant.contains('/')).then_some((tenant, own))
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
