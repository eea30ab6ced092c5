//! The port by which records go up.

use bytes::Bytes;
use std::future::Future;

/// Part of a gateway's journal.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Unique for all time; a segment may be offered twice, and it counts once.
    pub name: String,
    /// The journal's bytes as they are.
    pub body: Bytes,
}

/// Takes records, segment by segment.
pub trait Records: Send + Sync {
    /// Keeps the segment durably; one that was kept before is accepted and ignored. Once this
    /// returns `Ok` whoever offered it forgets it.
    ///
    /// # Errors
    /// See [`Refused`].
    fn accept(&self, segment: Segment) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// Why a segment was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The bytes are not a journal segment, or the name is none: it will never be taken.
    #[error("{0}")]
    ForGood(String),
    /// Not now.
    #[error("{0}")]
    ForNow(String),
}
