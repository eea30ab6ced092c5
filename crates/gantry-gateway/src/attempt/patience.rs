//! Waiting, with a look at how long the caller of a stream has heard nothing.
//!
//! `send` waits for a reply by it, and the loop for its pauses. It only says that the head is due:
//! the `pipeline` sends it, and the waiting goes on.

use crate::shared::Worker;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// When the head of a stream is due; `None`: not before its reply is there.
pub(super) type Patience = Option<Duration>;

/// Waits for `work` for at most `limit`; `None` when that is over.
pub(super) async fn within<T>(
    limit: Duration,
    patience: Patience,
    worker: &Worker,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let Some(head_in) = patience.filter(|head_in| *head_in < limit) else {
        return timeout(limit, work).await.ok();
    };
    if let Ok(done) = timeout(head_in, &mut work).await {
        return Some(done);
    }
    worker.head_due.set(true);
    timeout(limit.saturating_sub(head_in), work).await.ok()
}
