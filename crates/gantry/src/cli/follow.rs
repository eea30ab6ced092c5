//! Which records are news to `gantry logs --follow`. Pure.
//!
//! A record comes when its request ends, while ids sort by when it began. So each question looks
//! back some time, and what is known already is left out.

use gantry_model::ids::{RequestId, UnixMs};
use gantry_model::record::RequestRecord;
use gantry_model::rest::LogQuery;
use std::collections::HashSet;

/// Requests that took longer than this are not shown when they end.
const BACK_MS: u64 = 15 * 60 * 1000;

/// Most records that one question gets: the most that the control plane answers with.
const LIMIT: u32 = 1000;

/// The requests that were there before, or were shown.
#[derive(Default)]
pub(super) struct Known(HashSet<RequestId>);

impl Known {
    /// What is asked at `now_ms`, by the user's own conditions.
    pub(super) fn question(query: &LogQuery, now_ms: UnixMs) -> LogQuery {
        let back = now_ms.saturating_sub(BACK_MS);
        let from_ms = Some(query.from_ms.unwrap_or_default().max(back));
        LogQuery { from_ms, limit: Some(LIMIT), ..query.clone() }
    }

    /// Takes an answer, newest first, and returns what is new in it, oldest first.
    pub(super) fn news(&mut self, mut found: Vec<RequestRecord>) -> Vec<RequestRecord> {
        found.retain(|record| record.id.is_some_and(|id| self.0.insert(id)));
        found.reverse();
        found
    }

    /// Forgets what no later question can find; a clock may have been set by as much again.
    pub(super) fn forget(&mut self, now_ms: UnixMs) {
        let back = now_ms.saturating_sub(2 * BACK_MS);
        self.0.retain(|id| id.unix_ms() >= back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn record(began_ms: u64) -> RequestRecord {
        let id = Some(RequestId(u128::from(began_ms) << 80));
        RequestRecord { id, received_at_ms: began_ms, ..RequestRecord::default() }
    }

    fn times(records: &[RequestRecord]) -> Vec<u64> {
        records.iter().map(|record| record.received_at_ms).collect()
    }

    #[test]
    fn old_records_are_no_news_and_a_long_request_is_when_it_ends() {
        let at = |seconds: u64| record(NOW_MS + 1000 * seconds);
        let mut known = Known::default();
        known.news(vec![at(4), at(3), at(1)]);
        let found = known.news(vec![at(6), at(5), at(4), at(3), at(2), at(1)]);
        assert_eq!(times(&found), times(&[at(2), at(5), at(6)]), "oldest first");
        assert!(known.news(vec![at(6), at(2)]).is_empty());
    }

    #[test]
    fn a_question_keeps_the_conditions_and_looks_back() {
        let model = Some("m".to_owned());
        let asked = |from_ms| LogQuery {
            from_ms,
            limit: Some(1),
            model: model.clone(),
            ..LogQuery::default()
        };
        let back = NOW_MS - BACK_MS;
        for (from_ms, expected) in [(None, back), (Some(7), back), (Some(NOW_MS), NOW_MS)] {
            let question = Known::question(&asked(from_ms), NOW_MS);
            assert_eq!((question.from_ms, question.limit), (Some(expected), Some(1000)));
            assert_eq!(question.model, model);
        }
    }

    #[test]
    fn only_what_can_come_again_is_kept_in_mind() {
        let mut known = Known::default();
        let (old, new) = (record(NOW_MS - 3 * BACK_MS), record(NOW_MS - BACK_MS));
        known.news(vec![new.clone(), old]);
        known.forget(NOW_MS);
        assert_eq!(known.0, [new.id.unwrap()].into());
    }
}
