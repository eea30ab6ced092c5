//! How background work does, for metrics and people.
//!
//! The loop writes it, anybody reads it. It holds texts of errors, which may name hosts: it is for
//! administrators.

use gantry_model::ids::UnixMs;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How one piece of background work does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub name: &'static str,
    pub state: State,
    /// Between two passes when all goes well, in milliseconds.
    pub period_ms: u64,
    /// Passes that ended.
    pub runs: u64,
    /// Passes that failed.
    pub failures: u64,
    /// Failed passes since the last success.
    pub failures_in_a_row: u64,
    /// When the last pass began.
    pub last_run_ms: Option<UnixMs>,
    /// When the last good pass ended.
    pub last_success_ms: Option<UnixMs>,
    /// What the last failed pass said; it stays when later ones succeed.
    pub last_error: Option<String>,
    /// When the last failed pass ended.
    pub last_error_ms: Option<UnixMs>,
}

/// What the work does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its period, an activation, or the end of a pause after a failure.
    Waiting,
    Running,
    /// It has ended with the process, or by a defect: nothing runs it any more.
    Ended,
}

/// The list of all background work of a process; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Vec<Arc<Mutex<Status>>>>>);

impl Board {
    /// All work that was started, in that order.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        lock(&self.0).iter().map(|status| lock(status).clone()).collect()
    }

    /// Adds work to the list; also says how many there were.
    pub(super) fn enter(&self, name: &'static str, period: Duration) -> (Entry, u64) {
        let status = Arc::new(Mutex::new(Status {
            name,
            state: State::Waiting,
            period_ms: u64::try_from(period.as_millis()).unwrap_or(u64::MAX),
            runs: 0,
            failures: 0,
            failures_in_a_row: 0,
            last_run_ms: None,
            last_success_ms: None,
            last_error: None,
            last_error_ms: None,
        }));
        let mut all = lock(&self.0);
        all.push(status.clone());
        (Entry(status), all.len() as u64)
    }
}

/// A loop's own line; when it is dropped, the work has ended.
#[derive(Debug)]
pub(super) struct Entry(Arc<Mutex<Status>>);

/// How a failure was noted.
pub(super) struct Noted {
    /// Whether the pass before succeeded, or failed with other words.
    pub is_news: bool,
    pub failures: u64,
}

impl Entry {
    pub(super) fn begun(&self, now_ms: UnixMs) {
        let mut status = lock(&self.0);
        status.state = State::Running;
        status.last_run_ms = Some(now_ms);
    }

    /// Returns whether the pass before had failed.
    pub(super) fn succeeded(&self, now_ms: UnixMs) -> bool {
        let mut status = lock(&self.0);
        status.state = State::Waiting;
        status.runs += 1;
        status.last_success_ms = Some(now_ms);
        std::mem::take(&mut status.failures_in_a_row) > 0
    }

    pub(super) fn failed(&self, now_ms: UnixMs, error: &str) -> Noted {
        let mut status = lock(&self.0);
        let same = status.failures_in_a_row > 0 && status.last_error.as_deref() == Some(error);
        status.state = State::Waiting;
        status.runs += 1;
        status.failures += 1;
        status.failures_in_a_row += 1;
        status.last_error = Some(error.to_owned());
        status.last_error_ms = Some(now_ms);
        Noted { is_news: !same, failures: status.failures_in_a_row }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.0).state = State::Ended;
    }
}

/// A poisoned lock means that a number may be off by one, so the values stay in use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
