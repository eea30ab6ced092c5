//! The journal: records on disk, from the moment they end until the lake has them.
//!
//! A directory of append-only segments. The recorder's writer thread owns the one [`Writer`]; the
//! lake reads with [`Reader`], also from the segment that is being written, and deletes a sealed
//! segment once it is in Parquet. A record is acknowledged when the `write` call that holds it has
//! returned: from then on only the loss of the machine can lose it (at most the last
//! [`Options::sync_every_ms`] milliseconds), never the death of the process. A full disk loses
//! records and counts them; it never fails a request.
//!
//! File format: eight bytes [`frame::MAGIC`], four bytes that mark this segment's frames, a CRC-32
//! of both; then frames of the mark, a `u32` CRC-32 of what follows, a `u32` length (both
//! little-endian) and the payload, one record in MessagePack. Names are
//! `<start ms>-<random>-<number>.open`, after sealing `.seg`; start and random part differ for each
//! start of the process, so a name never comes back.
//!
//! A reader passes over damage to the next frame. A segment of which something could not be read is
//! not deleted but moved to the folder [`DAMAGED`], which is bounded.

pub mod frame;
pub mod frames;
pub mod names;
pub mod pack;
mod payload;
mod read;
mod sync;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod write;

pub use frame::Format;
pub use frames::Damage;
pub use read::{DAMAGED, Reader, Segment, SegmentFrames};
pub use sync::sync_dir;
pub use write::Writer;

use std::path::PathBuf;

/// Where the journal lives and how it rotates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Made when it does not exist. One process at a time may write to it.
    pub dir: PathBuf,
    /// A segment is sealed when it is at least this large, in bytes.
    pub segment_bytes: u64,
    /// A segment that is not empty is sealed when it is this old, in milliseconds.
    pub segment_age_ms: u64,
    /// How often written records are forced to the disk, in milliseconds.
    pub sync_every_ms: u64,
    /// No segment is begun while the directory holds this many bytes; records are dropped then.
    pub dir_bytes_max: u64,
    /// Segments that were set aside, damaged or refused, are deleted when they are this old, in
    /// milliseconds; 0 keeps them.
    pub aside_age_ms: u64,
}

impl Options {
    /// Defaults: segments of 8 MiB or 30 s, a sync each second, at most 8 GiB; what is set aside
    /// goes after 90 days.
    ///
    /// 30 s make at most 120 Parquet files an hour before compaction, and a sealed segment of 8 MiB
    /// is read in about 30 ms by a query that comes before its ingestion.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            segment_bytes: 8 << 20,
            segment_age_ms: 30_000,
            sync_every_ms: 1_000,
            dir_bytes_max: 8 << 30,
            aside_age_ms: 90 * 86_400_000,
        }
    }
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the journal directory {dir}")]
    Directory { dir: PathBuf, source: std::io::Error },
    #[error("lock the journal directory {dir}: another process writes to it")]
    Locked { dir: PathBuf },
    #[error("recover the journal segment {segment}")]
    Recover { segment: String, source: std::io::Error },
    #[error("read the journal segment {segment}")]
    Read { segment: String, source: std::io::Error },
    #[error("read the journal segment {segment}: a newer Gantry wrote it")]
    Newer { segment: String },
    #[error("delete the journal segment {segment}")]
    Delete { segment: String, source: std::io::Error },
    #[error("start the journal's sync thread")]
    Thread { source: std::io::Error },
}
