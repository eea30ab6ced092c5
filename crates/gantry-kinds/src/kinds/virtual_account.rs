//! `virtual-account`: an identity for a program, with a token.

use super::common::OwnedBy;
use crate::roles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const KIND: &str = "virtual-account";

pub(crate) const EXAMPLE: &str = "\
type: virtual-account
name: nightly-evaluation
permissions:
  - resource_type: provider-account
    resource_fqn: my-openai
    role_id: provider-account-access
expiration_date: '2030-01-31'
tags:
  project: evaluation
";

/// An identity for a program, with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-later" =
    ["auto_rotate", "notification_target", "secret_store_config", "identity_provider_mapping"]))]
pub struct VirtualAccount {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the account; access rules say `virtualaccount:name`.
    #[schemars(extend("x-check" = "name"))]
    pub name: String,
    /// What the account may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// `yyyy-mm-dd`; the token ends at the start of that day, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date", "x-check" = "date"))]
    pub expiration_date: Option<String>,
    /// Who owns the account.
    #[serde(default, rename = "ownedBy", skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<OwnedBy>,
    /// Metadata that every request of this account carries and that no header overrides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "propertyNames" = {"minLength": 1, "maxLength": 128},
        "additionalProperties" = {"type": "string", "maxLength": 128},
    ))]
    pub tags: BTreeMap<String, String>,
    /// The kind of token. Default `opaque`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<TokenType>,
}

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

/// The kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    Jwt,
    Opaque,
}
