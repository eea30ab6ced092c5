//! The threads that call the resolver: started when there is work, ended when there is none.

use super::{Error, Shared};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A thread without work ends after so long.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Sees to it that somebody takes up what was queued.
pub(super) fn wake(shared: &Arc<Shared>) {
    let Some(number) = shared.state().hire() else {
        shared.work.notify_one();
        return;
    };
    let worker = shared.clone();
    let started =
        std::thread::Builder::new().name(format!("names-{number}")).spawn(move || run(&worker));
    if let Err(error) = started {
        tracing::warn!(%error, "a thread for name look-ups could not be started");
        let now_us = shared.clock.monotonic_us();
        shared.state().dismiss(Some((Error::Failed(Arc::new(error)), now_us)));
    }
}

fn run(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if let Some(job) = state.take(shared.clock.monotonic_us()) {
            drop(state);
            let begun_us = shared.clock.monotonic_us();
            let found = shared.resolver.resolve(job.host());
            let now_us = shared.clock.monotonic_us();
            state = shared.state();
            state.settle(job, found, (begun_us, now_us));
            continue;
        }
        let waited = shared.work.wait_timeout(state, IDLE_LIMIT);
        let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = back;
        if timeout.timed_out() && !state.has_work() {
            state.dismiss(None);
            return;
        }
    }
}
