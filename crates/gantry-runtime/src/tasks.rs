//! Tasks and shutdown: nothing else may spawn.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Dropping what is left takes no longer.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// Tells every task that the process is to stop, and waits until those that asked have ended.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stage: watch::Sender<Stage>,
    held: Arc<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Draining,
    /// The drain's time is over: what is left is dropped.
    Ending,
}

#[derive(Debug, Default)]
struct Held {
    count: AtomicUsize,
    /// Beside the stage, because every stream asks for it again and again.
    ending: AtomicBool,
    ended: Notify,
}

/// Keeps the process alive while it drains; dropped when its owner has finished.
#[derive(Debug)]
pub struct Hold(Arc<Held>);

impl Default for Shutdown {
    fn default() -> Self {
        Self { stage: watch::Sender::new(Stage::Running), held: Arc::default() }
    }
}

impl Shutdown {
    /// Begins the shutdown. Calling it again does nothing more.
    pub fn begin(&self) {
        self.stage.send_if_modified(|stage| {
            let begins = *stage == Stage::Running;
            *stage = (*stage).max(Stage::Draining);
            begins
        });
    }

    #[must_use]
    pub fn begun(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Whether the drain is over, so that what is left is being dropped.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.held.ending.load(Ordering::Relaxed)
    }

    /// Returns when the shutdown has begun.
    pub async fn wait(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Returns when the drain is over and what is left must be dropped.
    pub async fn wait_end(&self) {
        self.reached(Stage::Ending).await;
    }

    async fn reached(&self, wanted: Stage) {
        let mut stage = self.stage.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = stage.wait_for(|stage| *stage >= wanted).await;
    }

    /// Ends the drain before its time: what is left is dropped and leaves its records.
    pub fn end(&self) {
        self.held.ending.store(true, Ordering::Relaxed);
        self.stage.send_replace(Stage::Ending);
    }

    /// Delays the end of the process until the returned value is dropped (or time runs out).
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.held.count.fetch_add(1, Ordering::SeqCst);
        Hold(self.held.clone())
    }

    /// Waits until all holds are dropped, at most `limit`; then ends what is left and waits for
    /// that too, at most `ENDING_LIMIT`. Returns how many had to be ended.
    pub async fn drained(&self, limit: Duration) -> usize {
        let left = tokio::select! {
            left = self.holds_dropped(limit) => left,
            () = self.wait_end() => self.held.count.load(Ordering::SeqCst),
        };
        if left > 0 {
            self.end();
            self.holds_dropped(ENDING_LIMIT).await;
        }
        left
    }

    async fn holds_dropped(&self, limit: Duration) -> usize {
        let all_dropped = async {
            loop {
                let ended = self.held.ended.notified();
                if self.held.count.load(Ordering::SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        // A timeout is not an error here: the count says what was left.
        let _ = tokio::time::timeout(limit, all_dropped).await;
        self.held.count.load(Ordering::SeqCst)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

/// Starts a task on the current runtime. `name` shows in the log when the task panics.
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the one door to tokio::spawn")]
    tokio::spawn(async move {
        let guard = PanicGuard(name);
        task.await;
        std::mem::forget(guard);
    })
}

/// The work panicked, or its runtime has ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("finish the task {0}")]
pub struct Interrupted(&'static str);

/// Runs work on another runtime and waits for its result. When the returned future is dropped, so
/// is the work.
///
/// # Errors
/// When the work did not come to its end.
pub async fn run_on<T: Send + 'static>(
    runtime: &Handle,
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Interrupted> {
    let mut running = Running(runtime.spawn(async move {
        let guard = PanicGuard(name);
        let done = work.await;
        std::mem::forget(guard);
        done
    }));
    (&mut running.0).await.map_err(|_| Interrupted(name))
}

/// Ends the task with its owner.
struct Running<T>(JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Goes to the end of the thread's queue: tasks that are ready now run first.
///
/// Whoever is about to write to a socket calls it, so that the writes of many requests follow each
/// other: the core that reads them is then woken once, not for each of them.
pub async fn queue_up() {
    let mut queued = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut queued, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct PanicGuard(&'static str);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_elsewhere_gives_its_result_or_says_that_it_has_none_and_ends_with_who_waits() {
        let here = Handle::current();
        assert_eq!(run_on(&here, "sum", async { 1 + 1 }).await.unwrap(), 2);
        let broken = run_on(&here, "broken", async { panic!("a defect") });
        assert_eq!(broken.await.unwrap_err().to_string(), "finish the task broken");
        let (alive, ended) = oneshot::channel::<()>();
        let waits = run_on(&here, "waits", async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::ZERO, waits).await.is_err());
        assert!(ended.await.is_err(), "it was dropped there");
    }

    #[tokio::test]
    async fn who_queues_up_lets_the_others_go_first() {
        let order = RefCell::new(Vec::new());
        let task = async || {
            order.borrow_mut().push("reads");
            queue_up().await;
            order.borrow_mut().push("writes");
        };
        tokio::join!(task(), task());
        assert_eq!(order.into_inner(), ["reads", "reads", "writes", "writes"]);
    }
}
