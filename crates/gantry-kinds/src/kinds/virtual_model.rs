//! `provider-account/virtual-model`: model names that stand for several targets.

mod checks;
mod schema;

use super::access::subjects;
use super::common::{
    Collaborator, HeadersOverride, OwnedBy, RetryConfig, StatusCode, status_codes,
};
use super::provider_account::ModelType;
use crate::kind::{Found, Kind, Reference, Set};
use crate::manifest::tree::Step;
use crate::roles::PROVIDER_ACCOUNT;
use crate::schema::build;
use gantry_model::secret::Secret;
use gantry_model::subject::Subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub const KIND: &str = "provider-account/virtual-model";
pub const MODEL_KIND: &str = "integration/model/virtual";

/// Longest chain of virtual models, each a target of the one before. Eight is far more than
/// anybody can follow, and bounds what compiling a snapshot costs.
pub const NESTING_MAX: usize = 8;

const EXAMPLE: &str = "\
type: provider-account/virtual-model
name: fleet
integrations:
  - type: integration/model/virtual
    name: assistant
    slug: assistant
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - target: my-openai/my-model
          priority: 0
          retry_config:
            attempts: 1
            on_status_codes: ['429', '503']
        - target: my-ollama/my-model
          priority: 1
          override_params:
            temperature: 0.2
";

/// A group of virtual models; callers name one `group/model`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualModelAccount {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the group, the part before the slash in a model's name.
    #[schemars(extend("x-check" = "name"))]
    pub name: String,
    /// The virtual models.
    #[schemars(extend("x-check" = "models"))]
    pub integrations: Vec<VirtualModel>,
    /// Who may use or manage the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collaborators: Vec<Collaborator>,
    /// Who owns the group.
    #[serde(default, rename = "ownedBy", skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<OwnedBy>,
}

impl Kind for VirtualModelAccount {
    const FAMILY: &'static str = PROVIDER_ACCOUNT;
    const STORED_AS: &'static str = "virtual-model";
    const COLLECTION: &'static str = "provider-accounts";
    const TITLE: &'static str = "Model names that stand for several targets.";

    fn spellings() -> Vec<String> {
        vec![KIND.to_owned()]
    }

    fn example(_: &str) -> String {
        EXAMPLE.to_owned()
    }

    fn schema(kind: &str) -> Value {
        let mut root = build::generate::<Self>(kind);
        schema::narrow_targets(&mut root);
        if let Some(model) = build::def(&mut root, "VirtualModel") {
            build::set_const(model, MODEL_KIND);
        }
        root
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let models = self.integrations.iter().map(|model| model.authorized_subjects.as_slice());
        let mut all = subjects(&self.collaborators, models);
        for (index, model) in self.integrations.iter().enumerate() {
            for (number, target) in model.routing_config.targets().iter().enumerate() {
                all.push(Reference::to_model(target_path(index, number), &target.target));
            }
        }
        all
    }

    fn secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        for model in &mut self.integrations {
            for target in model.routing_config.targets_mut() {
                let path = format!("integrations.{}.targets.{}", model.name, target.target);
                let headers = target.headers_override.iter_mut().flat_map(|edit| &mut edit.set);
                headers.for_each(|(name, value)| visit(&format!("{path}.headers.{name}"), value));
            }
        }
    }

    fn models(&self) -> Vec<&str> {
        self.integrations.iter().map(|model| model.name.as_str()).collect()
    }

    fn check_set(set: &Set<'_>, found: &mut Found) {
        checks::run(set, found);
    }
}

/// The field `target` of a target.
fn target_path(model: usize, target: usize) -> Vec<Step> {
    let way = ["routing_config".into(), "load_balance_targets".into(), Step::from(target)];
    let head = ["integrations".into(), Step::from(model)];
    head.into_iter().chain(way).chain(["target".into()]).collect()
}

/// A model name that stands for several targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualModel {
    /// `integration/model/virtual`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the model; callers say `group/name`.
    #[schemars(extend("x-check" = "model-name"))]
    pub name: String,
    /// What the model can be asked. Default: anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_types: Vec<ModelType>,
    /// A further name without the group, such as `gpt-4o`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-check" = "model-name"))]
    pub slug: Option<String>,
    /// Further whole names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "string", "x-check": "model-name"}))]
    pub alias: Vec<String>,
    /// Who may use it; collaborators of the group and tenant administrators may always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_subjects: Vec<Subject>,
    /// How a target is picked.
    pub routing_config: RoutingConfig,
}

/// How a target is picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
#[schemars(extend("x-later" = ["complexity-based-routing"]))]
pub enum RoutingConfig {
    /// By share; the weights sum to 100.
    #[serde(rename = "weight-based-routing")]
    Weight {
        /// The choices.
        #[schemars(length(min = 1), extend("x-check" = "weights"))]
        load_balance_targets: Vec<Target>,
        /// Keeps a session on one target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sticky_routing: Option<StickyRouting>,
        /// Refuses what a translation would drop instead of reporting it. Default false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
    },
    /// By measured time per output token.
    #[serde(rename = "latency-based-routing")]
    Latency {
        /// The choices.
        #[schemars(length(min = 1))]
        load_balance_targets: Vec<Target>,
        /// Refuses what a translation would drop instead of reporting it. Default false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
    },
    /// The lowest number among the healthy.
    #[serde(rename = "priority-based-routing")]
    Priority {
        /// The choices.
        #[schemars(length(min = 1))]
        load_balance_targets: Vec<Target>,
        /// Refuses what a translation would drop instead of reporting it. Default false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
    },
}

impl RoutingConfig {
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Weight { load_balance_targets, .. }
            | Self::Latency { load_balance_targets, .. }
            | Self::Priority { load_balance_targets, .. } => load_balance_targets,
        }
    }

    fn targets_mut(&mut self) -> &mut [Target] {
        match self {
            Self::Weight { load_balance_targets, .. }
            | Self::Latency { load_balance_targets, .. }
            | Self::Priority { load_balance_targets, .. } => load_balance_targets,
        }
    }

    #[must_use]
    pub fn strict(&self) -> bool {
        match self {
            Self::Weight { strict, .. }
            | Self::Latency { strict, .. }
            | Self::Priority { strict, .. } => *strict,
        }
    }
}

/// One choice of a virtual model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// `account/model`, a real or another virtual one.
    #[schemars(extend("x-check" = "target"))]
    pub target: String,
    /// Share in percent (weight-based routing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub weight: Option<u32>,
    /// 0 is tried first (priority-based routing). Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// What counts as too slow (priority-based routing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_cutoff: Option<SlaCutoff>,
    /// When to try the same target again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_config: Option<RetryConfig>,
    /// Statuses on which the next target is tried. Default 401, 403, 404, 429, 500, 502, 503.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "status_codes::write_option",
        deserialize_with = "status_codes::read_option"
    )]
    #[schemars(with = "Option<Vec<StatusCode>>")]
    pub fallback_status_codes: Option<Vec<u16>>,
    /// `false`: never receives another target's fallback. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_candidate: Option<bool>,
    /// Top-level fields of the request body, replaced before sending.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-check" = "override-params"))]
    pub override_params: Map<String, Value>,
    /// Edits to the headers of the upstream request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_override: Option<HeadersOverride>,
    /// The target serves only requests whose metadata has all of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "propertyNames" = {"minLength": 1, "maxLength": 128},
        "additionalProperties" = {"type": "string", "maxLength": 128},
    ))]
    pub metadata_match: BTreeMap<String, String>,
}

/// Slower than this over the last three minutes, with three samples or more, counts as unhealthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlaCutoff {
    /// Milliseconds per output token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub time_per_output_token_ms: Option<f64>,
    /// Milliseconds to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub time_to_first_token_ms: Option<f64>,
}

/// Keeps a session on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StickyRouting {
    /// Length of the slots of time, in seconds, within each of which a session keeps its target.
    #[schemars(range(min = 1))]
    pub ttl_seconds: u32,
    /// What makes a session: requests that agree in all of these.
    #[schemars(length(min = 1))]
    pub session_identifiers: Vec<SessionIdentifier>,
}

/// One part of what makes a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionIdentifier {
    /// Where the part is found.
    pub source: SessionSource,
    /// Name of the header or key of the metadata.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
}

/// Where a part of a session is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionSource {
    Headers,
    Metadata,
}
