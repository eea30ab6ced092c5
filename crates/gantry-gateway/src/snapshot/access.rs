//! Who may use a model: decided in memory from the manifests' subjects.

use gantry_kinds::kinds::Collaborator;
use gantry_kinds::roles;
use gantry_model::snapshot::Caller;
use gantry_model::subject::{EVERYONE, SERVICE_ACCOUNT, Subject, VIRTUAL_ACCOUNT};
use std::collections::BTreeSet;

/// The subjects that may use one model; tenant administrators always may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access(BTreeSet<String>);

impl Access {
    /// From a model's `authorized_subjects` (to which permissions of virtual accounts were added
    /// when the snapshot was assembled) and its account's collaborators. A role that is not known
    /// admits nobody: a published manifest may be older than the rules of validation.
    #[must_use]
    pub fn new(subjects: &[Subject], collaborators: &[Collaborator]) -> Self {
        let collaborators = collaborators
            .iter()
            .filter(|one| roles::may_use(roles::PROVIDER_ACCOUNT, &one.role_id))
            .map(|collaborator| &collaborator.subject);
        Self(subjects.iter().chain(collaborators).map(caller_subject).collect())
    }

    #[must_use]
    pub fn allows(&self, caller: &Caller) -> bool {
        caller.admin
            || self.0.contains(&caller.subject)
            || self.0.contains(EVERYONE)
            || caller.teams.iter().any(|team| self.0.contains(&format!("team:{team}")))
    }
}

/// The subject as callers have it.
fn caller_subject(subject: &Subject) -> String {
    match subject.split() {
        Some((SERVICE_ACCOUNT, name)) => format!("{VIRTUAL_ACCOUNT}:{name}"),
        _ => subject.0.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(subject: &str, teams: &[&str], admin: bool) -> Caller {
        let teams = teams.iter().map(|team| (*team).to_owned()).collect();
        Caller { subject: subject.to_owned(), teams, admin, tags: Default::default() }
    }

    fn collaborator(subject: &str, role: &str) -> Collaborator {
        Collaborator { subject: Subject(subject.to_owned()), role_id: role.to_owned() }
    }

    #[test]
    fn a_collaborator_whose_role_is_not_known_is_not_admitted() {
        let roles =
            ["no-such-role", "provider-account-viwer", "access", "admin", "tenant-admin", ""];
        for role in roles {
            let access = Access::new(&[], &[collaborator("virtualaccount:bot", role)]);
            assert!(!access.allows(&caller("virtualaccount:bot", &[], false)), "{role}");
        }
    }

    #[test]
    fn admits_by_subject_team_and_collaborator_only() {
        let access = Access::new(
            &[
                Subject("user:ann@x.example".into()),
                Subject("team:ml".into()),
                Subject("virtualaccount:bot".into()),
                Subject("serviceaccount:old".into()),
                Subject("*".into()),
            ],
            &[
                collaborator("user:bob@x.example", "provider-account-access"),
                collaborator("user:eve@x.example", "provider-account-viewer"),
            ],
        );
        let cases = [
            (caller("user:ann@x.example", &[], false), true),
            (caller("user:cat@x.example", &["ml"], false), true),
            (caller("user:bob@x.example", &[], false), true),
            (caller("user:eve@x.example", &[], false), false),
            (caller("virtualaccount:bot", &[], false), true),
            (caller("virtualaccount:old", &[], false), true),
            (caller("virtualaccount:other", &["ops"], false), false),
            (caller("user:root@x.example", &[], true), true),
        ];
        for (caller, expected) in cases {
            assert_eq!(access.allows(&caller), expected, "{}", caller.subject);
        }
        let open = Access::new(&[Subject(EVERYONE.into())], &[]);
        assert!(open.allows(&caller("virtualaccount:other", &[], false)));
    }
}
