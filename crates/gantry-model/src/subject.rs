//! Who may call: `user:a@b.example`, `team:ml`, `virtualaccount:bot`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const USER: &str = "user";
pub const TEAM: &str = "team";
pub const VIRTUAL_ACCOUNT: &str = "virtualaccount";
/// An older name of virtual accounts, which the published SDK still reads.
pub const SERVICE_ACCOUNT: &str = "serviceaccount";

/// Every authenticated caller belongs to this team.
pub const EVERYONE: &str = "team:everyone";
/// The team's name alone.
pub const EVERYONE_NAME: &str = "everyone";

/// One entry of `authorized_subjects`, spelled `kind:name`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(extend("x-check" = "subject"))]
pub struct Subject(pub String);

impl Subject {
    /// Kinds a subject may have, in the spelling of manifests.
    pub const KINDS: [&str; 4] = [USER, TEAM, VIRTUAL_ACCOUNT, SERVICE_ACCOUNT];

    /// Kinds that the published SDK knows and that stand for nobody here yet.
    pub const KINDS_LATER: [&str; 5] =
        ["role", "external-identity", "agent", "agent-identity", "agent-channel-identity"];

    /// The parts before and after the first colon, or `None` when there is no colon.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        self.0.split_once(':')
    }
}
