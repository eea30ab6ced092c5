//! Who may call: `user:a@b.example`, `team:ml`, `virtualaccount:bot`, `role:...`, `*`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One entry of `authorized_subjects`, spelled `kind:name`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(extend("x-check" = "subject"))]
pub struct Subject(pub String);

impl Subject {
    /// Kinds a subject may have, in the spelling of manifests.
    pub const KINDS: [&str; 6] =
        ["user", "team", "serviceaccount", "virtualaccount", "role", "external-identity"];

    /// The parts before and after the first colon, or `None` when there is no colon.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        self.0.split_once(':')
    }
}
