//! The port by which snapshots come down.

use crate::format::Snapshot;
use gantry_runtime::reconcile::Failure;
use std::future::Future;
use std::sync::Arc;

/// Where a gateway's snapshots come from.
pub trait Snapshots: Send {
    /// Another state than `have`, as soon as there is one; `None` when there was none in the time
    /// that one question may take. It may be dropped and asked again, and nothing is lost.
    ///
    /// # Errors
    /// When the source cannot be asked or does not answer; a sentence for the log.
    fn next(
        &mut self,
        have: Option<&Arc<Snapshot>>,
    ) -> impl Future<Output = Result<Option<Arc<Snapshot>>, Failure>> + Send;
}
