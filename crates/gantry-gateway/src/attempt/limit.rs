//! How long an attempt may take, and whose limit that is.

use super::failure::Outcome;
use crate::config::Config;
use crate::headers::{REQUEST_TIMEOUT, TTFT_TIMEOUT, Wishes};
use std::time::Duration;

/// An attempt that has so much less than its own limit left was not given its time.
const SHORT_BY: Duration = Duration::from_secs(1);

/// The limit that ends an attempt first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) time: Duration,
    /// The same as it stands in the header or setting.
    set: Duration,
    pub(super) outcome: Outcome,
    pub(super) status: u16,
    /// What does not come within it.
    pub(super) what: &'static str,
    /// The header or setting that it stands in.
    pub(super) of: &'static str,
    /// Whether the target had less time than the gateway would have given it: any caller could
    /// otherwise make a target unhealthy for all.
    pub(super) hurried: bool,
}

impl Limit {
    /// `left` is what is left of the request's time as a whole. A caller's header only shortens.
    pub(super) fn of(stream: bool, wishes: &Wishes, config: &Config, left: Duration) -> Self {
        let usual = (config.attempt_timeout_ms, "gateway.attempt_timeout_ms");
        let mut limit = Self {
            outcome: Outcome::Timeout,
            status: 504,
            what: "reply",
            ..Self::shorter(usual, (wishes.attempt_timeout, REQUEST_TIMEOUT))
        };
        if stream {
            let usual = (config.first_token_timeout_ms, "gateway.first_token_timeout_ms");
            let first = Self::shorter(usual, (wishes.first_token_timeout, TTFT_TIMEOUT));
            if first.time < limit.time {
                limit = first;
            }
        }
        if left < limit.time {
            let hurried = limit.hurried || limit.time - left > SHORT_BY;
            let (outcome, of) = (Outcome::Timeout, "gateway.request_timeout_ms");
            let set = Duration::from_millis(config.request_timeout_ms);
            limit = Self { time: left, set, outcome, status: 504, what: "reply", of, hurried };
        }
        limit
    }

    fn shorter(
        (usual_ms, setting): (u64, &'static str),
        (asked, header): (Option<Duration>, &'static str),
    ) -> Self {
        let usual = Duration::from_millis(usual_ms);
        let (outcome, status, what) = (Outcome::FirstTokenTimeout, 408, "first token");
        match asked.filter(|asked| *asked < usual) {
            Some(time) => {
                Self { time, set: time, outcome, status, what, of: header, hurried: true }
            }
            None => {
                let (time, of) = (usual, setting);
                Self { time, set: time, outcome, status, what, of, hurried: false }
            }
        }
    }

    /// Says that it is over, for callers too.
    pub(super) fn message(&self) -> String {
        format!("no {} within {} ms, the limit of `{}`", self.what, self.set.as_millis(), self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_limit_holds_and_no_header_lengthens_one() {
        let ms = Duration::from_millis;
        let config = Config {
            attempt_timeout_ms: 10_000,
            first_token_timeout_ms: 4_000,
            ..Config::default()
        };
        let (own, first) = ("gateway.attempt_timeout_ms", "gateway.first_token_timeout_ms");
        let total = "gateway.request_timeout_ms";
        // Stream, the two headers, what is left; then the time, whose it is, and hurried.
        let cases = [
            (false, None, None, 60_000, (10_000, own, false)),
            (false, Some(99_000), None, 60_000, (10_000, own, false)),
            (false, Some(500), None, 60_000, (500, REQUEST_TIMEOUT, true)),
            (false, None, Some(500), 60_000, (10_000, own, false)),
            (true, None, None, 60_000, (4_000, first, false)),
            (true, None, Some(9_000), 60_000, (4_000, first, false)),
            (true, None, Some(300), 60_000, (300, TTFT_TIMEOUT, true)),
            (true, Some(200), Some(300), 60_000, (200, REQUEST_TIMEOUT, true)),
            (false, None, None, 2_000, (2_000, total, true)),
            (false, None, None, 9_900, (9_900, total, false)),
            (true, None, None, 3_900, (3_900, total, false)),
            (false, Some(500), None, 100, (100, total, true)),
        ];
        for (stream, attempt, token, left, expected) in cases {
            let wishes = Wishes {
                attempt_timeout: attempt.map(ms),
                first_token_timeout: token.map(ms),
                ..Wishes::default()
            };
            let found = Limit::of(stream, &wishes, &config, ms(left));
            let seen = (found.time.as_millis(), found.of, found.hurried);
            assert_eq!(seen, expected, "{stream} {attempt:?} {token:?} {left}");
        }
    }
}
