//! `gateway-global-settings`: what holds for all requests of a tenant.

use super::common::RetryConfig;
use crate::kind::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const KIND: &str = "gateway-global-settings";

const EXAMPLE: &str = "\
type: gateway-global-settings
retry_settings:
  attempts: 2
  delay: 100
  on_status_codes: ['429', '500', '502', '503']
logging_settings:
  type: header_controlled
  log_body_by_default: false
";

/// What holds for all requests of a tenant. There is one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-later" = ["semantic_cache_settings", "guardrail_settings"]))]
pub struct GlobalSettings {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always `gateway-global-settings`; may be left out.
    #[serde(default = "default_name")]
    #[schemars(extend("const" = KIND))]
    pub name: String,
    /// Retries where neither route nor request says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_settings: Option<RetryConfig>,
    /// Whether bodies go into the record. Default: as the header of `header_controlled` says,
    /// else not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging_settings: Option<LoggingSettings>,
}

impl Kind for GlobalSettings {
    const FAMILY: &'static str = KIND;
    const STORED_AS: &'static str = "global-settings";
    const COLLECTION: &'static str = "gateway-global-settings";
    const TITLE: &'static str = "What holds for all requests of a tenant.";
    const SINGLE: bool = true;

    fn example(_: &str) -> String {
        EXAMPLE.to_owned()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn default_name() -> String {
    KIND.to_owned()
}

/// Whether request and response bodies go into the record. Records themselves are always kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LoggingSettings {
    /// Bodies of all requests.
    Always,
    /// No bodies.
    Never,
    /// As `x-tfy-logging-config: {"enabled": true}` says, else `log_body_by_default`.
    HeaderControlled {
        /// What holds without the header. Default false.
        #[serde(default)]
        log_body_by_default: bool,
    },
}
