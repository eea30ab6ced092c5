//! Rights on resources, as manifests grant them.
//!
//! Kinds whose manifests are callers have them; [`crate::grant`] reads what they are about.

use crate::roles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of resource that the published SDK knows and on which Gantry has no roles yet.
const RESOURCE_TYPES_LATER: &[&str] = &[
    "account",
    "agent",
    "agent-app",
    "agent-channel",
    "agent-identity",
    "alert-config",
    "alert-rule",
    "application",
    "cluster",
    "deployment",
    "docker-registry",
    "environment",
    "external-identity-provider",
    "gateway-approval-request",
    "gateway-budget",
    "gateway-config",
    "gateway-controls",
    "gateway-installation",
    "gateway-policy",
    "llm-gateway",
    "mcp-server",
    "mlf-project",
    "policy",
    "repository",
    "role",
    "role-binding",
    "secret",
    "secret-group",
    "service-account",
    "settings",
    "team",
    "tracing-application",
    "tracing-project",
    "user",
    "vcs-integration",
    "virtual-account",
    "workspace",
];

/// A right on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-check" = "permission"))]
pub struct Permission {
    /// `account`, `account/model`, or whole: `tenant:provider:account:model:name`.
    #[schemars(length(min = 1))]
    pub resource_fqn: String,
    /// What kind of resource it is.
    #[schemars(extend(
        "enum" = roles::resource_types().collect::<Vec<_>>(),
        "x-later" = RESOURCE_TYPES_LATER,
    ))]
    pub resource_type: String,
    /// A role on that kind of resource: `provider-account-manager`, `provider-account-access`,
    /// `provider-account-viewer`; `provider-integration-access`; `model-user`; `tenant-admin`,
    /// `tenant-member`.
    #[schemars(length(min = 1))]
    pub role_id: String,
}
