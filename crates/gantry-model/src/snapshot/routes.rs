//! Models that stand for others.

use super::access::AccessEntry;
use super::models::{HeaderEntry, ModelType};
use super::settings::RetryConfig;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A model name that stands for several targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// `group/model`.
    pub name: String,
    /// Slugs and aliases; a whole name always wins over them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    #[serde(default, skip_serializing_if = "AccessEntry::is_empty")]
    pub access: AccessEntry,
    /// Empty: not restricted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<ModelType>,
    /// Why it cannot be used, as a lower-case fragment for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    pub strategy: Strategy,
    /// Refuses what a translation would drop instead of reporting it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    pub targets: Vec<TargetEntry>,
}

/// How a target is picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Strategy {
    /// By share.
    Weight {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sticky: Option<StickyRouting>,
    },
    /// By measured time per output token.
    Latency,
    /// The lowest number among the healthy.
    Priority,
}

/// One choice of a route.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetEntry {
    /// A model's or another route's name.
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// 0 is tried first. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<SlaCutoff>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryConfig>,
    /// Statuses on which the next target is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_codes: Option<Vec<u16>>,
    /// `false`: never receives another target's fallback. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_candidate: Option<bool>,
    /// Top-level fields of the request body, replaced before sending, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub override_params: Vec<Param>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_headers: Vec<HeaderEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_headers: Vec<String>,
    /// The target serves only requests whose metadata has all of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata_match: BTreeMap<String, String>,
}

/// A field of a request body.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    pub name: String,
    /// JSON text.
    pub value: Box<RawValue>,
}

/// Slower than this over the last three minutes, with three samples or more, counts as unhealthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlaCutoff {
    /// Milliseconds per output token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_per_output_token_ms: Option<f64>,
    /// Milliseconds to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<f64>,
}

/// Keeps a session on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StickyRouting {
    /// Length of the slots of time, in seconds, within each of which a session keeps its target.
    pub ttl_seconds: u32,
    /// What makes a session: requests that agree in all of these.
    pub session_identifiers: Vec<SessionIdentifier>,
}

/// One part of what makes a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionIdentifier {
    /// Where the part is found.
    pub source: SessionSource,
    /// Name of the header or key of the metadata.
    pub key: String,
}

/// Where a part of a session is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionSource {
    Headers,
    Metadata,
}
