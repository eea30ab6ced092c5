//! `provider-account/<provider>`: credentials for one upstream and the models served through it.
//!
//! Providers are rows of `data/providers.toml` (see [`crate::catalogue`]); a row says which of the
//! optional fields below its accounts and models may carry.

mod example;
mod schema;
mod spelling;

use super::access::subjects;
use super::common::{AuthData, Collaborator, Cost, OwnedBy};
use crate::catalogue::{self, Provider, UrlStyle};
use crate::kind::{Kind, Reference};
use crate::roles::PROVIDER_ACCOUNT;
use crate::schema::build;
use gantry_model::secret::Secret;
pub use gantry_model::snapshot::ModelType;
use gantry_model::subject::Subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    const COMMON: [&str; 6] =
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

impl Kind for ProviderAccount {
    const FAMILY: &'static str = PROVIDER_ACCOUNT;
    const COLLECTION: &'static str = "provider-accounts";
    const TITLE: &'static str = "Credentials for one upstream and the models served through it.";

    fn spellings() -> Vec<String> {
        catalogue::providers().iter().map(Provider::kind).collect()
    }

    fn example(kind: &str) -> String {
        row(kind).map(example::of).unwrap_or_default()
    }

    fn schema(kind: &str) -> Value {
        let mut root = build::generate::<Self>(kind);
        if let Some(row) = row(kind) {
            schema::narrow(&mut root, row);
        }
        root
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn respell_in(fields: &mut Map<String, Value>) {
        spelling::read(fields);
    }

    fn respell_out(fields: &mut Map<String, Value>) {
        spelling::write(fields);
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let models = self.integrations.iter().map(|model| model.authorized_subjects.as_slice());
        subjects(&self.collaborators, models)
    }

    fn secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        if let Some(auth) = &mut self.auth_data {
            auth.secret("auth_data", visit);
        }
        for model in &mut self.integrations {
            let path = format!("integrations.{}", model.name);
            if let Some(auth) = &mut model.auth_data {
                auth.secret(&format!("{path}.auth_data"), visit);
            }
            for (name, value) in &mut model.headers {
                visit(&format!("{path}.headers.{name}"), value);
            }
        }
    }

    fn models(&self) -> Vec<&str> {
        self.integrations.iter().map(|model| model.name.as_str()).collect()
    }
}

fn row(kind: &str) -> Option<&'static Provider> {
    catalogue::provider(kind.strip_prefix(catalogue::KIND_PREFIX)?)
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
    const COMMON: [&str; 5] = ["type", "name", "model_types", "cost", "authorized_subjects"];

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
