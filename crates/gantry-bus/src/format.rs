//! The one place that knows what a snapshot is made of: its type, its bytes, and which state it is.
//!
//! The adapters over HTTP and the file on disk use it; everything else passes snapshots on.

use gantry_model::snapshot::{News, SnapshotSource};

/// What a control plane publishes and a gateway compiles.
pub type Snapshot = SnapshotSource;

/// Bytes as they go over HTTP and, sealed, to the disk.
///
/// # Errors
/// When it cannot be written as JSON, which no snapshot causes.
pub(crate) fn write(snapshot: &Snapshot) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(snapshot)
}

/// What a control plane sends of a snapshot to a gateway that has another.
///
/// # Errors
/// When the bytes are none.
pub(crate) fn read_news(bytes: &[u8]) -> Result<News, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// # Errors
/// When the bytes are no snapshot that this program understands.
pub(crate) fn read(bytes: &[u8]) -> Result<Snapshot, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// Counts the changes of a control plane's database.
pub(crate) fn generation(snapshot: &Snapshot) -> u64 {
    snapshot.generation.0
}
