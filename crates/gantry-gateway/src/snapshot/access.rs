//! Who may use a model: decided in memory by subjects, and by what callers were granted.

use gantry_model::snapshot::{AccessEntry, AccessList, Caller, granted_all};
use gantry_model::subject::EVERYONE;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Subjects, shared by all models that name their list.
type Subjects = Arc<HashSet<String, foldhash::fast::RandomState>>;

/// Lists by name.
#[derive(Debug, Default)]
pub(super) struct Lists(HashMap<String, Subjects>);

impl Lists {
    pub(super) fn new(lists: impl Iterator<Item = AccessList>) -> Self {
        Self(lists.map(|list| (list.name, Arc::new(list.subjects.into_iter().collect()))).collect())
    }
}

/// Who may use one model; tenant administrators always may.
#[derive(Clone, Debug, Default)]
pub struct Access {
    subjects: Vec<Subjects>,
    /// The model's name, as grants spell it.
    one: String,
    /// All models of its account, as grants spell it.
    all: String,
}

impl Access {
    /// A list that is not there admits nobody.
    pub(super) fn new(model: &str, entry: AccessEntry, lists: &Lists) -> Self {
        let own = (!entry.subjects.is_empty())
            .then(|| Arc::new(entry.subjects.into_iter().collect::<HashSet<_, _>>()));
        let shared = entry.lists.iter().filter_map(|name| lists.0.get(name).cloned());
        Self {
            subjects: own.into_iter().chain(shared).collect(),
            one: model.to_owned(),
            all: granted_all(model),
        }
    }

    #[must_use]
    pub fn allows(&self, caller: &Caller) -> bool {
        let admits = |subject: &str| self.subjects.iter().any(|set| set.contains(subject));
        caller.admin
            || admits(&caller.subject)
            || admits(EVERYONE)
            || caller.grants.contains(&self.all)
            || caller.grants.contains(&self.one)
            || caller.teams.iter().any(|team| admits(&format!("team:{team}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(subject: &str, teams: &[&str], grants: &[&str]) -> Caller {
        Caller {
            subject: subject.to_owned(),
            teams: teams.iter().map(|&team| team.to_owned()).collect(),
            grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
            ..Caller::default()
        }
    }

    fn access(subjects: &[&str], lists: &[&str]) -> Access {
        let list = |name: &str, subject: &str| AccessList {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
        };
        let known = [list("main", "user:bob@x.example"), list("other", "user:eve@x.example")];
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let entry = AccessEntry { subjects: names(subjects), lists: names(lists) };
        Access::new("main/small", entry, &Lists::new(known.into_iter()))
    }

    #[test]
    fn admits_by_subject_team_list_and_grant_only() {
        let subjects = ["user:ann@x.example", "team:ml", "virtualaccount:bot", "*"];
        let access = access(&subjects, &["main", "gone"]);
        let admin = Caller { admin: true, ..caller("user:root@x.example", &[], &[]) };
        let cases = [
            (caller("user:ann@x.example", &[], &[]), true),
            (caller("user:cat@x.example", &["ml"], &[]), true),
            (caller("user:bob@x.example", &[], &[]), true),
            (caller("user:eve@x.example", &[], &[]), false),
            (caller("virtualaccount:bot", &[], &[]), true),
            (caller("virtualaccount:other", &["ops"], &[]), false),
            (caller("virtualaccount:other", &[], &["main/small"]), true),
            (caller("virtualaccount:other", &[], &["main/*"]), true),
            (caller("virtualaccount:other", &[], &["main/large", "mai/*", "*"]), false),
            (admin, true),
        ];
        for (caller, expected) in cases {
            assert_eq!(access.allows(&caller), expected, "{caller:?}");
        }
    }

    #[test]
    fn everyone_is_admitted_by_their_team_and_nobody_by_nothing() {
        let other = caller("virtualaccount:other", &[], &[]);
        assert!(access(&[EVERYONE], &[]).allows(&other));
        assert!(!access(&[], &[]).allows(&other));
    }
}
