//! What lists of models show, and the short names that models have beside their whole ones.

use crate::ids::UnixMs;
use serde::{Deserialize, Serialize};

/// What is known of a model for people. A gateway that cannot read one shows the name alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListingEntry {
    /// Its whole name, `account/model`.
    pub model: String,
    /// A name that nothing else has; whole names, slugs and aliases always win over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_name: Option<String>,
    /// Such as `GPT-4o mini`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When the vendor released it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_ms: Option<UnixMs>,
}
