//! Shapes of the control plane's REST API that both the server and the CLI use.

use crate::ids::UnixMs;
use crate::money::NanoUsd;
use crate::secret::Secret;
use crate::usage::TokenUsage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Body of `PUT /api/svc/v1/apply`, one manifest, or several that are applied as one transaction.
///
/// Its debug output leaves the manifests out: they may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// One manifest, as `tfy` sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<serde_json::Value>,
    /// Source texts with their file names, as `gantry` sends them: YAML with several documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    #[serde(default)]
    pub dry_run: bool,
}

impl fmt::Debug for ApplyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyRequest")
            .field("sources", &self.sources)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// One file of manifests; its debug output leaves the text out, which may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Source {
    /// Shown in errors; `-` for standard input.
    pub file: String,
    pub text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What an apply did (or, dry, would do) to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// `CREATE`, `UPDATE` or `UNCHANGED`.
    pub action: String,
    pub kind: String,
    pub name: String,
    /// The stored manifest, secrets replaced by references.
    pub manifest: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_manifest: Option<serde_json::Value>,
    /// Token of a virtual account, shown once, on creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// A refused manifest field, for people and editors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub file: String,
    /// 1-based; 0 when the manifest did not come as text.
    pub line: u32,
    pub column: u32,
    /// Path of the field, `integrations[0].model_id`.
    pub field: String,
    pub message: String,
}

impl fmt::Display for Problem {
    /// `file:line:column: field: message`, without the parts that are unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.file.is_empty() || self.line > 0 {
            f.write_str(" ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Most records of one answer.
pub const LOGS_MAX: u32 = 1000;

/// Which records `gantry logs` lists, without bodies; absent conditions do not restrict. All must
/// hold. An unknown condition is refused: left out, it would show more than was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogQuery {
    pub from_ms: Option<UnixMs>,
    pub to_ms: Option<UnixMs>,
    /// Only records after this id (ids sort by time): for following.
    pub after_id: Option<String>,
    /// A whole trace id, 32 hex digits: the caller's trace, or the request's own id.
    pub trace: Option<String>,
    /// Model as named or as resolved.
    pub model: Option<String>,
    pub subject: Option<String>,
    pub status: Option<StatusFilter>,
    /// Only requests that ended then or later.
    pub ended_from_ms: Option<UnixMs>,
    pub metadata: BTreeMap<String, String>,
    /// Newest first unless `after_id` is given. At most [`LOGS_MAX`].
    pub limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusFilter {
    /// Status below 400, and the reply came to its end.
    Ok,
    /// Status 400 and above, and streams that broke.
    Error,
    Exactly(u16),
}

/// What `gantry usage` sums, and by what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageQuery {
    pub from_ms: Option<UnixMs>,
    pub to_ms: Option<UnixMs>,
    /// Columns of the result, in order.
    pub by: Vec<UsageKey>,
    pub model: Option<String>,
    pub subject: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageKey {
    Model,
    Caller,
    Team,
    Provider,
    /// The value of [`UsageKey::WORKSPACE`] in the request's metadata.
    Workspace,
    /// UTC day, `yyyy-mm-dd`.
    Day,
    /// A key of the request's metadata.
    Metadata(String),
}

impl UsageKey {
    /// Key of the metadata that names the workspace a request belongs to: a tag of the virtual
    /// account, which no header overrides, or else what the request says itself.
    pub const WORKSPACE: &str = "workspace";
}

/// One line of usage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageRow {
    /// Values of the query's `by`, in order.
    pub keys: Vec<String>,
    pub requests: u64,
    pub errors: u64,
    pub usage: TokenUsage,
    #[serde(rename = "cost_nano_usd")]
    pub cost: NanoUsd,
    /// Requests with tokens but without a price.
    pub unpriced: u64,
}

/// Body of `POST /api/svc/v1/delete`: one manifest as `tfy` sends it, or source texts. Only `type`
/// and `name` of each manifest count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
    /// All that they name is deleted as one transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Single resources by kind (or family) and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ManifestRef>,
    #[serde(default)]
    pub dry_run: bool,
}

/// The part of a manifest that says which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    #[serde(rename = "type")]
    pub kind: String,
    /// Default: the type, as for kinds of which there is one.
    #[serde(default)]
    pub name: Option<String>,
}

/// A stored manifest with what the control plane knows about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredManifest {
    pub kind: String,
    pub name: String,
    /// The tenant's generation in which it last changed.
    pub generation: u64,
    /// Secrets replaced by references.
    pub manifest: serde_json::Value,
    /// Subject that first applied it.
    pub created_by: String,
    pub created_at_ms: UnixMs,
    pub updated_at_ms: UnixMs,
    /// Why this version of the control plane cannot read it, and what to do. It is kept as it is,
    /// and no gateway hears of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}
