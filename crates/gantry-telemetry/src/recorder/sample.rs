//! Keeps a bounded sample of the requests that were refused before any upstream was asked.
//!
//! Whoever finds the port, and whoever has a token without a right, may send any number of them,
//! and each would leave a record for good. All are counted in the metrics; journal, log and traces
//! get the first of each minute, and the first of a later minute says how many it stands for. Those
//! without a caller share one bound, each caller has one of its own for each kind of refusal. Used
//! by the writer thread only.

use gantry_model::record::RequestRecord;
use std::collections::BTreeMap;

const MINUTE_MS: u64 = 60_000;

/// Pairs of caller and refusal that are told apart. Further ones of the same time share one bound,
/// and those left out there are counted in the metrics alone.
const TALLIES_MAX: usize = 4096;

/// Most records of refusals in a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of all that have no caller.
    pub(super) anonymous: u32,
    /// Of each caller and kind of refusal.
    pub(super) of_a_caller: u32,
}

#[derive(Debug)]
pub(super) struct Sample {
    bounds: Bounds,
    minute: u64,
    anonymous: Tally,
    /// By caller, then by refusal.
    callers: BTreeMap<String, BTreeMap<String, Tally>>,
    tallies: usize,
    others: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    kept: u32,
    /// Left out since the last one that was kept.
    left_out: u64,
}

impl Sample {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (anonymous, callers, others) = (Tally::default(), BTreeMap::new(), Tally::default());
        Self { bounds, minute: 0, anonymous, callers, tallies: 0, others }
    }

    /// Whether the record goes to the journal.
    pub(super) fn admits(&mut self, record: &mut RequestRecord) -> bool {
        if !record.refused_at_once() {
            return true;
        }
        // A record that was late belongs to the minute that has begun.
        let minute = record.received_at_ms / MINUTE_MS;
        if minute > self.minute {
            self.minute = minute;
            self.begin();
        }
        if record.subject.is_empty() {
            return self.anonymous.admits(self.bounds.anonymous, record);
        }
        let bound = self.bounds.of_a_caller;
        match self.tally(&record.subject, &record.refusal) {
            Some(tally) => tally.admits(bound, record),
            None => {
                let admitted = self.others.admits(bound, record);
                // They would be told of a caller that did not send them.
                record.also_stands_for = 0;
                admitted
            }
        }
    }

    /// A new minute: bounds begin anew, and who left nothing out is forgotten.
    fn begin(&mut self) {
        self.anonymous.kept = 0;
        self.others.kept = 0;
        for tallies in self.callers.values_mut() {
            tallies.retain(|_, tally| {
                let waits = tally.kept > 0 && tally.left_out > 0;
                tally.kept = 0;
                waits
            });
        }
        self.callers.retain(|_, tallies| !tallies.is_empty());
        self.tallies = self.callers.values().map(BTreeMap::len).sum();
    }

    fn tally(&mut self, caller: &str, refusal: &str) -> Option<&mut Tally> {
        let known = self.callers.get(caller).is_some_and(|own| own.contains_key(refusal));
        if !known {
            if self.tallies >= TALLIES_MAX {
                return None;
            }
            self.tallies += 1;
            let own = self.callers.entry(caller.to_owned()).or_default();
            own.insert(refusal.to_owned(), Tally::default());
        }
        self.callers.get_mut(caller)?.get_mut(refusal)
    }
}

impl Tally {
    fn admits(&mut self, bound: u32, record: &mut RequestRecord) -> bool {
        if self.kept >= bound {
            self.left_out += 1;
            return false;
        }
        self.kept += 1;
        record.also_stands_for = std::mem::take(&mut self.left_out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::record::Attempt;

    const BOUNDS: Bounds = Bounds { anonymous: 2, of_a_caller: 2 };

    fn refused(ms: u64) -> RequestRecord {
        RequestRecord {
            received_at_ms: ms,
            status: 401,
            refusal: "unauthenticated".into(),
            ..RequestRecord::default()
        }
    }

    #[test]
    fn of_each_minute_the_first_are_kept_and_the_next_stand_for_the_others() {
        // Minute of each request, and what becomes of it.
        let cases = [
            (5, Some(0)),
            (5, Some(0)),
            (5, None),
            (4, None),
            (5, None),
            (6, Some(3)),
            (6, Some(0)),
            (6, None),
            (7, Some(1)),
        ];
        for caller in ["", "user:ann"] {
            let mut sample = Sample::new(BOUNDS);
            for (at, (minute, expected)) in cases.into_iter().enumerate() {
                let mut record = refused(minute * MINUTE_MS + 1);
                record.subject = caller.to_owned();
                let kept = sample.admits(&mut record).then_some(record.also_stands_for);
                assert_eq!(kept, expected, "request {at} of `{caller}`");
            }
        }
    }

    #[test]
    fn a_caller_uses_up_no_bound_but_its_own_for_that_refusal() {
        let mut sample = Sample::new(BOUNDS);
        let mut admits = |subject: &str, refusal: &'static str| {
            let (subject, refusal) = (subject.to_owned(), refusal.into());
            sample.admits(&mut RequestRecord { subject, refusal, ..refused(1) })
        };
        let first: Vec<bool> = (0..4).map(|_| admits("user:ann", "not_permitted")).collect();
        assert_eq!(first, [true, true, false, false]);
        assert!(admits("user:ann", "malformed") && admits("user:bob", "not_permitted"));
        assert!(admits("", "not_permitted"));
    }

    #[test]
    fn what_was_answered_or_asked_of_an_upstream_is_all_kept() {
        let mut sample = Sample::new(Bounds { anonymous: 0, of_a_caller: 0 });
        let subject = || "user:ann".to_owned();
        let attempts = vec![Attempt::default()];
        let mut failed = RequestRecord { subject: subject(), attempts, ..refused(1) };
        let mut answered = RequestRecord { refusal: "".into(), ..refused(1) };
        assert!(sample.admits(&mut failed) && sample.admits(&mut answered));
        assert!(!sample.admits(&mut refused(1)));
        assert!(!sample.admits(&mut RequestRecord { subject: subject(), ..refused(1) }));
    }

    #[test]
    fn any_number_of_callers_takes_a_bounded_memory_and_leaves_a_bounded_number_of_records() {
        let mut sample = Sample::new(Bounds { anonymous: 1, of_a_caller: 1 });
        let mut kept = 0;
        for caller in 0..2 * TALLIES_MAX {
            let subject = format!("user:{caller}");
            kept += usize::from(sample.admits(&mut RequestRecord { subject, ..refused(1) }));
        }
        assert_eq!((kept, sample.tallies), (TALLIES_MAX + 1, TALLIES_MAX));
        assert!(sample.admits(&mut refused(MINUTE_MS)));
        assert_eq!(sample.tallies, 0);
    }
}
