//! From published sections to the compiled snapshot.
//!
//! It never fails as a whole: a model that cannot be used becomes [`Broken`] with its reason, so
//! that neither a wrong secret nor an entry of a later release stops the others. What did not
//! change since the snapshot before is taken over from it.

use super::access::{Access, Lists};
use super::entries::{digest, read, settings};
use super::served::{Priced, ServedPrices};
use super::{Broken, Entry, Key, Keys, Listing, Model, Models, Policy, Snapshot, Target, Virtual};
use crate::route::health::Registry;
use crate::route::{lot, strategy_name};
use gantry_llm::operation::Apis;
use gantry_model::secret::Secret;
use gantry_model::snapshot::{
    ACCESS, AccessEntry, AccessList, AccessLookup, Digests, HeaderEntry, KEYS, KeyEntry, LISTINGS,
    ListingEntry, MODELS, ModelEntry, ROUTES, RouteEntry, SECRETS, SETTINGS, SnapshotSource,
    TargetEntry, Unread, UpstreamEntry, is_own_header,
};
use gantry_providers::auth;
use gantry_providers::upstream::Upstream;
use gantry_runtime::errors::sentence;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Routes may point to routes so deep; validation refuses cycles earlier.
const NESTING_MAX: usize = 8;

/// What models and routes are compiled of.
const OF_MODELS: [&str; 5] = [ACCESS, LISTINGS, MODELS, ROUTES, SECRETS];

/// Compiles `source`, with what `before` has already.
#[must_use]
pub fn compile(
    source: &SnapshotSource,
    with: (&Registry, &Apis),
    before: Option<&Snapshot>,
) -> Snapshot {
    let digests = source.digests();
    let kept = |sections: &[&str]| {
        before.filter(|before| sections.iter().all(|name| same(&before.digests, &digests, name)))
    };
    let keys = match kept(&[KEYS]) {
        Some(before) => before.keys.clone(),
        None => Arc::new(keys(source)),
    };
    let models = match kept(&OF_MODELS) {
        Some(before) => before.models.clone(),
        None => Arc::new(models(source, with)),
    };
    let (retry, logging) = settings(source.section(SETTINGS));
    Snapshot {
        generation: source.generation,
        tenant: source.tenant.clone(),
        keys,
        models,
        retry,
        logging,
        digests,
    }
}

/// Whether a section is the same in both. An empty digest says nothing.
fn same(before: &Digests, now: &Digests, name: &str) -> bool {
    let known = before.get(name).filter(|digest| !digest.is_empty());
    known.is_some() && known == now.get(name)
}

fn keys(source: &SnapshotSource) -> Keys {
    let (mut keys, mut unread) = (Keys::default(), 0_usize);
    for entry in read::<KeyEntry>(source.section(KEYS)) {
        let found = entry.ok().and_then(|entry| {
            let key = Key {
                name: entry.name.into(),
                caller: Arc::new(entry.caller),
                expires_at_ms: entry.expires_at_ms,
            };
            Some((digest(&entry.sha256)?, key))
        });
        match found {
            Some((digest, key)) => drop(keys.insert(digest, key)),
            None => unread += 1,
        }
    }
    if unread > 0 {
        tracing::warn!(count = unread, "keys that this release cannot read, not accepted");
    }
    keys
}

fn models(source: &SnapshotSource, with: (&Registry, &Apis)) -> Models {
    let resolve = |reference: &str| -> Option<Secret> { source.secrets.get(reference).cloned() };
    let lists = read::<AccessList>(source.section(ACCESS)).into_iter().filter_map(|list| {
        list.inspect_err(|unread| {
            let name = unread.field::<String>("name").unwrap_or_default();
            tracing::warn!(list = name, reason = unread.reason, "access list admits nobody");
        })
        .ok()
    });
    let lists = Lists::new(lists);
    let mut compiler = Compiler { lists, ..Compiler::default() };
    // One that cannot be read is shown by its name alone.
    let listings = read::<ListingEntry>(source.section(LISTINGS)).into_iter().flatten();
    listings.for_each(|listing| compiler.add_listing(listing));
    for entry in read::<ModelEntry>(source.section(MODELS)) {
        match entry {
            Ok(entry) => compiler.add_model(entry, with, &resolve),
            Err(unread) => compiler.add_unread(&unread),
        }
    }
    for entry in read::<RouteEntry>(source.section(ROUTES)) {
        match entry {
            Ok(entry) => compiler.add_route(entry),
            Err(unread) => compiler.add_unread(&unread),
        }
    }
    let names: Vec<String> = compiler.routes.keys().cloned().collect();
    for name in &names {
        compiler.resolve(name, &resolve, 0);
    }
    compiler.add_short_names();
    compiler.served.fill(compiler.models.values().filter_map(priced));
    compiler.models
}

fn priced(entry: &Entry) -> Option<Priced<'_>> {
    let Entry::Real(model) = entry else { return None };
    Some(Priced {
        id: &model.id,
        provider: &model.upstream.provider,
        upstream_model: &model.upstream_model,
        price: model.price.as_ref()?,
    })
}

#[derive(Default)]
struct Compiler {
    models: Models,
    routes: BTreeMap<String, Arc<RouteEntry>>,
    /// Further names of routes, by their whole names.
    short: BTreeMap<String, Vec<String>>,
    lists: Lists,
    served: ServedPrices,
    /// By the models' whole names.
    listings: HashMap<String, Listing>,
    /// Whole names by names that nothing else had when the snapshot was made.
    vendors: BTreeMap<String, String>,
}

impl Compiler {
    fn add_listing(&mut self, entry: ListingEntry) {
        let ListingEntry { model, short_name, title, released_ms } = entry;
        if let Some(name) = short_name {
            self.vendors.insert(name, model.clone());
        }
        self.listings.insert(model, Listing { title, released_ms });
    }

    fn add_model(
        &mut self,
        entry: ModelEntry,
        (health, apis): (&Registry, &Apis),
        resolve: &auth::Resolve<'_>,
    ) {
        let ModelEntry { name, access, types, upstream, unavailable, price } = entry;
        let served = match (upstream, unavailable) {
            (Some(upstream), None) => match Upstream::compile(&upstream, resolve, apis) {
                Ok(compiled) => Ok((compiled, upstream)),
                Err(error) => Err(sentence(&error)),
            },
            (_, Some(reason)) => Err(reason),
            (None, None) => Err("find its upstream".to_owned()),
        };
        let (upstream, entry) = match served {
            Ok(served) => served,
            Err(reason) => return self.add_broken(&name, access, &reason),
        };
        let access = Access::new(&name, access, &self.lists);
        let UpstreamEntry { model, quirks, traits, claude, .. } = entry;
        let model = Model {
            // A string always prints.
            upstream_model_json: serde_json::to_vec(&model).unwrap_or_default(),
            upstream_model: model,
            quirks,
            traits,
            claude,
            types,
            served_prices: price.is_none().then(|| self.served.clone()),
            price,
            health: health.of(&name),
            access,
            listing: self.listings.remove(&name).unwrap_or_default(),
            upstream,
            id_header: HeaderValue::from_str(&name).ok(),
            id: name.clone(),
        };
        self.models.insert(name, Entry::Real(Arc::new(model)));
    }

    fn add_route(&mut self, entry: RouteEntry) {
        self.short.insert(entry.name.clone(), entry.names.clone());
        self.routes.insert(entry.name.clone(), Arc::new(entry));
    }

    fn add_unread(&mut self, unread: &Unread) {
        let found = AccessLookup::of(unread);
        let Some(name) = found.name else {
            tracing::warn!(reason = unread.reason, "a model without a name, left out");
            return;
        };
        self.add_broken(&name, found.access, &unread.reason);
        self.short.insert(name, found.names);
    }

    fn add_broken(&mut self, name: &str, access: AccessEntry, reason: &str) {
        let reason = format!("failed to {reason}");
        tracing::warn!(model = name, reason, "model is not available");
        let access = Access::new(name, access, &self.lists);
        let broken = Broken { id: name.to_owned(), reason, access };
        self.models.insert(name.to_owned(), Entry::Broken(Arc::new(broken)));
    }

    /// The entry of a name, compiling routes on first use.
    fn resolve(&mut self, name: &str, secrets: &auth::Resolve<'_>, depth: usize) -> Option<Entry> {
        if let Some(entry) = self.models.get(name) {
            return Some(entry.clone());
        }
        let route = self.routes.get(name).cloned()?;
        if depth >= NESTING_MAX {
            return None;
        }
        if let Some(reason) = &route.unavailable {
            self.add_broken(name, route.access.clone(), reason);
            return self.models.get(name).cloned();
        }
        let mut targets = Vec::new();
        for spec in &route.targets {
            let Some(entry) = self.resolve(&spec.target, secrets, depth + 1) else {
                tracing::warn!(model = name, target = %spec.target, "target does not exist");
                continue;
            };
            let same = |target: &&Target| target.entry.id() == entry.id();
            let earlier = targets.iter().filter(same).count();
            targets.push(Target {
                lot: lot(name, entry.id(), earlier),
                entry,
                weight: spec.weight.unwrap_or_default(),
                priority: spec.priority.unwrap_or_default(),
                policy: Arc::new(policy(spec, route.strict, secrets)),
            });
        }
        let kind = strategy_name(&route.strategy);
        let applied = format!(r#"{{"routing":{{"model":"{name}","type":"{kind}"}}}}"#);
        let entry = Entry::Virtual(Arc::new(Virtual {
            id: name.to_owned(),
            applied: HeaderValue::from_str(&applied).ok(),
            reason: format!("virtual model, {kind}"),
            types: route.types.clone(),
            access: Access::new(name, route.access.clone(), &self.lists),
            strategy: route.strategy.clone(),
            targets,
        }));
        self.models.insert(name.to_owned(), entry.clone());
        Some(entry)
    }

    /// Slugs and aliases, then vendors' names; a whole name always wins over them.
    fn add_short_names(&mut self) {
        for (id, names) in &self.short {
            let Some(entry) = self.models.get(id).cloned() else { continue };
            for name in names {
                self.models.entry(name.clone()).or_insert_with(|| entry.clone());
            }
        }
        for (name, id) in std::mem::take(&mut self.vendors) {
            let Some(entry) = self.models.get(&id).cloned() else { continue };
            self.models.entry(name).or_insert(entry);
        }
    }
}

fn policy(spec: &TargetEntry, strict: bool, resolve: &auth::Resolve<'_>) -> Policy {
    let params = spec.override_params.iter();
    let remove = spec.remove_headers.iter().filter_map(|name| name.parse().ok());
    Policy {
        retry: spec.retry.clone(),
        fallback_codes: spec.fallback_codes.clone(),
        fallback_candidate: spec.fallback_candidate.unwrap_or(true),
        override_params: params
            .map(|param| (param.name.clone(), param.value.get().as_bytes().to_vec()))
            .collect(),
        set_headers: set_headers(&spec.set_headers, resolve),
        remove_headers: remove.collect(),
        metadata_match: spec.metadata_match.clone().into_iter().collect(),
        sla: spec.sla.clone(),
        strict,
    }
}

fn set_headers(headers: &[HeaderEntry], resolve: &auth::Resolve<'_>) -> HeaderMap {
    let mut set = HeaderMap::new();
    for HeaderEntry { name, value } in headers {
        match (name.parse::<HeaderName>(), auth::header(value, resolve)) {
            (Ok(name), Ok(value)) if !is_own_header(name.as_str().as_bytes()) => {
                set.insert(name, value);
            }
            _ => tracing::warn!(header = %name, "headers_override is not usable, left out"),
        }
    }
    set
}

#[cfg(test)]
mod tests;
