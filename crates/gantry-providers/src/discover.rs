//! Finding providers: by the usual environment variables, and by asking servers on this machine.
//!
//! `gantry up` calls it on each start. It only finds; what becomes of a find is the caller's.

use crate::client::{Call, call};
use bytes::Bytes;
use gantry_model::catalogue::{Provider, providers};
use http::{HeaderMap, Method};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A local server has so long to list its models.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);

/// A provider that can be used right away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The catalogue's row.
    pub provider: &'static str,
    /// Name for the account.
    pub account: String,
    /// How it was found, for people: `OPENAI_API_KEY`, `http://127.0.0.1:11434`.
    pub by: String,
    /// Reference of its credential.
    pub credential: Option<String>,
    /// Account fields: `base_url`, `azure_endpoint`, `region`.
    pub fields: Vec<(String, String)>,
    /// Fields of each of its models, such as `api_version`.
    pub model_fields: Vec<(String, String)>,
    /// Model names at the upstream.
    pub models: Vec<String>,
    /// Address of a server on this machine, up to `/v1`.
    pub local_url: Option<String>,
}

/// Looks up a variable; empty counts as absent.
pub type Variable<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Providers whose variables are set.
#[must_use]
pub fn from_environment(variable: &Variable<'_>) -> Vec<Found> {
    providers().iter().filter_map(|provider| by_variables(provider, variable)).collect()
}

fn by_variables(provider: &'static Provider, variable: &Variable<'_>) -> Option<Found> {
    let env = provider.env.as_ref()?;
    let key = env.key.iter().find(|name| variable(name).is_some())?;
    if env.required.iter().any(|name| variable(name).is_none()) {
        return None;
    }
    let values = |fields: &BTreeMap<String, String>| -> Vec<(String, String)> {
        fields
            .iter()
            .filter_map(|(field, name)| variable(name).map(|value| (field.clone(), value)))
            .collect()
    };
    let mut model_fields = values(&env.model);
    let named = model_fields.iter().position(|(field, _)| field == "model_id");
    let models = match named {
        Some(at) => vec![model_fields.swap_remove(at).1],
        None => provider.default_models.clone(),
    };
    Some(Found {
        provider: &provider.name,
        account: provider.name.clone(),
        by: key.clone(),
        credential: Some(format!("env://{key}")),
        fields: values(&env.account),
        model_fields,
        models,
        local_url: None,
    })
}

/// Addresses of servers that usually run on this machine.
pub fn usual_addresses() -> impl Iterator<Item = String> {
    providers()
        .iter()
        .flat_map(|provider| &provider.local_servers)
        .map(|server| format!("http://127.0.0.1:{}", server.port))
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    owned_by: String,
}

/// Asks the server at `address` (with or without `/v1`) for its models; `None` when it has none.
pub async fn probe(address: &str) -> Option<Found> {
    let base = address.trim_end_matches('/').trim_end_matches("/v1");
    let url = format!("{base}/v1/models");
    let headers = HeaderMap::new();
    let (method, body, timeout) = (Method::GET, Bytes::new(), PROBE_TIMEOUT);
    let answer = call(Call { method, url: &url, headers, body, timeout }).await.ok()?;
    let listing: Listing = serde_json::from_slice(&answer.body).ok()?;
    let first = listing.data.first().filter(|_| answer.status.is_success())?;
    let (provider, account) = kind(&first.owned_by);
    Some(Found {
        provider,
        account: account.to_owned(),
        by: base.to_owned(),
        credential: None,
        fields: Vec::new(),
        model_fields: Vec::new(),
        models: listing.data.into_iter().map(|model| model.id).collect(),
        local_url: Some(format!("{base}/v1")),
    })
}

/// Provider and account name by what a server calls the owner of its models.
fn kind(owned_by: &str) -> (&'static str, &'static str) {
    match owned_by {
        "llamacpp" => ("self-hosted-model", "llama-cpp"),
        "vllm" => ("self-hosted-model", "vllm"),
        "library" => ("ollama", "ollama"),
        _ => ("self-hosted-model", "local"),
    }
}
