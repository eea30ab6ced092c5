//! What lists show of models, and names that callers may use in place of whole ones.

use super::Compiled;
use crate::catalogue::listing;
use gantry_model::snapshot::{ListingEntry, ModelEntry};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Longer names are no names of models.
const SHORT_NAME_MAX: usize = 128;

/// The listings of models that the catalogue knows.
pub(super) fn of(models: &[ModelEntry]) -> Vec<ListingEntry> {
    let mut listings = Vec::new();
    for model in models {
        let Some(upstream) = &model.upstream else { continue };
        let known = listing(&upstream.model);
        if known.title.is_some() || known.released_ms.is_some() {
            listings.push(ListingEntry {
                model: model.name.clone(),
                short_name: None,
                title: known.title,
                released_ms: known.released_ms,
            });
        }
    }
    listings
}

impl Compiled {
    /// Gives each model its vendor's own name, such as `gpt-4o`, as long as nothing else has it:
    /// no other model is called so, nor a virtual one, and it names no account that there is.
    ///
    /// Clients judge by names what a model can do, and know those of vendors.
    pub fn add_short_names(&mut self) {
        let mut owners: BTreeMap<String, Option<String>> = BTreeMap::new();
        for model in &self.models {
            let Some(name) = short_name(model) else { continue };
            let owner = owners.entry(name).or_insert_with(|| Some(model.name.clone()));
            if owner.as_ref() != Some(&model.name) {
                *owner = None;
            }
        }
        let taken = self.taken();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (at, listing) in self.listings.iter().enumerate() {
            known.insert(listing.model.clone(), at);
        }
        for (name, model) in owners {
            let account = name.split_once('/').map(|(account, _)| account);
            let Some(model) = model.filter(|_| !taken.contains(&name)) else { continue };
            if account.is_some_and(|account| taken.contains(account)) {
                continue;
            }
            let short_name = Some(name);
            match known.get(&model).and_then(|at| self.listings.get_mut(*at)) {
                Some(listing) => listing.short_name = short_name,
                None => {
                    let listing = ListingEntry { model, short_name, ..ListingEntry::default() };
                    self.listings.push(listing);
                }
            }
        }
    }

    /// Names that models have already, and those of their accounts.
    fn taken(&self) -> HashSet<String> {
        let routes = self.routes.iter().flat_map(|route| route.names.iter().chain([&route.name]));
        let whole: Vec<&String> =
            self.models.iter().map(|model| &model.name).chain(routes).collect();
        let accounts = whole.iter().filter_map(|name| name.split_once('/')).map(|(first, _)| first);
        accounts.map(str::to_owned).chain(whole.iter().map(|name| (*name).clone())).collect()
    }
}

/// The name at the upstream, if it can be one; else, as for a file of a local server, the model's
/// own one in its account.
fn short_name(model: &ModelEntry) -> Option<String> {
    let upstream = model.upstream.as_ref()?.model.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    let usable = |name: &str| {
        name.len() <= SHORT_NAME_MAX
            && name.chars().all(plain)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let own = model.name.split_once('/').map(|(_, own)| own);
    [Some(upstream), own].into_iter().flatten().find(|name| usable(name)).map(str::to_owned)
}
