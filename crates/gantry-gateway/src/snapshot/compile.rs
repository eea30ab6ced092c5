//! From published manifests to the compiled snapshot.
//!
//! It never fails as a whole: a model that cannot be used becomes [`Broken`] with its reason, so
//! that one wrong secret does not stop the others.

use super::{
    Access, Broken, Entry, Key, Keys, Model, Models, Policy, Snapshot, Strategy, Target, Virtual,
};
use crate::route::health::Registry;
use crate::route::{lot, strategy_name};
use gantry_kinds::catalogue;
use gantry_kinds::kinds::common::{HeadersOverride, is_own_header};
use gantry_kinds::kinds::provider_account::ModelIntegration;
use gantry_kinds::kinds::virtual_model::{self, RoutingConfig, VirtualModel};
use gantry_kinds::kinds::{Manifest, ProviderAccount, VirtualModelAccount};
use gantry_kinds::price::ModelPrice;
use gantry_kinds::snapshot::SnapshotSource;
use gantry_llm::operation::Apis;
use gantry_model::secret::Secret;
use gantry_providers::auth;
use gantry_providers::upstream::Upstream;
use gantry_runtime::errors::sentence;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Virtual models may point to virtual models so deep; validation refuses cycles earlier.
const NESTING_MAX: usize = 8;

/// Compiles `source`.
#[must_use]
pub fn compile(source: &SnapshotSource, health: &Registry, apis: &Apis) -> Snapshot {
    let resolve = |reference: &str| -> Option<Secret> { source.secrets.get(reference).cloned() };
    let mut compiler = Compiler { models: Models::default(), virtuals: BTreeMap::new() };
    let mut retry = None;
    let mut logging = None;
    for manifest in &source.manifests {
        match manifest {
            Manifest::ProviderAccount(account) => {
                compiler.add_account(account, (health, apis), &resolve);
            }
            Manifest::VirtualModel(group) => compiler.add_group(group),
            Manifest::GlobalSettings(settings) => {
                retry = settings.retry_settings.clone();
                logging = settings.logging_settings.clone();
            }
            Manifest::VirtualAccount(_) => {}
        }
    }
    let names: Vec<String> = compiler.virtuals.keys().cloned().collect();
    for name in &names {
        compiler.resolve(name, &resolve, 0);
    }
    compiler.add_short_names();
    Snapshot {
        generation: source.generation,
        tenant: source.tenant.clone(),
        keys: keys(source),
        models: compiler.models,
        retry,
        logging,
    }
}

struct Compiler<'a> {
    models: Models,
    virtuals: BTreeMap<String, (&'a VirtualModel, Access)>,
}

impl<'a> Compiler<'a> {
    fn add_account(
        &mut self,
        account: &ProviderAccount,
        (health, apis): (&Registry, &Apis),
        resolve: &auth::Resolve<'_>,
    ) {
        for model in &account.integrations {
            let id = format!("{}/{}", account.name, model.name);
            let access = Access::new(&model.authorized_subjects, &account.collaborators);
            let entry = match Upstream::compile(account, model, resolve, apis) {
                Ok(upstream) => Entry::Real(Arc::new(Model {
                    upstream_model: model.upstream_name().to_owned(),
                    upstream_model_json: json_string(model.upstream_name()),
                    traits: upstream.provider.quirks.model(model.upstream_name()),
                    claude: catalogue::claude(model.upstream_name()),
                    types: model.model_types.clone(),
                    price: price_of(account, model, &id),
                    health: health.of(&id),
                    access,
                    upstream,
                    id_header: HeaderValue::from_str(&id).ok(),
                    id: id.clone(),
                })),
                Err(error) => {
                    let reason = reason(&error);
                    tracing::warn!(model = %id, %reason, "model is not available");
                    Entry::Broken(Arc::new(Broken { id: id.clone(), reason, access }))
                }
            };
            self.models.insert(id, entry);
        }
    }

    fn add_group(&mut self, group: &'a VirtualModelAccount) {
        for model in &group.integrations {
            let id = format!("{}/{}", group.name, model.name);
            let access = Access::new(&model.authorized_subjects, &group.collaborators);
            self.virtuals.insert(id, (model, access));
        }
    }

    /// The entry of a name, compiling virtual models on first use.
    fn resolve(&mut self, name: &str, secrets: &auth::Resolve<'_>, depth: usize) -> Option<Entry> {
        if let Some(entry) = self.models.get(name) {
            return Some(entry.clone());
        }
        let (model, access) = self.virtuals.get(name).cloned()?;
        if depth >= NESTING_MAX {
            return None;
        }
        let strict = model.routing_config.strict();
        let mut targets = Vec::new();
        for spec in model.routing_config.targets() {
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
                policy: Arc::new(policy(spec, strict, secrets)),
            });
        }
        let strategy = strategy(&model.routing_config);
        let kind = strategy_name(&strategy);
        let applied = format!(r#"{{"routing":{{"model":"{name}","type":"{kind}"}}}}"#);
        let entry = Entry::Virtual(Arc::new(Virtual {
            id: name.to_owned(),
            applied: HeaderValue::from_str(&applied).ok(),
            reason: format!("virtual model, {kind}"),
            types: model.model_types.clone(),
            access,
            strategy,
            targets,
        }));
        self.models.insert(name.to_owned(), entry.clone());
        Some(entry)
    }

    /// Slugs and aliases; a whole name always wins over them.
    fn add_short_names(&mut self) {
        let mut short = Vec::new();
        for (id, (model, _)) in &self.virtuals {
            for name in model.slug.iter().chain(&model.alias) {
                short.push((name.clone(), id.clone()));
            }
        }
        for (name, id) in short {
            if let Some(entry) = self.models.get(&id).cloned() {
                self.models.entry(name).or_insert(entry);
            }
        }
    }
}

fn strategy(config: &RoutingConfig) -> Strategy {
    match config {
        RoutingConfig::Weight { sticky_routing, .. } => {
            Strategy::Weight { sticky: sticky_routing.clone() }
        }
        RoutingConfig::Latency { .. } => Strategy::Latency,
        RoutingConfig::Priority { .. } => Strategy::Priority,
    }
}

fn policy(spec: &virtual_model::Target, strict: bool, resolve: &auth::Resolve<'_>) -> Policy {
    let (set_headers, remove_headers) = match &spec.headers_override {
        Some(headers) => header_edits(headers, resolve),
        None => Default::default(),
    };
    let override_params = spec
        .override_params
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string().into_bytes()))
        .collect();
    Policy {
        retry: spec.retry_config.clone(),
        fallback_codes: spec.fallback_status_codes.clone(),
        fallback_candidate: spec.fallback_candidate.unwrap_or(true),
        override_params,
        set_headers,
        remove_headers,
        metadata_match: spec.metadata_match.clone().into_iter().collect(),
        sla: spec.sla_cutoff.clone(),
        strict,
    }
}

fn header_edits(
    headers: &HeadersOverride,
    resolve: &auth::Resolve<'_>,
) -> (HeaderMap, Vec<HeaderName>) {
    let mut set = HeaderMap::new();
    for (name, value) in &headers.set {
        let value = auth::clear(value, resolve).and_then(|value| auth::sensitive(value.expose()));
        match (name.parse::<HeaderName>(), value) {
            (Ok(name), Ok(value)) if !is_own_header(name.as_str().as_bytes()) => {
                set.insert(name, value);
            }
            _ => tracing::warn!(header = %name, "headers_override is not usable, left out"),
        }
    }
    let remove = headers.remove.iter().filter_map(|name| name.parse().ok()).collect();
    (set, remove)
}

fn keys(source: &SnapshotSource) -> Keys {
    let entry = |entry: &gantry_model::snapshot::KeyEntry| {
        let key = Key {
            name: entry.name.as_str().into(),
            caller: Arc::new(entry.caller.clone()),
            expires_at_ms: entry.expires_at_ms,
        };
        digest(&entry.sha256).map(|digest| (digest, key))
    };
    source.keys.iter().filter_map(entry).collect()
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A price that is none is refused by validation; here it only costs the price.
fn price_of(account: &ProviderAccount, model: &ModelIntegration, id: &str) -> Option<ModelPrice> {
    ModelPrice::of(account, model).unwrap_or_else(|error| {
        tracing::warn!(model = id, %error, "model has no usable price");
        None
    })
}

fn json_string(text: &str) -> Vec<u8> {
    // A string always prints.
    serde_json::to_vec(text).unwrap_or_default()
}

fn reason(error: &dyn std::error::Error) -> String {
    format!("failed to {}", sentence(error))
}
