//! Providers as data: the rows of `data/providers.toml` and `data/models.toml`, compiled in.
//!
//! Validation of manifests, JSON Schemas, the upstream client and the discovery of `gantry up` all
//! read it. A provider with a known dialect is one row there and no code here.

mod claude;
mod listings;
mod models;

pub use claude::claude;
pub use listings::{Listing, listing};

use gantry_model::facts::{DialectName, Quirks};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Prefix of the kinds of provider accounts.
pub const KIND_PREFIX: &str = "provider-account/";

/// Spells the key of its `auth_data` `apiKey`.
pub(crate) const GEMINI: &str = "google-gemini";

/// How a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `api-key: KEY` (Azure OpenAI).
    ApiKey,
    /// `x-api-key: KEY` (Anthropic).
    XApiKey,
    /// No credential.
    None,
}

/// How a request's URL is made from address, operation and model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UrlStyle {
    /// `{base_url}/{operation}`.
    Plain,
    /// `{endpoint}/openai/deployments/{model}/{operation}?api-version=` with an `api_version`,
    /// `{endpoint}/openai/v1/{operation}` without.
    Azure,
}

/// One row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The part of the kind after `provider-account/`.
    pub name: String,
    /// For people, `Azure OpenAI`.
    pub title: String,
    pub dialect: DialectName,
    /// What an address of the account's own ends with, `/v1`; it is added where it is missing.
    #[serde(default)]
    pub version_path: String,
    #[serde(default = "plain")]
    pub url_style: UrlStyle,
    /// Public address with its version path, without a trailing slash. `{region}` stands for the
    /// account's region. `None`: the manifest gives the address.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How the key of `auth_data` type `api-key` travels. The other types travel the same way at
    /// every provider: `basic-auth` as RFC 7617, `bearer-auth` as RFC 6750.
    #[serde(default = "bearer")]
    pub auth_scheme: AuthScheme,
    /// Types of `auth_data` that are accepted, the usual one first.
    #[serde(default)]
    pub auth_types: Vec<String>,
    /// Types of `auth_data` that the provider knows and Gantry does not implement yet.
    #[serde(default)]
    pub auth_types_later: Vec<String>,
    /// Optional fields of [`crate::kinds::ProviderAccount`] that its accounts may carry.
    #[serde(default)]
    pub account_fields: Vec<String>,
    /// Those among them that must be there.
    #[serde(default)]
    pub account_required: Vec<String>,
    /// Optional fields of [`crate::kinds::provider_account::ModelIntegration`] that its models may
    /// carry.
    #[serde(default)]
    pub model_fields: Vec<String>,
    #[serde(default)]
    pub model_required: Vec<String>,
    /// Fields that the provider's manifests know and Gantry does not implement yet.
    #[serde(default)]
    pub fields_later: Vec<String>,
    /// `type` of its models, `integration/model/openai`.
    pub model_kind: String,
    /// A model name for examples.
    pub example_model: String,
    /// How `gantry up` finds it in the environment.
    #[serde(default)]
    pub env: Option<Discovery>,
    /// Whether `GET {base_url}/models` lists what a key may call. Azure lists what could be
    /// deployed instead.
    #[serde(default = "yes")]
    pub lists_models: bool,
    /// Models that a discovered account gets when the upstream cannot list its own.
    #[serde(default)]
    pub default_models: Vec<String>,
    /// Servers of this provider that may run on the same machine.
    #[serde(default)]
    pub local_servers: Vec<LocalServer>,
    #[serde(default)]
    pub quirks: Quirks,
}

impl Provider {
    /// The kind of its accounts, `provider-account/openai`.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{}{}", KIND_PREFIX, self.name)
    }

    /// How its manifests spell the key of `auth_data` type `api-key`.
    #[must_use]
    pub fn key_field(&self) -> &'static str {
        if self.name == GEMINI { "apiKey" } else { "api_key" }
    }
}

/// Variables of the process that describe an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Variables that may hold the key; the first one set wins.
    pub key: Vec<String>,
    /// Variables that may hold a field of the account, by field; the first one set wins. A provider
    /// that lacks a field of [`Provider::account_required`] counts as not there.
    #[serde(default)]
    pub account: BTreeMap<String, Vec<String>>,
    /// Variables that may hold a field of its models, by field.
    #[serde(default)]
    pub model: BTreeMap<String, Vec<String>>,
    /// Variables of credentials that Gantry cannot use yet.
    #[serde(default)]
    pub later: Vec<String>,
}

/// A server that `gantry up` looks for on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalServer {
    /// For people, and the name of the discovered account: `ollama`, `vllm`.
    pub name: String,
    /// Its usual port on 127.0.0.1.
    pub port: u16,
    /// Path that tells it from other servers on that port; it answers 200 to `GET`.
    pub probe: String,
    /// `model_server` of the discovered models.
    #[serde(default)]
    pub model_server: Option<String>,
}

fn plain() -> UrlStyle {
    UrlStyle::Plain
}

fn bearer() -> AuthScheme {
    AuthScheme::Bearer
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Provider>,
}

fn read(text: &str) -> Result<Vec<Provider>, toml::de::Error> {
    let mut providers = toml::from_str::<File>(text)?.provider;
    models::join(&mut providers, include_str!("../data/models.toml"))?;
    Ok(providers)
}

/// All rows, in the order of the file.
#[must_use]
pub fn providers() -> &'static [Provider] {
    static ROWS: OnceLock<Vec<Provider>> = OnceLock::new();
    // The text is compiled in and a test reads it: there is no error to hand to anybody.
    ROWS.get_or_init(|| read(include_str!("../data/providers.toml")).unwrap_or_default())
}

/// The row of a name, such as `azure-openai`.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    providers().iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
