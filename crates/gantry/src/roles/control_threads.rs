//! Threads for the control plane: an apply or a query may keep some of them busy for long.
//!
//! They are neither the gateway's workers nor those that accept connections and follow snapshots,
//! so that a control plane at work holds up no request.

use gantry_control::Control;
use gantry_runtime::reconcile::Kit;
use tokio::runtime::{Builder, Handle, Runtime};

/// Two, so that one long call leaves room for another.
const THREADS: usize = 2;

/// Ends with its owner, without waiting for what still runs on it.
pub(super) struct ControlThreads(Option<Runtime>);

impl ControlThreads {
    /// # Errors
    /// When the system gives no threads.
    pub(super) fn start() -> std::io::Result<Self> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(THREADS).max_blocking_threads(8).thread_name("control");
        Ok(Self(Some(threads.enable_all().build()?)))
    }

    /// Starts the control plane's work beside requests here, for publishing may take long.
    pub(super) fn keep_up(&self, control: &Control, kit: &Kit) {
        let handle = self.handle();
        let _here = handle.enter();
        control.start_upkeep(kit);
    }

    /// Where to run what may take long.
    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for ControlThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
