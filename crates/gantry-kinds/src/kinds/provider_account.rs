//! `provider-account/<provider>`: credentials for one upstream and the models served through it.
//!
//! Providers are rows of `data/providers.toml` (see [`crate::catalogue`]); a row says which of the
//! optional fields below its accounts and models may carry.

use super::common::{AuthData, Collaborator, Cost, OwnedBy};
use crate::catalogue::{self, Provider, UrlStyle};
use gantry_model::secret::Secret;
pub use gantry_model::snapshot::ModelType;
use gantry_model::subject::Subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Credentials for one upstream and the models served through it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderAccount {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the account, the part before the slash in a model's name.
    #[schemars(extend("x-check" = "name"))]
    pub name: String,
    /// How Gantry proves itself to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_data: Option<AuthData>,
    /// Replaces the provider's public address, without a trailing slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub base_url: Option<String>,
    /// Azure resource, `https://NAME.openai.azure.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub azure_endpoint: Option<String>,
    /// Microsoft Foundry, `https://NAME.openai.azure.com` or `https://NAME.services.ai.azure.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub openai_endpoint: Option<String>,
    /// The Foundry project; kept, not called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub project_endpoint: Option<String>,
    /// AWS region, `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "region"))]
    pub region: Option<String>,
    /// The models.
    #[serde(default)]
    #[schemars(extend("x-check" = "models"))]
    pub integrations: Vec<ModelIntegration>,
    /// Who may use or manage the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collaborators: Vec<Collaborator>,
    /// Who owns the account.
    #[serde(default, rename = "ownedBy", skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<OwnedBy>,
    /// Taken off the catalogue's prices, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub discount_percent: Option<f64>,
}

impl ProviderAccount {
    /// Fields that accounts of every provider may carry.
    pub(crate) const COMMON: [&str; 6] =
        ["type", "name", "integrations", "collaborators", "ownedBy", "discount_percent"];

    /// The row of the catalogue: `openai` for `provider-account/openai`.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.kind.strip_prefix(catalogue::KIND_PREFIX).unwrap_or(&self.kind)
    }

    /// The address that the manifest gives for a model, if it gives any.
    #[must_use]
    pub fn given_address<'a>(
        &'a self,
        model: &'a ModelIntegration,
        style: UrlStyle,
    ) -> Option<&'a str> {
        let given = match style {
            UrlStyle::Azure => model
                .azure_endpoint
                .as_ref()
                .or(self.azure_endpoint.as_ref())
                .or(self.openai_endpoint.as_ref()),
            UrlStyle::Plain => model.url.as_ref(),
        };
        given.or(self.base_url.as_ref()).map(String::as_str)
    }
}

/// A manifest of a row of the catalogue, for docs and tests.
pub(crate) fn example(row: &Provider) -> String {
    let has = |fields: &[String], name: &str| fields.iter().any(|field| field == name);
    let mut text = format!("type: {}\nname: my-{}\n", row.kind(), row.name);
    let auth = |indent: &str| match row.auth_types.first().map(String::as_str) {
        Some("custom-host") => {
            format!("{indent}auth_data:\n{indent}  custom_host: http://127.0.0.1:11434\n")
        }
        Some("bearer-auth") => format!(
            "{indent}auth_data:\n{indent}  type: bearer-auth\n{indent}  bearer_token: env://TOKEN\n"
        ),
        _ => {
            let key = row.key_field();
            let known = row.env.as_ref().and_then(|env| env.key.first());
            let variable = known.map_or("API_KEY", String::as_str);
            format!(
                "{indent}auth_data:\n{indent}  type: api-key\n{indent}  {key}: env://{variable}\n"
            )
        }
    };
    if has(&row.account_fields, "auth_data") {
        text += &auth("");
    }
    for (field, value) in [
        ("region", "us-east-1"),
        ("azure_endpoint", "https://my-resource.openai.azure.com"),
        ("openai_endpoint", "https://my-resource.openai.azure.com"),
    ] {
        if has(&row.account_required, field) {
            text += &format!("{field}: {value}\n");
        }
    }
    text += &format!("integrations:\n  - type: {}\n    name: my-model\n", row.model_kind);
    for (field, value) in [
        ("model_id", row.example_model.as_str()),
        ("hosted_model_name", &row.example_model),
        ("url", "http://127.0.0.1:8000/v1"),
        ("azure_endpoint", "https://my-deployment.eastus.models.ai.azure.com"),
        ("model_server", "vllm-openai"),
        ("publisher", "OpenAI"),
        ("api_version", "2024-10-21"),
    ] {
        if has(&row.model_fields, field) {
            text += &format!("    {field}: {value}\n");
        }
    }
    if has(&row.model_fields, "auth_data") {
        text += &auth("    ");
    }
    text + "    model_types: [chat]\n"
}

/// One model of an account. Callers name it `account/name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelIntegration {
    /// The kind of the model.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the model; callers say `account/name`.
    #[schemars(extend("x-check" = "model-name"))]
    pub name: String,
    /// The model's (Azure: the deployment's) name at the upstream. Self-hosted models spell it
    /// `hosted_model_name`. Default: `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub model_id: Option<String>,
    /// The model's name at the server. Default: `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub hosted_model_name: Option<String>,
    /// What the model can be asked. Default: anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_types: Vec<ModelType>,
    /// What a call costs. Default: the public price, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Who may use it; collaborators of the account and tenant administrators may always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_subjects: Vec<Subject>,
    /// Own address of a self-hosted model, such as `http://10.0.0.7:8000/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub url: Option<String>,
    /// The software behind the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_server: Option<ModelServer>,
    /// Headers of every request, such as a credential of one's own making.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"x-check": "header-to-set"}, "writeOnly" = true))]
    pub headers: BTreeMap<String, Secret>,
    /// How the server's certificate is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_settings: Option<TlsSettings>,
    /// How Gantry proves itself to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_data: Option<AuthData>,
    /// Address of the deployment, `https://NAME.REGION.models.ai.azure.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "url"))]
    pub azure_endpoint: Option<String>,
    /// Azure's dated API version; without one the `/openai/v1` URL style is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "api-version"))]
    pub api_version: Option<String>,
    /// Where Azure processes requests: in one region, in a data zone or anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["standard", "datazone_us", "datazone_eu", "global", null]))]
    pub deployment_type: Option<String>,
    /// The model behind a deployment, `gpt-4o-2024-11-20`: it finds the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub foundation_model: Option<String>,
    /// Who made the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["OpenAI", "Other", null]))]
    pub publisher: Option<String>,
    /// Set by TrueFoundry's console; kept, not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tfy_application_id: Option<String>,
}

impl ModelIntegration {
    /// Fields that models of every provider may carry.
    pub(crate) const COMMON: [&str; 5] =
        ["type", "name", "model_types", "cost", "authorized_subjects"];

    /// The name sent upstream.
    #[must_use]
    pub fn upstream_name(&self) -> &str {
        self.model_id.as_deref().or(self.hosted_model_name.as_deref()).unwrap_or(&self.name)
    }
}

/// The software behind a self-hosted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelServer {
    OpenaiCompatible,
    VllmOpenai,
    Tei,
    Infinity,
    NemoRetriever,
    CohereRerankV2,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsSettings {
    /// `false` accepts any certificate. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_unauthorized: Option<bool>,
    /// PEM certificates trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "certificate"))]
    pub ca_cert: Option<String>,
}
