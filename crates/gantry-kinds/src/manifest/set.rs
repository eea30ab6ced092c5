//! Checks that need all manifests of a tenant: names, references, cycles.

use super::{Document, Step, checks, tree};
use crate::grant::{Models, Target, provider_of};
use crate::kinds::provider_account::ModelType;
use crate::kinds::virtual_model::{NESTING_MAX, VirtualModel};
use crate::kinds::{Manifest, global_settings};
use crate::roles::PROVIDER_ACCOUNT;
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
    pub(super) fn problem(&self, path: &[Step], message: String) -> Problem {
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

/// Checks a tenant's manifests against one another: references to nothing, cycles and depth of
/// virtual models, names that are given twice, targets that cannot serve.
///
/// Returns the problems with the index of the manifest that has them.
#[must_use]
pub fn check_set(entries: &[SetEntry<'_>]) -> Vec<(usize, Problem)> {
    let mut checker = Checker::new(entries);
    checker.check_names();
    checker.check_short_names();
    checker.check_targets();
    checker.check_nesting();
    checker.check_permissions();
    let mut found = checker.found;
    found.sort_by_key(|(entry, problem)| (*entry, problem.line, problem.column));
    found
}

/// A virtual model and where it is written: entry, then index among the integrations.
#[derive(Clone, Copy)]
struct Virtual<'a> {
    entry: usize,
    index: usize,
    model: &'a VirtualModel,
}

impl Virtual<'_> {
    fn path(&self, rest: impl IntoIterator<Item = Step>) -> Vec<Step> {
        let head = ["integrations".into(), self.index.into()];
        head.into_iter().chain(rest).collect()
    }

    fn target_path(&self, target: usize) -> Vec<Step> {
        let rest = ["routing_config".into(), "load_balance_targets".into(), target.into()];
        self.path(rest.into_iter().chain(["target".into()]))
    }
}

struct Checker<'a> {
    entries: &'a [SetEntry<'a>],
    /// What each model serves, by `account/model`; empty means anything.
    models: BTreeMap<String, &'a [ModelType]>,
    virtuals: BTreeMap<String, Virtual<'a>>,
    found: Vec<(usize, Problem)>,
}

impl<'a> Checker<'a> {
    fn new(entries: &'a [SetEntry<'a>]) -> Self {
        let mut models = BTreeMap::new();
        let mut virtuals = BTreeMap::new();
        for (entry, SetEntry { manifest, .. }) in entries.iter().enumerate() {
            match manifest {
                Manifest::ProviderAccount(account) => {
                    for model in &account.integrations {
                        let id = format!("{}/{}", account.name, model.name);
                        models.insert(id, model.model_types.as_slice());
                    }
                }
                Manifest::VirtualModel(group) => {
                    for (index, model) in group.integrations.iter().enumerate() {
                        let id = format!("{}/{}", group.name, model.name);
                        models.insert(id.clone(), model.model_types.as_slice());
                        virtuals.insert(id, Virtual { entry, index, model });
                    }
                }
                Manifest::VirtualAccount(_) | Manifest::GlobalSettings(_) => {}
            }
        }
        Self { entries, models, virtuals, found: Vec::new() }
    }

    fn add(&mut self, entry: usize, path: &[Step], message: String) {
        if let Some(written) = self.entries.get(entry) {
            self.found.push((entry, written.problem(path, message)));
        }
    }

    fn check_names(&mut self) {
        let mut seen: HashMap<(&str, &str), &str> = HashMap::new();
        for (index, SetEntry { manifest, .. }) in self.entries.iter().enumerate() {
            let (kind, name) = (manifest.kind(), manifest.name());
            let message = match seen.insert((manifest.family(), name), kind) {
                None => continue,
                Some(_) if kind == global_settings::KIND => {
                    format!("there is another `{kind}`; a tenant has one")
                }
                Some(other) => format!("`{name}` is already the name of a `{other}`"),
            };
            self.add(index, &["name".into()], message);
        }
    }

    /// Slugs and aliases stand for one model each and hide no whole name.
    fn check_short_names(&mut self) {
        let mut owners: HashMap<&'a str, String> = HashMap::new();
        for (id, place) in self.virtuals.clone() {
            let slug = place.model.slug.as_deref().map(|slug| (slug, vec!["slug".into()]));
            let aliases = place.model.alias.iter().enumerate();
            let aliases = aliases.map(|(i, name)| (name.as_str(), vec!["alias".into(), i.into()]));
            for (name, rest) in slug.into_iter().chain(aliases) {
                let message = if self.models.contains_key(name) {
                    format!("`{name}` is the name of a model")
                } else if let Some(owner) = owners.get(name) {
                    format!("`{name}` already stands for `{owner}`")
                } else {
                    owners.insert(name, id.clone());
                    continue;
                };
                self.add(place.entry, &place.path(rest), message);
            }
        }
    }

    fn check_targets(&mut self) {
        for place in self.virtuals.clone().into_values() {
            for (index, target) in place.model.routing_config.targets().iter().enumerate() {
                if let Some(message) = self.unfit(&place, &target.target) {
                    self.add(place.entry, &place.target_path(index), message);
                }
            }
        }
    }

    /// Why a model cannot be a target; models that do not say what they serve can.
    fn unfit(&self, place: &Virtual<'_>, target: &str) -> Option<String> {
        let Some(types) = self.models.get(target) else { return Some(self.no_model(target)) };
        let wanted = place.model.model_types.iter();
        let missing = wanted.filter(|wanted| !types.is_empty() && !types.contains(wanted));
        let missing: Vec<&str> = missing.map(|missing| missing.as_str()).collect();

        (!missing.is_empty()).then(|| format!("`{target}` does not serve {}", missing.join(", ")))
    }

    fn no_model(&self, name: &str) -> String {
        match checks::nearest(name, self.models.keys().map(String::as_str)) {
            Some(near) => format!("there is no model `{name}`; did you mean `{near}`?"),
            None => format!("there is no model `{name}`"),
        }
    }

    /// Walks the virtual models depth first, with a stack of its own, because the input decides
    /// how deep they go.
    fn check_nesting(&mut self) {
        let virtuals = self.virtuals.clone();
        let mut depths: HashMap<&str, Option<usize>> = HashMap::new();
        for start in virtuals.keys() {
            if depths.contains_key(start.as_str()) {
                continue;
            }
            depths.insert(start, None);
            let mut stack = vec![Visit { id: start, next: 0, deepest: 0 }];
            while let Some(top) = stack.last_mut() {
                let Some(place) = virtuals.get(top.id) else { break };
                let index = top.next;
                top.next += 1;
                let Some(target) = place.model.routing_config.targets().get(index) else {
                    let (id, depth) = (top.id, top.deepest + 1);
                    stack.pop();
                    self.leave((id, depth), place, &mut depths);
                    if let Some(parent) = stack.last_mut() {
                        parent.deepest = parent.deepest.max(depth);
                    }
                    continue;
                };
                let Some((id, _)) = virtuals.get_key_value(&target.target) else { continue };
                match depths.get(id.as_str()) {
                    Some(Some(depth)) => top.deepest = top.deepest.max(*depth),
                    Some(None) => {
                        let message = format!("routes to itself: {}", cycle(&stack, id));
                        self.add(place.entry, &place.target_path(index), message);
                    }
                    None => {
                        depths.insert(id, None);
                        stack.push(Visit { id, next: 0, deepest: 0 });
                    }
                }
            }
        }
    }

    fn leave<'v>(
        &mut self,
        (id, depth): (&'v str, usize),
        place: &Virtual<'_>,
        depths: &mut HashMap<&'v str, Option<usize>>,
    ) {
        depths.insert(id, Some(depth));
        if depth == NESTING_MAX + 1 {
            let message = format!("virtual models are nested more than {NESTING_MAX} deep");
            self.add(place.entry, &place.path(["routing_config".into()]), message);
        }
    }

    /// Grants that concern models name an account or a model that exists.
    fn check_permissions(&mut self) {
        for (index, entry) in self.entries.iter().enumerate() {
            let Manifest::VirtualAccount(account) = entry.manifest else { continue };
            for (number, permission) in account.permissions.iter().enumerate() {
                let message = match Target::of(permission) {
                    None => None,
                    Some(Err(unreadable)) => Some(unreadable),
                    Some(Ok(target)) => self.nothing(target),
                };
                if let Some(message) = message {
                    let path = ["permissions".into(), number.into(), "resource_fqn".into()];
                    self.add(index, &path, message);
                }
            }
        }
    }

    /// Why an account or a model is not there.
    fn nothing(&self, target: Target<'_>) -> Option<String> {
        let account = target.account;
        let accounts = || self.entries.iter().filter(|e| e.manifest.family() == PROVIDER_ACCOUNT);
        if let Some(found) = accounts().find(|entry| entry.manifest.name() == account) {
            if !target.names_account(found.manifest) {
                let (named, has) = (target.whole?.1, provider_of(found.manifest));
                return Some(format!("`{account}` is an account of `{has}`, not of `{named}`"));
            }
            let Models::One(model) = target.models else { return None };
            let id = format!("{account}/{model}");
            return (!self.models.contains_key(&id)).then(|| self.no_model(&id));
        }
        Some(match checks::nearest(account, accounts().map(|entry| entry.manifest.name())) {
            Some(near) => format!("there is no account `{account}`; did you mean `{near}`?"),
            None => format!("there is no account `{account}`"),
        })
    }
}

/// A virtual model whose targets are being walked.
struct Visit<'a> {
    id: &'a str,
    next: usize,
    deepest: usize,
}

/// `a/x -> a/y -> a/x`.
fn cycle(stack: &[Visit<'_>], back: &str) -> String {
    let round = stack.iter().map(|visit| visit.id).skip_while(|id| *id != back);
    round.chain([back]).collect::<Vec<_>>().join(" -> ")
}
