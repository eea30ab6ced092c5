//! How targets have been doing: failures, time to first token, time per output token.
//!
//! One [`Health`] per real model, shared by all workers and kept across snapshots. Settlement and
//! attempts write it, planning reads it.

pub use super::outcomes::Failing;

use super::outcomes::Outcomes;
use gantry_model::snapshot::SlaCutoff;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Speed for latency-based routing is taken over so many minutes.
const LATENCY_MINUTES: u64 = 20;
/// Speed for `sla_cutoff` is taken over so many minutes, from so many samples of
/// the kind that is judged.
const SLA_MINUTES: u64 = 3;
const SLA_SAMPLES_MIN: u64 = 3;

const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;
const BUCKETS: usize = LATENCY_MINUTES as usize;

/// The recent past of one target.
#[derive(Debug, Default)]
pub struct Health {
    window: Mutex<Window>,
    outcomes: Outcomes,
    /// Whether there was any failure so far: without one, most plans need not look further.
    failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Window {
    minutes: [Minute; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// Which minute of the monotonic clock, plus one; 0 means never used.
    stamp: u64,
    first_token_us: u64,
    first_tokens: u64,
    output_us: u64,
    output_tokens: u64,
    /// Replies that the two above are of.
    outputs: u64,
}

/// How quick one target has been, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Mean time per output token over 20 minutes, in microseconds.
    pub output_token_us: Option<f64>,
    /// The same over 3 minutes, with enough samples.
    pub recent_output_token_us: Option<f64>,
    pub recent_first_token_us: Option<f64>,
}

impl View {
    /// Why the target misses `cutoff`, as a sentence; `None` when it holds or is not known.
    #[must_use]
    pub fn misses(&self, cutoff: &SlaCutoff) -> Option<String> {
        let checks = [
            ("first token", self.recent_first_token_us, cutoff.time_to_first_token_ms),
            ("output token", self.recent_output_token_us, cutoff.time_per_output_token_ms),
        ];
        checks.into_iter().find_map(|(what, measured_us, limit_ms)| {
            let (measured_ms, limit_ms) = (measured_us? / 1000.0, limit_ms?);
            (measured_ms > limit_ms).then(|| {
                format!("slow: {measured_ms:.0} ms per {what}, the cutoff is {limit_ms} ms")
            })
        })
    }
}

impl Health {
    /// Notes a reply that may be given to the caller, be it only its beginning.
    pub fn answered(&self, now_us: u64) {
        self.outcomes.answered(now_us);
    }

    /// Notes a request that failed and speaks against the target (5xx, 429, 401, 403, no answer).
    pub fn failed(&self, now_us: u64) {
        self.failed.store(true, Ordering::Release);
        self.outcomes.failed(now_us);
    }

    /// Notes that a reply broke which was noted as an answer when it began.
    pub fn broke(&self, now_us: u64) {
        self.failed.store(true, Ordering::Release);
        self.outcomes.broke(now_us);
    }

    /// Notes the speed of a reply that ended well.
    pub fn measured(&self, now_us: u64, first_token_us: Option<u64>, output: Option<(u64, u64)>) {
        let stamp = now_us / MINUTE_US + 1;
        let mut window = self.lock();
        let slot = usize::try_from(stamp).unwrap_or_default() % BUCKETS;
        let Some(minute) = window.minutes.get_mut(slot) else { return };
        if minute.stamp != stamp {
            *minute = Minute { stamp, ..Minute::default() };
        }
        if let Some(us) = first_token_us {
            minute.first_token_us += us;
            minute.first_tokens += 1;
        }
        if let Some((us, tokens)) = output {
            minute.output_us += us;
            minute.output_tokens += tokens;
            minute.outputs += 1;
        }
    }

    /// Why the target is unhealthy; `None` when it is not.
    #[must_use]
    pub fn failing(&self, now_us: u64) -> Option<Failing> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.outcomes.failing(now_us)
    }

    /// How quick the target has been.
    #[must_use]
    pub fn view(&self, now_us: u64) -> View {
        let window = self.lock();
        let long = window.sum(now_us, LATENCY_MINUTES);
        let short = window.sum(now_us, SLA_MINUTES);
        View {
            output_token_us: mean(long.output_us, long.output_tokens),
            recent_output_token_us: mean(short.output_us, short.output_tokens)
                .filter(|_| short.outputs >= SLA_SAMPLES_MIN),
            recent_first_token_us: mean(short.first_token_us, short.first_tokens)
                .filter(|_| short.first_tokens >= SLA_SAMPLES_MIN),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn sum(&self, now_us: u64, minutes: u64) -> Minute {
        let newest = now_us / MINUTE_US + 1;
        let within = |minute: &&Minute| minute.stamp > 0 && minute.stamp + minutes > newest;
        self.minutes.iter().filter(within).fold(Minute::default(), |sum, minute| Minute {
            stamp: 0,
            first_token_us: sum.first_token_us + minute.first_token_us,
            first_tokens: sum.first_tokens + minute.first_tokens,
            output_us: sum.output_us + minute.output_us,
            output_tokens: sum.output_tokens + minute.output_tokens,
            outputs: sum.outputs + minute.outputs,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean of microseconds, for comparison only")]
fn mean(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

/// All targets' health, by `account/model`; looked up when a snapshot is compiled.
///
/// It holds nobody alive: a model keeps its own, and what no snapshot has any more is forgotten by
/// [`Registry::sweep`]. A model that comes back within the life of an older snapshot finds its own.
#[derive(Debug, Default)]
pub struct Registry(Mutex<HashMap<String, Weak<Health>>>);

impl Registry {
    #[must_use]
    pub fn of(&self, target: &str) -> Arc<Health> {
        let mut all = self.lock();
        if let Some(known) = all.get(target).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Health::default());
        all.insert(target.to_owned(), Arc::downgrade(&new));
        new
    }

    /// Forgets the targets that no snapshot in use has. Called when a snapshot was replaced.
    pub fn sweep(&self) {
        self.lock().retain(|_, health| health.strong_count() > 0);
    }

    /// How many targets are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Health>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_no_snapshot_has_any_more_is_forgotten() {
        let registry = Registry::default();
        let (kept, gone) = (registry.of("acc/a"), registry.of("acc/b"));
        kept.failed(0);
        kept.failed(0);
        drop(gone);
        registry.sweep();
        assert_eq!(registry.len(), 1);
        assert!(registry.of("acc/a").failing(SECOND_US).is_some(), "it is still the same");
    }

    #[test]
    fn a_cutoff_is_judged_by_samples_of_its_own_kind() {
        let health = Health::default();
        for _ in 0..3 {
            // A whole reply has no first token, and a stream of one token no time between tokens.
            health.measured(SECOND_US, None, Some((50_000, 50)));
        }
        health.measured(SECOND_US, Some(800_000), None);
        let view = health.view(SECOND_US);
        assert_eq!((view.recent_first_token_us, view.recent_output_token_us), (None, Some(1000.0)));
        for _ in 0..2 {
            health.measured(SECOND_US, Some(800_000), None);
        }
        assert_eq!(health.view(SECOND_US).recent_first_token_us, Some(800_000.0));
    }

    #[test]
    fn a_slow_target_misses_its_cutoff_from_the_third_sample_on() {
        let health = Health::default();
        let cutoff =
            SlaCutoff { time_per_output_token_ms: None, time_to_first_token_ms: Some(500.0) };
        for sample in 0..3 {
            assert_eq!(health.view(SECOND_US).misses(&cutoff), None, "sample {sample}");
            health.measured(SECOND_US, Some(800_000), Some((1_000_000, 50)));
        }
        assert_eq!(
            health.view(2 * SECOND_US).misses(&cutoff).as_deref(),
            Some("slow: 800 ms per first token, the cutoff is 500 ms")
        );
        let four_minutes = 4 * MINUTE_US;
        assert_eq!(health.view(four_minutes).misses(&cutoff), None);
        assert_eq!(health.view(four_minutes).output_token_us, Some(20_000.0));
        assert_eq!(health.view(25 * MINUTE_US).output_token_us, None);
    }
}
