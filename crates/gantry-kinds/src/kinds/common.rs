//! Shapes that several kinds share.
//!
//! Doc comments become descriptions in the JSON Schemas. `x-check` names a rule of
//! [`crate::manifest`] that JSON Schema cannot say; `x-later` lists what the published SDK knows
//! and Gantry does not implement yet, and `x-instead` says what to write in place of it. None of
//! them appears in published schemas.

use gantry_model::secret::Secret;
pub use gantry_model::snapshot::is_own_header;
use gantry_model::subject::Subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod permission;
pub mod status_codes;

pub use permission::Permission;
pub use status_codes::StatusCode;

/// Somebody who may use or manage a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collaborator {
    /// `user:…`, `team:…`, `virtualaccount:…`.
    pub subject: Subject,
    /// `provider-account-manager`, `provider-account-access` or `provider-account-viewer`; a viewer
    /// may not call the models.
    #[schemars(length(min = 1), extend("x-check" = "role"))]
    pub role_id: String,
}

/// The account (and team) that owns a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnedBy {
    /// Name of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Name of the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// How Gantry proves itself to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schemars(extend("writeOnly" = true))]
pub enum AuthData {
    /// A key, sent as the provider wants it.
    ApiKey {
        /// The key, or a reference to it.
        api_key: Secret,
    },
    /// User name and password (RFC 7617).
    BasicAuth {
        /// Without a colon.
        #[schemars(extend("x-check" = "user"))]
        username: String,
        /// The password, or a reference to it.
        password: Secret,
    },
    /// `Authorization: Bearer` (RFC 6750).
    BearerAuth {
        /// The token, or a reference to it.
        bearer_token: Secret,
    },
}

impl AuthData {
    /// Calls `visit` with a path below `path` and the value of the secret.
    pub(crate) fn secret(&mut self, path: &str, visit: &mut dyn FnMut(&str, &mut Secret)) {
        match self {
            Self::ApiKey { api_key } => visit(&format!("{path}.api_key"), api_key),
            Self::BasicAuth { password, .. } => visit(&format!("{path}.password"), password),
            Self::BearerAuth { bearer_token } => {
                visit(&format!("{path}.bearer_token"), bearer_token);
            }
        }
    }
}

/// What a call costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WireCost", into = "WireCost")]
pub struct Cost {
    pub metric: CostMetric,
}

/// Custom prices in US dollars, or `public_cost` for the catalogue's price.
///
/// Manifests spell it as [`Cost`] does: `{metric: per_1000_tokens, value: {input: …}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CostMetric {
    PublicCost,
    #[serde(rename = "per_1000_tokens")]
    Per1000Tokens {
        input: f64,
        output: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_read: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_write: Option<f64>,
    },
    #[serde(rename = "per_1000_embedding_tokens")]
    Per1000EmbeddingTokens {
        input: f64,
    },
}

impl JsonSchema for Cost {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WireCost::json_schema(generator)
    }
}

/// What a call costs, in US dollars.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "metric", content = "value", rename_all = "snake_case")]
#[schemars(extend("x-later" = ["per_million_characters", "per_minute_of_audio", "per_1000_pages"]))]
enum WireCost {
    /// The public price of the catalogue.
    PublicCost,
    /// Prices of 1000 tokens, by their kind.
    #[serde(rename = "per_1000_tokens")]
    Per1000Tokens(TokenPrices),
    /// The price of 1000 embedded tokens.
    #[serde(rename = "per_1000_embedding_tokens")]
    Per1000EmbeddingTokens(#[schemars(range(min = 0))] f64),
}

/// What to write in place of tiers.
///
/// The published SDK contradicts itself about them, and a guess would be wrong by a factor: a
/// tier's `cost_per_token` is documented as a price of 1000 tokens; tokens up to a tier keep the
/// base rate, as if only the part above it cost more, while TrueFoundry's page on cost tracking
/// selects one tier for the request; and each kind of token has thresholds of its own, where
/// providers go by the size of the prompt.
const TIERS_INSTEAD: &str = "write the rates of ordinary requests without tiers, or \
     `cost: {metric: public_cost}` for the public prices, which have tiers where the provider has";

/// Prices of 1000 tokens in US dollars.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(extend(
    "x-later" = ["input_tiers", "output_tiers", "cache_read_tiers", "cache_write_tiers"],
    "x-instead" = TIERS_INSTEAD,
))]
struct TokenPrices {
    /// Of the prompt, without what came from a cache.
    #[schemars(range(min = 0))]
    input: f64,
    /// Of the answer, reasoning included.
    #[schemars(range(min = 0))]
    output: f64,
    /// Of the prompt's part that came from the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    cache_read: Option<f64>,
    /// Of the prompt's part that was written to the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    cache_write: Option<f64>,
}

impl From<WireCost> for Cost {
    fn from(wire: WireCost) -> Self {
        let metric = match wire {
            WireCost::PublicCost => CostMetric::PublicCost,
            WireCost::Per1000Tokens(prices) => CostMetric::Per1000Tokens {
                input: prices.input,
                output: prices.output,
                cache_read: prices.cache_read,
                cache_write: prices.cache_write,
            },
            WireCost::Per1000EmbeddingTokens(input) => CostMetric::Per1000EmbeddingTokens { input },
        };
        Self { metric }
    }
}

impl From<Cost> for WireCost {
    fn from(cost: Cost) -> Self {
        match cost.metric {
            CostMetric::PublicCost => Self::PublicCost,
            CostMetric::Per1000Tokens { input, output, cache_read, cache_write } => {
                Self::Per1000Tokens(TokenPrices { input, output, cache_read, cache_write })
            }
            CostMetric::Per1000EmbeddingTokens { input } => Self::Per1000EmbeddingTokens(input),
        }
    }
}

/// Edits to the headers of an upstream request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadersOverride {
    /// Headers to add or replace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"x-check": "header-to-set"}, "writeOnly" = true))]
    pub set: BTreeMap<String, Secret>,
    /// Names of headers to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "string", "x-check": "header-name"}))]
    pub remove: Vec<String>,
}

/// When to try the same target again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryConfig {
    /// Further calls after the first. Default 2.
    #[serde(default = "RetryConfig::default_attempts")]
    pub attempts: u8,
    /// First pause in milliseconds, doubled each time with jitter. Default 100.
    #[serde(default = "RetryConfig::default_delay")]
    pub delay: u32,
    /// Statuses that are tried again. Default 429, 500, 502, 503.
    #[serde(
        default = "RetryConfig::default_codes",
        serialize_with = "status_codes::write",
        deserialize_with = "status_codes::read"
    )]
    #[schemars(with = "Vec<StatusCode>")]
    pub on_status_codes: Vec<u16>,
}

impl RetryConfig {
    fn default_attempts() -> u8 {
        2
    }

    fn default_delay() -> u32 {
        100
    }

    fn default_codes() -> Vec<u16> {
        vec![429, 500, 502, 503]
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: Self::default_attempts(),
            delay: Self::default_delay(),
            on_status_codes: Self::default_codes(),
        }
    }
}
