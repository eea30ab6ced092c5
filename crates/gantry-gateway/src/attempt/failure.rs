//! Why an attempt gave no reply, and what that means for the next one.

use crate::headers;
use gantry_http::http1::Fields;
use gantry_llm::errors::{ErrorKind, ErrorView};
use gantry_llm::observe::Observer;
use gantry_model::ids::UnixMs;
use gantry_runtime::clock::HTTP_DATE;
use http::header;
use std::time::Duration;
use time::PrimitiveDateTime;

/// What became of an attempt; the name is part of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connect,
    Reset,
    Timeout,
    FirstTokenTimeout,
    Status,
    StreamError,
    Malformed,
    /// The reply is larger than Gantry takes.
    TooLarge,
    Untranslatable,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::Status => "status",
            Self::StreamError => "stream_error",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Untranslatable => "untranslatable",
        }
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    /// The upstream's status; for an error event after 200 the status it would have had; 0 for
    /// none.
    pub(crate) status: u16,
    pub(crate) error: Box<ErrorView>,
    /// The upstream's own reply, to be forwarded when no other target is left.
    pub(crate) reply: Option<Box<UpstreamReply>>,
    pub(crate) retry_after: Option<Duration>,
    /// What went wrong with addresses and all, for whoever runs the gateway; empty: nothing more.
    pub(crate) detail: String,
    /// Whether the target had less time than the gateway would have given it.
    pub(crate) hurried: bool,
    /// What was read of a reply that became none.
    pub(crate) seen: Option<Box<Observer>>,
}

/// An upstream's error reply as it came.
#[derive(Debug)]
pub(crate) struct UpstreamReply {
    pub(crate) fields: Fields,
    pub(crate) body: bytes::Bytes,
    /// Its status; `None` when the error came with 200.
    pub(crate) came_with: Option<u16>,
}

impl Failure {
    /// A failure without a reply; `message` is shown to the caller.
    pub(crate) fn silent(outcome: Outcome, error: ErrorView) -> Self {
        Self {
            outcome,
            status: 0,
            error: Box::new(error),
            reply: None,
            retry_after: None,
            detail: String::new(),
            hurried: false,
            seen: None,
        }
    }

    /// Whether the upstream refuses the credentials that Gantry calls it with. A 403 that is about
    /// the prompt has words of its own.
    pub(crate) fn refuses_key(&self) -> bool {
        let said = matches!(self.outcome, Outcome::Status | Outcome::StreamError);
        said && match self.error.kind {
            ErrorKind::Authentication => true,
            ErrorKind::Permission => !self.is_of_prompt(),
            _ => false,
        }
    }

    fn is_of_prompt(&self) -> bool {
        const SIGNS: [&str; 4] = ["flagged", "moderation", "policy", "safety"];
        let said = self.error.message.to_ascii_lowercase();
        SIGNS.iter().any(|sign| said.contains(sign))
    }

    /// Whether it speaks against the target: 5xx, 429, 401, 403 or no reply, if it had its time.
    pub(crate) fn counts_against_target(&self) -> bool {
        match self.outcome {
            _ if self.hurried => false,
            Outcome::Untranslatable | Outcome::TooLarge => false,
            Outcome::Status | Outcome::StreamError => status_blames_target(self.status),
            Outcome::Connect
            | Outcome::Reset
            | Outcome::Timeout
            | Outcome::FirstTokenTimeout
            | Outcome::Malformed => true,
        }
    }

    /// Whether the upstream, which has got the request, may bill it: unless it said that it failed,
    /// or sent what is no answer of a model at all, such as a proxy's page.
    pub(super) fn may_be_billed(&self) -> bool {
        match self.outcome {
            Outcome::Connect | Outcome::Untranslatable | Outcome::Status => false,
            Outcome::Timeout | Outcome::FirstTokenTimeout | Outcome::Reset | Outcome::TooLarge => {
                true
            }
            Outcome::StreamError | Outcome::Malformed => {
                self.seen.as_ref().is_some_and(|seen| seen.has_some())
            }
        }
    }

    /// The status that retry lists are asked about: failures without a status count as 502.
    ///
    /// Timeouts count as none, since a second wait on the same target rarely helps. Replies that
    /// came but are of no use count as none too: they have been paid for already.
    pub(crate) fn retry_status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Status | Outcome::StreamError => Some(self.status),
            Outcome::Connect | Outcome::Reset => Some(502),
            Outcome::Timeout
            | Outcome::FirstTokenTimeout
            | Outcome::Malformed
            | Outcome::TooLarge
            | Outcome::Untranslatable => None,
        }
    }
}

/// Whether a status speaks against the target that gave it.
pub(super) fn status_blames_target(status: u16) -> bool {
    status >= 500 || matches!(status, 401 | 403 | 429)
}

/// Longest wait that is taken for one; a hint beyond a day is a mistake.
const WAIT_MS_MAX: f64 = 86_400_000.0;

/// The wait that an upstream asks for: `retry-after-ms`, else Azure's `x-ms-retry-after-ms`, else
/// `retry-after` in seconds or as a date (RFC 9110, section 10.2.3).
///
/// A date counts from the upstream's own `date`, so that a difference of clocks does not matter;
/// from `now_ms` when the upstream does not send one. A date that has passed means no wait.
pub(crate) fn retry_after(fields: &Fields, now_ms: UnixMs) -> Option<Duration> {
    let text = |name: &str| Some(fields.text(name)?.trim());
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let until = || {
        let until = date_ms(text(header::RETRY_AFTER.as_str())?)?;
        let now = text(header::DATE.as_str()).and_then(date_ms).unwrap_or(now_ms);
        Some(until.saturating_sub(now) as f64)
    };
    let ms = number(headers::RETRY_AFTER_MS)
        .or_else(|| number(headers::AZURE_RETRY_AFTER_MS))
        .or_else(|| number(header::RETRY_AFTER.as_str()).map(|seconds| seconds * 1000.0))
        .or_else(until)
        .filter(|ms| ms.is_finite() && (0.0..=WAIT_MS_MAX).contains(ms))?;
    Some(Duration::from_secs_f64(ms / 1000.0))
}

fn date_ms(text: &str) -> Option<UnixMs> {
    let date = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?;
    u64::try_from(date.assume_utc().unix_timestamp()).ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = &'static [(&'static str, &'static str)];

    /// Thu, 01 Jan 2026 00:00:00 GMT.
    const NOW_MS: UnixMs = 1_767_225_600_000;

    fn check(cases: &[(Headers, Option<u64>)]) {
        for (pairs, expected) in cases {
            let found = retry_after(&pairs.iter().copied().collect(), NOW_MS);
            assert_eq!(found, expected.map(Duration::from_millis), "{pairs:?}");
        }
    }

    #[test]
    fn milliseconds_win_over_seconds_and_nonsense_is_ignored() {
        check(&[
            (&[("retry-after", "2")], Some(2000)),
            (&[("retry-after", "2"), ("retry-after-ms", "150")], Some(150)),
            (&[("retry-after", "2"), ("x-ms-retry-after-ms", "250")], Some(250)),
            (&[("x-ms-retry-after-ms", "250"), ("retry-after-ms", "150")], Some(150)),
            (&[("retry-after", "2"), ("retry-after-ms", "soon")], Some(2000)),
            (&[("retry-after", "0.5")], Some(500)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[], None),
        ]);
    }

    #[test]
    fn a_date_counts_from_the_upstreams_own_clock() {
        check(&[
            (&[("retry-after", "Thu, 01 Jan 2026 00:00:03 GMT")], Some(3000)),
            (&[("retry-after", "Wed, 31 Dec 2025 23:59:00 GMT")], Some(0)),
            (
                &[
                    ("date", "Thu, 01 Jan 2026 01:00:00 GMT"),
                    ("retry-after", "Thu, 01 Jan 2026 01:00:05 GMT"),
                ],
                Some(5000),
            ),
            (&[("retry-after", "Thu, 01 Jan 2026 00:00:03")], None),
            (&[("retry-after", "Sat, 03 Jan 2026 00:00:00 GMT")], None),
            (&[("retry-after", "2026-01-01T00:00:03Z")], None),
        ]);
    }
}
