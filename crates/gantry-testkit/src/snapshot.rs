//! Small snapshots whose accounts point at mock upstreams.
//!
//! Tests of the gateway use them. They are compiled of manifests, as the control plane does it.

use gantry_kinds::kinds::Manifest;
use gantry_kinds::snapshot::compile;
use gantry_kinds::variables::{Allowed, Variables};
use gantry_model::ids::Generation;
use gantry_model::snapshot::{Caller, KEYS, KeyEntry, Secrets, Section, SnapshotSource};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::hash::{DefaultHasher, Hasher};

/// Token of `user:admin@gantry.test`, a tenant administrator.
pub const ADMIN_TOKEN: &str = "tfy_test_admin_token";
/// Token of `user:member@gantry.test` in the team `ml`, who is no administrator.
pub const MEMBER_TOKEN: &str = "tfy_test_member_token";
/// The API key that the accounts below send upstream.
pub const UPSTREAM_KEY: &str = "sk-mock-upstream";

const TENANT: &str = "test";
const ADMIN_SHA256: &str = "c77f8fd0b41a77386944296fd25af15471a80abc65a715fb4365174511922a15";
const MEMBER_SHA256: &str = "870d2ebaa76900f1cdd7cd78a8c4b6b789c91d1e76b46e067eb6124438174348";

/// A manifest for [`source`], as JSON.
#[derive(Clone, Debug)]
pub struct Entry {
    family: &'static str,
    manifest: Box<RawValue>,
}

/// A snapshot of generation 1 with these manifests and the two tokens. Variables have no values.
///
/// # Errors
/// When a manifest does not fit its kind.
pub fn source(entries: &[Entry]) -> serde_json::Result<SnapshotSource> {
    let manifests = entries
        .iter()
        .map(|entry| serde_json::from_value(json!({ entry.family: entry.manifest })))
        .collect::<serde_json::Result<Vec<Manifest>>>()?;
    let allowed = Allowed::new(vec!["*".to_owned()]).unwrap_or_default();
    let variables = Variables { allowed: &allowed, lookup: &|_| None };
    let compiled = compile(&manifests, TENANT, &variables);
    let (values, _) = compiled.values(&mut |_| Err("it is not set".to_owned()));
    let mut source = SnapshotSource {
        generation: Generation(1),
        tenant: TENANT.to_owned(),
        published_at_ms: 0,
        sections: compiled.sections(&digest)?,
        secrets: Secrets::new(values, &digest),
    };
    let key = |sha256: &str, user: &str, teams: &[&str], admin: bool| KeyEntry {
        sha256: sha256.to_owned(),
        name: user.to_owned(),
        caller: Caller {
            subject: format!("user:{user}@gantry.test"),
            teams: teams.iter().map(|&team| team.to_owned()).collect(),
            admin,
            ..Caller::default()
        },
        expires_at_ms: None,
    };
    let keys =
        [key(ADMIN_SHA256, "admin", &[], true), key(MEMBER_SHA256, "member", &["ml"], false)];
    replace(&mut source, KEYS, &keys)?;
    Ok(source)
}

/// Gives a section other entries.
///
/// # Errors
/// When an entry cannot be printed.
pub fn replace<T: Serialize>(
    source: &mut SnapshotSource,
    section: &str,
    entries: &[T],
) -> serde_json::Result<()> {
    source.sections.insert(section.to_owned(), Section::new(entries, &digest)?);
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

/// One OpenAI account called `mock` at `url`, which everybody may use; models as listed.
///
/// # Errors
/// When the types of gantry-model have changed.
pub fn one_account(url: &str, models: &[&str]) -> serde_json::Result<SnapshotSource> {
    source(&[openai("mock", url, models)?])
}

/// `provider-account/openai` whose base address is `url` + `/v1`.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn openai(name: &str, url: &str, models: &[&str]) -> serde_json::Result<Entry> {
    let types = ["chat", "completion", "embedding"];
    keyed("openai", name, &format!("{url}/v1"), (models, &types))
}

/// `provider-account/anthropic` whose base address is `url`.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn anthropic(name: &str, url: &str, models: &[&str]) -> serde_json::Result<Entry> {
    keyed("anthropic", name, url, (models, &["chat"]))
}

/// `provider-account/azure-openai` at `url`; without a version it uses the `/openai/v1` style.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn azure(
    name: &str,
    url: &str,
    deployments: &[&str],
    api_version: Option<&str>,
) -> serde_json::Result<Entry> {
    let integrations: Vec<_> = deployments
        .iter()
        .map(|deployment| {
            json!({
                "type": "integration/model/azure-openai", "name": deployment,
                "model_id": deployment, "model_types": ["chat", "embedding"],
                "api_version": api_version, "authorized_subjects": [EVERYBODY],
            })
        })
        .collect();
    account(json!({
        "type": "provider-account/azure-openai", "name": name, "azure_endpoint": url,
        "auth_data": {"type": "api-key", "api_key": UPSTREAM_KEY}, "integrations": integrations,
    }))
}

/// `provider-account/self-hosted-model`: OpenAI-compatible servers at `url` + `/v1`.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn self_hosted(name: &str, url: &str, models: &[&str]) -> serde_json::Result<Entry> {
    let integrations: Vec<_> = models
        .iter()
        .map(|model| {
            json!({
                "type": "integration/model/self-hosted-model", "name": model,
                "hosted_model_name": model, "url": format!("{url}/v1"),
                "model_server": "openai-compatible", "model_types": ["chat"],
                "authorized_subjects": [EVERYBODY],
            })
        })
        .collect();
    account(json!({
        "type": "provider-account/self-hosted-model", "name": name, "integrations": integrations,
    }))
}

/// A virtual model `group/model` with a `routing_config` as in manifests.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn virtual_model(
    group: &str,
    model: &str,
    routing_config: impl Serialize,
) -> serde_json::Result<Entry> {
    let integration = json!({
        "type": "integration/model/virtual", "name": model, "model_types": ["chat"],
        "authorized_subjects": [EVERYBODY], "routing_config": json!(routing_config),
    });
    entry(
        "virtual-model",
        json!({
            "type": "provider-account/virtual-model", "name": group,
            "integrations": [integration],
        }),
    )
}

/// Any account, as in manifests.
///
/// # Errors
/// When the manifest cannot be printed.
pub fn account(manifest: impl Serialize) -> serde_json::Result<Entry> {
    entry("provider-account", manifest)
}

/// The subject that stands for every signed-in caller.
const EVERYBODY: &str = "team:everyone";

fn keyed(
    provider: &str,
    name: &str,
    base_url: &str,
    (models, types): (&[&str], &[&str]),
) -> serde_json::Result<Entry> {
    let integrations: Vec<_> = models
        .iter()
        .map(|model| {
            json!({
                "type": format!("integration/model/{provider}"), "name": model,
                "model_id": model, "model_types": types, "authorized_subjects": [EVERYBODY],
            })
        })
        .collect();
    account(json!({
        "type": format!("provider-account/{provider}"), "name": name, "base_url": base_url,
        "auth_data": {"type": "api-key", "api_key": UPSTREAM_KEY}, "integrations": integrations,
    }))
}

fn entry(family: &'static str, manifest: impl Serialize) -> serde_json::Result<Entry> {
    Ok(Entry { family, manifest: serde_json::value::to_raw_value(&manifest)? })
}
