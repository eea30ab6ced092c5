//! What the control plane publishes and a gateway compiles.

mod assemble;

pub use assemble::{Reach, Unresolved, assemble};
pub use gantry_model::snapshot::{Caller, JwtKey, KeyEntry};

use crate::kinds::Manifest;
use gantry_model::ids::{Generation, UnixMs};
use gantry_model::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole desired state of one tenant's gateways: newest wins, never a delta.
///
/// It holds secrets in clear, so it may be written to disk only sealed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotSource {
    pub generation: Generation,
    /// Which state this is, secrets included: it differs whenever anything but the time of
    /// publication does. Empty from whom has no need of it. Gateways compare and do not compute it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    pub tenant: String,
    pub published_at_ms: UnixMs,
    /// Validated manifests of the kinds a gateway needs.
    pub manifests: Vec<Manifest>,
    /// Clear values of the secret references that occur in `manifests`, by whole reference.
    pub secrets: BTreeMap<String, Secret>,
    /// Live tokens.
    pub keys: Vec<KeyEntry>,
    /// Public keys that verify tokens which the control plane signed.
    pub jwt_keys: Vec<JwtKey>,
}
