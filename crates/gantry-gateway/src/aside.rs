//! Work on long bodies, beside the workers.
//!
//! A worker serves all of its connections on one thread: what a body of tens of megabytes takes to
//! be read as a tree, seconds for millions of messages, they would all wait for. `attempt` and
//! `prompt` hand it over here; shorter bodies are not worth the way to another thread. Nothing here
//! looks at what the work is.

use bytes::Bytes;
use tokio::sync::Semaphore;

/// Bodies up to this size take a few milliseconds at most, in bytes.
const LONG_BYTES_MIN: usize = 1024 * 1024;

/// How many are worked on at a time: each takes memory of several times its size and a core.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Whether a body is so long that work on all of it is done aside.
pub(crate) fn is_long(body: &Bytes) -> bool {
    body.len() >= LONG_BYTES_MIN
}

/// Does `work` on another thread, in its turn; `None` when it panicked or the process ends. A
/// caller that leaves before its turn costs nothing.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turn = TURNS.acquire().await.ok()?;
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        // Held until the work is done, also when nobody waits for it any more.
        drop(turn);
        done
    });
    working.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[tokio::test]
    async fn other_requests_go_on_meanwhile_and_what_waits_gets_its_turn() {
        let (release, held) = sync_channel::<()>(0);
        let stuck = aside(move || held.recv().is_err());
        let others = async {
            for number in 0..10 {
                assert_eq!(aside(move || number).await, Some(number));
            }
            drop(release);
        };
        assert_eq!(tokio::join!(stuck, others).0, Some(true));
        assert_eq!(aside(|| panic!("a defect")).await, None::<()>);
        assert_eq!(aside(|| ()).await, Some(()), "a turn is not lost");
    }
}
