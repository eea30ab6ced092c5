//! How the recent requests of one target ended, and when that makes it unhealthy.
//!
//! [`super::health`] owns one per target. Every attempt notes here, so it takes no lock.
//!
//! A target is unhealthy by either of two rules, over a window of two minutes:
//!
//! - **Rate**: of ten requests or more a quarter failed. Upstreams fail a few percent of requests
//!   in ordinary times; at 5 % one window of ten requests in 87 shows three failures, one of forty
//!   in 30,000 shows ten.
//! - **Row**: the last five requests failed, or the last two or all of fewer than ten. With much
//!   traffic an outage shows at once, long before a quarter of the window has failed; at 10 % five
//!   in a row come once in 100,000 requests. With little traffic there is nothing else to go by.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const SLOT_US: u64 = 10 * 1_000_000;
/// Two minutes.
const SLOTS: usize = 12;
/// From so many requests on, the rate counts.
const REQUESTS_MIN: u32 = 10;
/// One in so many failed: unhealthy.
const FAILED_PART: u32 = 4;
/// So many in a row: unhealthy, whatever came before.
const ROW: u32 = 5;
/// The same with too few requests for a rate.
const ROW_OF_FEW: u32 = 2;

/// Bits of a slot's counts of requests and of failures; what is above is its stamp.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;

/// Ends of requests of the last two minutes.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// Stamp, requests and failures of ten seconds in one number.
    slots: [AtomicU64; SLOTS],
    /// Failures since the last answer.
    row: AtomicU32,
}

/// Why a target is unhealthy, as a fragment: `12 of 40 requests failed in 2 minutes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Rate { failures: u32, requests: u32 },
    Row(u32),
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { failures, requests } => {
                write!(f, "{failures} of {requests} requests failed in 2 minutes")
            }
            Self::Row(row) => write!(f, "the last {row} requests failed"),
        }
    }
}

/// What one slot holds.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// Which ten seconds of the monotonic clock, plus one; 0 means never used.
    stamp: u64,
    requests: u32,
    failures: u32,
}

impl Slot {
    fn read(packed: u64) -> Self {
        let count = |number: u64| (number & u64::from(COUNT_MAX)) as u32;
        Self {
            stamp: packed >> (2 * COUNT_BITS),
            requests: count(packed >> COUNT_BITS),
            failures: count(packed),
        }
    }

    fn packed(self) -> u64 {
        let requests = u64::from(self.requests.min(COUNT_MAX));
        let failures = u64::from(self.failures.min(COUNT_MAX));
        self.stamp << (2 * COUNT_BITS) | requests << COUNT_BITS | failures
    }
}

impl Outcomes {
    /// A reply that may be given to the caller.
    pub(super) fn answered(&self, now_us: u64) {
        self.add(now_us, 1, 0);
        // A look first: a store would take the line from the other workers each time.
        if self.row.load(Ordering::Relaxed) > 0 {
            self.row.store(0, Ordering::Relaxed);
        }
    }

    /// A request that came to nothing.
    pub(super) fn failed(&self, now_us: u64) {
        self.add(now_us, 1, 1);
        self.row.fetch_add(1, Ordering::Relaxed);
    }

    /// A reply that broke after it had been counted as an answer.
    pub(super) fn broke(&self, now_us: u64) {
        self.add(now_us, 0, 1);
        self.row.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the target is unhealthy; `None` when it is not.
    pub(super) fn failing(&self, now_us: u64) -> Option<Failing> {
        let newest = stamp(now_us);
        let (mut requests, mut failures) = (0u32, 0u32);
        for slot in &self.slots {
            let slot = Slot::read(slot.load(Ordering::Relaxed));
            if slot.stamp > 0 && slot.stamp + SLOTS as u64 > newest {
                requests = requests.saturating_add(slot.requests);
                failures = failures.saturating_add(slot.failures);
            }
        }
        // A stream that began before the window may break within it.
        let requests = requests.max(failures);
        if requests >= REQUESTS_MIN && failures >= requests.div_ceil(FAILED_PART) {
            return Some(Failing::Rate { failures, requests });
        }
        // A row reaches back to the last answer; what has left the window counts no more.
        let row = self.row.load(Ordering::Relaxed).min(failures);
        let enough = if requests < REQUESTS_MIN { ROW_OF_FEW } else { ROW };
        if row >= enough {
            return Some(Failing::Row(row));
        }
        // Streams that begin and break are answers first, so they make no row.
        let all = failures >= ROW_OF_FEW && failures == requests;
        all.then_some(Failing::Rate { failures, requests })
    }

    fn add(&self, now_us: u64, requests: u32, failures: u32) {
        let stamp = stamp(now_us);
        let at = usize::try_from(stamp).unwrap_or_default() % SLOTS;
        let Some(place) = self.slots.get(at) else { return };
        let add = |packed| {
            let mut slot = Slot::read(packed);
            if slot.stamp != stamp {
                slot = Slot { stamp, ..Slot::default() };
            }
            slot.requests += requests;
            slot.failures += failures;
            Some(slot.packed())
        };
        // The closure always gives a value, so this always stores one.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

fn stamp(now_us: u64) -> u64 {
    // 24 bits of ten seconds are five years of one process.
    (now_us / SLOT_US + 1) & ((1 << (64 - 2 * COUNT_BITS)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    /// `.` is an answer, `x` a failure, `b` a stream that breaks; all within one second.
    fn after(story: &str) -> Outcomes {
        let outcomes = Outcomes::default();
        for end in story.chars() {
            match end {
                '.' => outcomes.answered(0),
                'x' => outcomes.failed(0),
                _ => outcomes.broke(0),
            }
        }
        outcomes
    }

    #[test]
    fn a_rate_or_a_row_of_failures_is_unhealthy_and_an_ordinary_error_is_not() {
        let many = |good: usize, bad: usize| "x".repeat(bad) + &".".repeat(good);
        let cases = [
            (String::new(), None),
            ("x".into(), None),
            ("xx".into(), Some("the last 2 requests failed")),
            ("xx.".into(), None),
            (".x.x".into(), None),
            ("...bb".into(), Some("the last 2 requests failed")),
            (".b".into(), None),
            (".b.b".into(), Some("2 of 2 requests failed in 2 minutes")),
            (".b..b".into(), None),
            ("x.x.x....".into(), None),
            ("x.x.x.....".into(), Some("3 of 10 requests failed in 2 minutes")),
            ("x.x........".into(), None),
            (many(828, 2), None),
            (many(828, 0) + "xx", None),
            (many(828, 0) + "xxxx", None),
            (many(828, 0) + "xxxxx", Some("the last 5 requests failed")),
            (many(28, 12), Some("12 of 40 requests failed in 2 minutes")),
            (many(31, 9), None),
            (many(0, 12), Some("12 of 12 requests failed in 2 minutes")),
        ];
        for (story, expected) in cases {
            let found = after(&story).failing(SECOND_US).map(|failing| failing.to_string());
            assert_eq!(found.as_deref(), expected, "{story}");
        }
    }

    #[test]
    fn what_is_older_than_two_minutes_counts_no_more() {
        let outcomes = Outcomes::default();
        outcomes.failed(0);
        assert_eq!(outcomes.failing(SECOND_US), None);
        outcomes.failed(100 * SECOND_US);
        assert_eq!(outcomes.failing(110 * SECOND_US), Some(Failing::Row(2)));
        assert_eq!(outcomes.failing(121 * SECOND_US), None);
        outcomes.failed(300 * SECOND_US);
        assert_eq!(outcomes.failing(301 * SECOND_US), None, "the row of before is over");
        outcomes.failed(302 * SECOND_US);
        assert_eq!(outcomes.failing(303 * SECOND_US), Some(Failing::Row(2)));
    }
}
