//! Snapshots of a control plane in the same process.

use crate::format::Snapshot;
use crate::snapshots::Snapshots;
use gantry_runtime::reconcile::Failure;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::watch;

/// Follows what the control plane publishes; states that are replaced before anybody looks are
/// passed over.
pub struct LocalSnapshots(pub watch::Receiver<Arc<Snapshot>>);

impl Snapshots for LocalSnapshots {
    async fn next(
        &mut self,
        have: Option<&Arc<Snapshot>>,
    ) -> Result<Option<Arc<Snapshot>>, Failure> {
        loop {
            let now = self.0.borrow_and_update().clone();
            if have.is_none_or(|have| !Arc::ptr_eq(have, &now)) {
                return Ok(Some(now));
            }
            if self.0.changed().await.is_err() {
                // The control plane has ended, and the process will.
                pending().await
            }
        }
    }
}
