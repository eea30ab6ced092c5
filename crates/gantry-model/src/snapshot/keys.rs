//! Tokens and whom they stand for.

use crate::ids::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One token's digest and whom it stands for. The token itself is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// SHA-256 of the whole token, 64 lower-case hex digits. Tokens carry 256 random bits, so a
    /// slow hash would add nothing.
    pub sha256: String,
    /// Shown in records and lists: the token's own name, not a part of its value.
    pub name: String,
    pub caller: Caller,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<UnixMs>,
}

/// An authenticated identity with everything that access rules ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// `user:a@b.example` or `virtualaccount:bot`.
    pub subject: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Tenant administrators may use every model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// Tags of a virtual account, which win over request metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What a virtual account's permissions let it use: `account/model`, or `account/*` for all
    /// models of an account. They travel with the key, so that a new account changes no model and
    /// a grant is stored once, however many models it opens.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub grants: BTreeSet<String>,
}

/// A public key of the control plane, for EdDSA-signed tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtKey {
    pub kid: String,
    /// The 32 raw bytes of an Ed25519 public key, base64url without padding (RFC 8037 `x`).
    pub ed25519_x: String,
}
