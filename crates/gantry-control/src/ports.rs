//! What the control plane needs from the process around it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LogQuery, UsageQuery, UsageRow};
use gantry_model::secret::Secret;
use std::sync::Arc;

/// Looks up a variable of the process, for `env://NAME` references.
pub type Environment = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// Part of a remote gateway's journal.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Name of the gateway's token, without `gateway:`.
    pub gateway: String,
    /// The gateway's own name for the segment: it may send one twice, and it counts once.
    pub id: String,
    /// The journal's bytes as they are.
    pub body: Bytes,
}

/// Takes records from remote gateways.
pub trait RecordsSink: Send + Sync {
    /// Keeps the segment durably; a segment that was kept before is accepted and ignored. Once
    /// this returns `Ok` the gateway forgets the segment.
    ///
    /// # Errors
    /// A sentence for the gateway's log; the gateway sends the segment again later.
    fn accept(&self, segment: Segment) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Why a segment was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The bytes are not a journal segment; sending them again will not help.
    #[error("{0}")]
    Malformed(String),
    /// Not now.
    #[error("{0}")]
    Failed(String),
}

/// Which request is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneRequest {
    /// A whole id, or a beginning of at least 8 digits that no other shares.
    pub id: String,
    /// Only among this caller's requests; others count as not there.
    pub subject: Option<String>,
}

/// Answers questions about records.
pub trait Analytics: Send + Sync {
    /// Records that meet all conditions, without bodies.
    ///
    /// # Errors
    /// See [`AnalyticsError`].
    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<Vec<RequestRecord>, AnalyticsError>>;

    /// One record whole, bodies included; `None` when there is none.
    ///
    /// # Errors
    /// [`AnalyticsError::BadQuery`] for what is no id, and for a beginning that several share; see
    /// [`AnalyticsError`].
    fn request(
        &self,
        asked: OneRequest,
    ) -> BoxFuture<'_, Result<Option<RequestRecord>, AnalyticsError>>;

    /// Sums over records.
    ///
    /// # Errors
    /// See [`AnalyticsError`].
    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, AnalyticsError>>;
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// The caller's mistake, in words for the caller.
    #[error("{0}")]
    BadQuery(String),
    /// Not now; logged with its detail, answered without.
    #[error("{0}")]
    Failed(String),
    /// The store of the records is out of reach or refuses, in words for whoever runs Gantry:
    /// without secrets and hosts.
    #[error("{0}")]
    Store(String),
}
