//! Keeps a bounded sample of the refused requests that no caller is known for.
//!
//! Whoever finds the port may send any number of them, and each would leave a record for good. All
//! are counted in the metrics; the journal gets the first of each minute, and the first of a later
//! minute says how many it stands for. Used by the writer thread only.

use gantry_model::record::RequestRecord;

const MINUTE_MS: u64 = 60_000;

#[derive(Debug)]
pub(super) struct Sample {
    per_minute: u32,
    minute: u64,
    kept: u32,
    /// Left out since the last one that was kept.
    left_out: u64,
}

impl Sample {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, minute: 0, kept: 0, left_out: 0 }
    }

    /// Whether the record goes to the journal.
    pub(super) fn admits(&mut self, record: &mut RequestRecord) -> bool {
        if !record.anonymous_refusal() {
            return true;
        }
        // A record that was late belongs to the minute that has begun.
        let minute = record.received_at_ms / MINUTE_MS;
        if minute > self.minute {
            (self.minute, self.kept) = (minute, 0);
        }
        if self.kept >= self.per_minute {
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
        let mut sample = Sample::new(2);
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
            (9, Some(1)),
        ];
        for (at, (minute, expected)) in cases.into_iter().enumerate() {
            let mut record = refused(minute * MINUTE_MS + 1);
            let kept = sample.admits(&mut record).then_some(record.also_stands_for);
            assert_eq!(kept, expected, "request {at}");
        }
    }

    #[test]
    fn records_of_a_caller_and_of_what_was_not_refused_are_all_kept() {
        let mut sample = Sample::new(0);
        let mut known = RequestRecord { subject: "user:ann".into(), ..refused(1) };
        let mut answered = RequestRecord { refusal: "".into(), ..refused(1) };
        assert!(sample.admits(&mut known) && sample.admits(&mut answered));
        assert!(!sample.admits(&mut refused(1)));
    }
}
