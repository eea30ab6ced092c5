//! Which records are news to `gantry logs --follow`. Pure.
//!
//! A record comes when its request ends, while ids sort by when it began. So each question is
//! about the requests that ended lately, page by page, and what is known already is left out.

use gantry_model::ids::{RequestId, UnixMs};
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LOGS_MAX, LogQuery};
use std::collections::HashSet;

/// Requests that took longer than this are not shown when they end.
const BACK_MS: u64 = 15 * 60 * 1000;

/// Records that come later than this after another one are not shown. Those of a remote gateway
/// come within a minute: its segments are sealed after 30 s and shipped within seconds.
const LATE_MS: u64 = 2 * 60 * 1000;

/// Records of the control plane's own gateway can be read as soon as the request has ended. To look
/// back further each time would fetch the same records again and again.
const NEAR_MS: u64 = 5 * 1000;

/// How far back a question goes behind the last record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    Near,
    /// To records that remote gateways have shipped since.
    Far,
}

/// The requests that were there before, or were shown.
#[derive(Default)]
pub(super) struct Known {
    ids: HashSet<RequestId>,
    /// When the last one of them ended.
    ended_ms: Option<UnixMs>,
}

impl Known {
    /// What is asked at `now_ms`, by the user's own conditions: the first page.
    pub(super) fn question(&self, query: &LogQuery, now_ms: UnixMs, reach: Reach) -> LogQuery {
        let back = now_ms.saturating_sub(BACK_MS);
        let reach_ms = match reach {
            Reach::Near => NEAR_MS,
            Reach::Far => LATE_MS,
        };
        // By the clocks of the records, since the one here may be ahead of them.
        let late = self.ended_ms.map(|ended_ms| ended_ms.min(now_ms).saturating_sub(reach_ms));
        LogQuery {
            from_ms: Some(query.from_ms.unwrap_or_default().max(back)),
            ended_from_ms: Some(late.unwrap_or(back)),
            after_id: Some(RequestId(0).to_string()),
            limit: Some(LOGS_MAX),
            ..query.clone()
        }
    }

    /// The question for what follows a page; `None` after the last one.
    pub(super) fn next(question: LogQuery, page: &[RequestRecord]) -> Option<LogQuery> {
        let last = page.last()?.id?;
        let more = page.len() >= usize::try_from(LOGS_MAX).unwrap_or(usize::MAX);
        more.then(|| LogQuery { after_id: Some(last.to_string()), ..question })
    }

    /// Learns from the newest record how far the first question has to look back.
    pub(super) fn look(&mut self, newest: &[RequestRecord]) {
        self.ended_ms = newest.iter().map(ended_ms).max();
    }

    /// Takes records and returns what is new among them, in the same order.
    pub(super) fn news(&mut self, mut found: Vec<RequestRecord>) -> Vec<RequestRecord> {
        let ended_ms = found.iter().map(ended_ms).max();
        self.ended_ms = self.ended_ms.max(ended_ms);
        found.retain(|record| record.id.is_some_and(|id| self.ids.insert(id)));
        found
    }

    /// Forgets what no later question can find; a clock may have been set by as much again.
    pub(super) fn forget(&mut self, now_ms: UnixMs) {
        let back = now_ms.saturating_sub(2 * BACK_MS);
        self.ids.retain(|id| id.unix_ms() >= back);
    }
}

fn ended_ms(record: &RequestRecord) -> UnixMs {
    record.received_at_ms.saturating_add(record.duration_us / 1000)
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
        known.news(vec![at(1), at(3), at(4)]);
        let found = known.news(vec![at(1), at(2), at(3), at(4), at(5), at(6)]);
        assert_eq!(times(&found), times(&[at(2), at(5), at(6)]));
        assert!(known.news(vec![at(2), at(6)]).is_empty());
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
            let question = Known::default().question(&asked(from_ms), NOW_MS, Reach::Far);
            assert_eq!((question.from_ms, question.limit), (Some(expected), Some(1000)));
            assert_eq!(question.model, model);
        }
    }

    #[test]
    fn a_question_is_about_what_ended_since_the_last_record() {
        let ended = |began_ms, took_ms: u64| RequestRecord {
            duration_us: took_ms * 1000,
            ..record(began_ms)
        };
        let cases = [
            (vec![], NOW_MS - BACK_MS),
            (vec![ended(NOW_MS - 900, 400)], NOW_MS - 500 - LATE_MS),
            (vec![ended(NOW_MS - 60_000, 59_000), record(NOW_MS - 900)], NOW_MS - 900 - LATE_MS),
            (vec![record(NOW_MS + 99_000)], NOW_MS - LATE_MS),
        ];
        for (records, expected) in cases {
            let mut known = Known::default();
            known.look(&records);
            let question = known.question(&LogQuery::default(), NOW_MS, Reach::Far);
            assert_eq!(question.ended_from_ms, Some(expected));
            let near = known.question(&LogQuery::default(), NOW_MS, Reach::Near);
            let nearer = if records.is_empty() { 0 } else { LATE_MS - NEAR_MS };
            assert_eq!(near.ended_from_ms, Some(expected + nearer));
        }
    }

    #[test]
    fn a_full_page_is_followed_by_the_next_one() {
        let question = Known::default().question(&LogQuery::default(), NOW_MS, Reach::Far);
        assert_eq!(question.after_id, Some("0".repeat(32)), "the oldest first");
        let page: Vec<_> = (0..1000).map(|number| record(NOW_MS + number)).collect();
        let next = Known::next(question.clone(), &page).unwrap();
        assert_eq!(next.after_id, page.last().unwrap().id.map(|id| id.to_string()));
        assert_eq!(next, LogQuery { after_id: next.after_id.clone(), ..question.clone() });
        assert_eq!(Known::next(question.clone(), &page[1..]), None);
        assert_eq!(Known::next(question, &[]), None);
    }

    #[test]
    fn only_what_can_come_again_is_kept_in_mind() {
        let mut known = Known::default();
        let (old, new) = (record(NOW_MS - 3 * BACK_MS), record(NOW_MS - BACK_MS));
        known.news(vec![new.clone(), old]);
        known.forget(NOW_MS);
        assert_eq!(known.ids, [new.id.unwrap()].into());
    }
}
