//! What the control plane publishes and a gateway compiles.

use crate::ids::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One token's digest and whom it stands for. The token itself is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// SHA-256 of the whole token, 64 lower-case hex digits. Tokens carry 256 random bits, so a
    /// slow hash would add nothing.
    pub sha256: String,
    /// Shown in records and lists: the token's own name, not a part of its value.
    pub name: String,
    pub caller: Caller,
    pub expires_at_ms: Option<UnixMs>,
}

/// An authenticated identity with everything that access rules ask about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `user:a@b.example` or `virtualaccount:bot`.
    pub subject: String,
    pub teams: Vec<String>,
    /// Tenant administrators may use every model.
    pub admin: bool,
    /// Tags of a virtual account, which win over request metadata.
    pub tags: BTreeMap<String, String>,
}

/// A public key of the control plane, for EdDSA-signed tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtKey {
    pub kid: String,
    /// The 32 raw bytes of an Ed25519 public key, base64url without padding (RFC 8037 `x`).
    pub ed25519_x: String,
}
