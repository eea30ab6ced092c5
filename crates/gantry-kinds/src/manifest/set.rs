//! Checks that need all manifests of a tenant: names, references, and those of each kind.

use super::{Document, Step, tree};
use crate::kind::{Found, Manifest, Named, Set};
use gantry_model::rest::Problem;
use std::collections::{BTreeMap, HashMap};

/// One manifest of the whole set as it would be after an apply.
#[derive(Clone, Copy, Debug)]
pub struct SetEntry<'a> {
    pub manifest: &'a Manifest,
    /// Where it was written; `None` for what is stored already. Problems then name the manifest
    /// instead of a line.
    pub document: Option<&'a Document>,
}

impl SetEntry<'_> {
    /// A problem with the field at `path`.
    #[must_use]
    pub fn problem(&self, path: &[Step], message: String) -> Problem {
        let SetEntry { manifest, document } = self;
        match document {
            Some(document) => document.problem(path, message),
            None => Problem {
                file: String::new(),
                line: 0,
                column: 0,
                field: tree::print(path),
                message: format!("{message} (in {} `{}`)", manifest.kind(), manifest.name()),
            },
        }
    }
}

/// Checks a tenant's manifests against one another: names that are given twice, references to
/// nothing, and what each kind checks.
///
/// Returns the problems with the index of the manifest that has them.
#[must_use]
pub fn check_set(entries: &[SetEntry<'_>]) -> Vec<(usize, Problem)> {
    let set = Set::new(entries.iter().map(|entry| entry.manifest).collect());
    let mut found = Found::new();
    check_names(&set, &mut found);
    check_references(&set, &mut found);
    let rows = set.iter().map(|(_, manifest)| manifest.row());
    let present: BTreeMap<&str, _> = rows.map(|row| (row.stored_as, row)).collect();
    present.into_values().for_each(|row| row.check_set(&set, &mut found));
    problems(entries, found)
}

/// What was found as problems, in the order of the manifests and of their texts.
pub(super) fn problems(entries: &[SetEntry<'_>], found: Found) -> Vec<(usize, Problem)> {
    let problem = |(index, path, message): (usize, Vec<Step>, String)| {
        Some((index, entries.get(index)?.problem(&path, message)))
    };
    let mut problems: Vec<_> = found.into_iter().filter_map(problem).collect();
    problems.sort_by_key(|(entry, problem)| (*entry, problem.line, problem.column));
    problems
}

fn check_names(set: &Set<'_>, found: &mut Found) {
    let mut seen: HashMap<(&str, &str), &str> = HashMap::new();
    for (index, manifest) in set.iter() {
        let (kind, name) = (manifest.kind(), manifest.name());
        let message = match seen.insert((manifest.family(), name), kind) {
            None => continue,
            Some(_) if manifest.row().single => {
                format!("there is another `{kind}`; a tenant has one")
            }
            Some(other) => format!("`{name}` is already the name of a `{other}`"),
        };
        found.push((index, vec!["name".into()], message));
    }
}

/// Models and resources that are named are there.
fn check_references(set: &Set<'_>, found: &mut Found) {
    for (index, manifest) in set.iter() {
        for reference in manifest.references() {
            let message = match reference.names {
                Named::Model(id) => (!set.has_model(id)).then(|| set.no_model(id)),
                Named::Resource(family, name) => nobody(set, family, name),
                Named::Subject(_) | Named::Permission(_) => None,
            };
            found.extend(message.map(|message| (index, reference.path, message)));
        }
    }
}

/// Why a resource is not there.
fn nobody(set: &Set<'_>, family: &str, name: &str) -> Option<String> {
    if set.named(family, name).is_some() {
        return None;
    }
    Some(match set.near(family, name) {
        Some(near) => format!("there is no {family} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {family} `{name}`"),
    })
}
