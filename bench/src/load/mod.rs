//! The load driver: sends prepared bytes, checks every answer, times it, reads the proxy's CPU.
//!
//! `cargo xtask bench` runs it once per measurement. It decodes HTTP framing only as far as needed
//! to know where an answer ends. An answer that is not right is an error, never a sample.

mod closed;
mod open;
mod process;
mod reply;

use crate::cases::{Prepared, prepare};
use crate::spec::{Outcome, Pace, Spec};
use process::Sample;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Runs one measurement: the spec and the outcome are JSON.
///
/// # Errors
/// When the spec does not parse, no connection comes about, or the watched process is gone.
pub fn run(spec: &str) -> io::Result<String> {
    let spec: Spec = serde_json::from_str(spec)?;
    let job = Arc::new(Job { prepared: prepare(spec.case), spec, totals: Totals::default() });
    let outcome = match job.spec.pace {
        Pace::Closed => crate::on_one_thread(closed::timed(job))?,
        Pace::Count(requests) => crate::on_one_thread(closed::counted(job, requests))?,
        Pace::Open(per_second) => open::run(&job, per_second)?,
    };
    Ok(serde_json::to_string(&outcome)?)
}

/// What all connections of a measurement share.
struct Job {
    spec: Spec,
    prepared: Prepared,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    requests: AtomicU64,
    events: AtomicU64,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

impl Totals {
    fn add_error(&self, text: String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(text);
    }
}

/// The state of everything at one moment; a measurement is the difference of two.
struct Mark {
    at: Instant,
    requests: u64,
    events: u64,
    process: Option<Sample>,
}

impl Mark {
    fn now(job: &Job) -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            requests: job.totals.requests.load(Ordering::Relaxed),
            events: job.totals.events.load(Ordering::Relaxed),
            process: job.spec.watch_pid.map(process::sample).transpose()?,
        })
    }

    /// What happened between this mark and `end`.
    fn until(&self, end: &Self, job: &Job) -> Outcome {
        let cpu = self.process.as_ref().zip(end.process.as_ref());
        let first_error = job.totals.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            requests: end.requests - self.requests,
            events: end.events - self.events,
            all_requests: end.requests,
            all_events: end.events,
            errors: job.totals.errors.load(Ordering::Relaxed),
            first_error: first_error.clone(),
            seconds: (end.at - self.at).as_secs_f64(),
            cpu_us: cpu.map(|(from, to)| to.cpu_us.saturating_sub(from.cpu_us)),
            rss_kib: end.process.as_ref().map(|sample| sample.rss_kib),
            peak_kib: end.process.as_ref().map(|sample| sample.peak_kib),
            ..Outcome::default()
        }
    }
}
