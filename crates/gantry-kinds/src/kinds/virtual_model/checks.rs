//! Checks of virtual models against all other models: short names, targets that cannot serve,
//! cycles and depth.

use super::{NESTING_MAX, VirtualModel, VirtualModelAccount, target_path};
use crate::kind::{Found, Set};
use crate::kinds::provider_account::{ModelType, ProviderAccount};
use crate::manifest::tree::Step;
use std::collections::{BTreeMap, HashMap};

/// Adds what is wrong with the virtual models of a set.
pub(super) fn run(set: &Set<'_>, found: &mut Found) {
    let checker = Checker::new(set);
    checker.check_short_names(found);
    checker.check_targets(found);
    checker.check_nesting(found);
}

/// A virtual model and where it is written: manifest, then index among the integrations.
#[derive(Clone, Copy)]
struct Virtual<'a> {
    manifest: usize,
    index: usize,
    model: &'a VirtualModel,
}

impl Virtual<'_> {
    fn path(&self, rest: impl IntoIterator<Item = Step>) -> Vec<Step> {
        let head = ["integrations".into(), self.index.into()];
        head.into_iter().chain(rest).collect()
    }

    fn targets(&self) -> impl Iterator<Item = &str> {
        self.model.routing_config.targets().iter().map(|target| target.target.as_str())
    }
}

struct Checker<'a> {
    /// What each model serves, by `account/model`; empty means anything.
    models: BTreeMap<String, &'a [ModelType]>,
    virtuals: BTreeMap<String, Virtual<'a>>,
}

impl<'a> Checker<'a> {
    fn new(set: &Set<'a>) -> Self {
        let mut models = BTreeMap::new();
        let mut virtuals = BTreeMap::new();
        for (_, account) in set.of::<ProviderAccount>() {
            for model in &account.integrations {
                let id = format!("{}/{}", account.name, model.name);
                models.insert(id, model.model_types.as_slice());
            }
        }
        for (manifest, group) in set.of::<VirtualModelAccount>() {
            for (index, model) in group.integrations.iter().enumerate() {
                let id = format!("{}/{}", group.name, model.name);
                models.insert(id.clone(), model.model_types.as_slice());
                virtuals.insert(id, Virtual { manifest, index, model });
            }
        }
        Self { models, virtuals }
    }

    /// Slugs and aliases stand for one model each and hide no whole name.
    fn check_short_names(&self, found: &mut Found) {
        let mut owners: HashMap<&'a str, &str> = HashMap::new();
        for (id, place) in &self.virtuals {
            let slug = place.model.slug.as_deref().map(|slug| (slug, vec!["slug".into()]));
            let aliases = place.model.alias.iter().enumerate();
            let aliases = aliases.map(|(i, name)| (name.as_str(), vec!["alias".into(), i.into()]));
            for (name, rest) in slug.into_iter().chain(aliases) {
                let message = if self.models.contains_key(name) {
                    format!("`{name}` is the name of a model")
                } else if let Some(owner) = owners.get(name) {
                    format!("`{name}` already stands for `{owner}`")
                } else {
                    owners.insert(name, id);
                    continue;
                };
                found.push((place.manifest, place.path(rest), message));
            }
        }
    }

    /// Models that do not say what they serve can be targets of any.
    fn check_targets(&self, found: &mut Found) {
        for place in self.virtuals.values() {
            for (number, target) in place.targets().enumerate() {
                let Some(types) = self.models.get(target) else { continue };
                let wanted = place.model.model_types.iter();
                let missing = wanted.filter(|type_| !types.is_empty() && !types.contains(type_));
                let missing: Vec<&str> = missing.map(|missing| missing.as_str()).collect();
                if !missing.is_empty() {
                    let message = format!("`{target}` does not serve {}", missing.join(", "));
                    found.push((place.manifest, target_path(place.index, number), message));
                }
            }
        }
    }

    /// Walks the virtual models depth first, with a stack of its own, because the input decides
    /// how deep they go.
    fn check_nesting(&self, found: &mut Found) {
        let mut depths: HashMap<&str, Option<usize>> = HashMap::new();
        for start in self.virtuals.keys() {
            if depths.contains_key(start.as_str()) {
                continue;
            }
            depths.insert(start, None);
            let mut stack = vec![Visit { id: start, next: 0, deepest: 0 }];
            while let Some(top) = stack.last_mut() {
                let Some(place) = self.virtuals.get(top.id) else { break };
                let number = top.next;
                top.next += 1;
                let Some(target) = place.model.routing_config.targets().get(number) else {
                    let (id, depth) = (top.id, top.deepest + 1);
                    stack.pop();
                    depths.insert(id, Some(depth));
                    found.extend(too_deep(place, depth));
                    if let Some(parent) = stack.last_mut() {
                        parent.deepest = parent.deepest.max(depth);
                    }
                    continue;
                };
                let Some((id, _)) = self.virtuals.get_key_value(&target.target) else { continue };
                match depths.get(id.as_str()) {
                    Some(Some(depth)) => top.deepest = top.deepest.max(*depth),
                    Some(None) => {
                        let message = format!("routes to itself: {}", cycle(&stack, id));
                        found.push((place.manifest, target_path(place.index, number), message));
                    }
                    None => {
                        depths.insert(id, None);
                        stack.push(Visit { id, next: 0, deepest: 0 });
                    }
                }
            }
        }
    }
}

/// Said once of a chain, by the model in it that is the first too many.
fn too_deep(place: &Virtual<'_>, depth: usize) -> Option<(usize, Vec<Step>, String)> {
    (depth == NESTING_MAX + 1).then(|| {
        let message = format!("virtual models are nested more than {NESTING_MAX} deep");
        (place.manifest, place.path(["routing_config".into()]), message)
    })
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
