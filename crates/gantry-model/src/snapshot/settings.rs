//! What holds for all requests of a tenant.

use serde::{Deserialize, Serialize};

/// One setting. A gateway that cannot read one goes on as without it, but logs no bodies when it
/// is about logging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "value", rename_all = "snake_case", deny_unknown_fields)]
pub enum Setting {
    Retry(RetryConfig),
    Logging(LoggingSettings),
}

impl Setting {
    /// The name of [`Setting::Logging`].
    pub const LOGGING: &str = "logging";
}

/// When to try the same target again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Further calls after the first. Default 2.
    pub attempts: u8,
    /// First pause in milliseconds, doubled each time with jitter. Default 100.
    pub delay: u32,
    /// Statuses that are tried again. Default 429, 500, 502, 503.
    pub on_status_codes: Vec<u16>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 2, delay: 100, on_status_codes: vec![429, 500, 502, 503] }
    }
}

/// Whether request and response bodies go into the record. Records themselves are always kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum LoggingSettings {
    /// Bodies of all requests.
    Always,
    /// No bodies.
    Never,
    /// As the caller's header says, else `log_body_by_default`.
    HeaderControlled { log_body_by_default: bool },
}
