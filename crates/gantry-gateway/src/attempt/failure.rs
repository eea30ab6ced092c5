//! Why an attempt gave no reply, and what that means for the next one.

use gantry_llm::errors::ErrorView;
use http::{HeaderMap, header};
use std::time::Duration;

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
}

/// An upstream's error reply as it came.
#[derive(Debug)]
pub(crate) struct UpstreamReply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

impl Failure {
    /// A failure without a reply; `message` is shown to the caller.
    pub(crate) fn silent(outcome: Outcome, error: ErrorView) -> Self {
        Self { outcome, status: 0, error: Box::new(error), reply: None, retry_after: None }
    }

    /// Whether it speaks against the target: 5xx, 429, 401, 403 or no reply.
    pub(crate) fn counts_against_target(&self) -> bool {
        match self.outcome {
            Outcome::Untranslatable => false,
            Outcome::Status | Outcome::StreamError => {
                self.status >= 500 || matches!(self.status, 401 | 403 | 429)
            }
            Outcome::Connect
            | Outcome::Reset
            | Outcome::Timeout
            | Outcome::FirstTokenTimeout
            | Outcome::Malformed => true,
        }
    }

    /// The status that retry lists are asked about: failures without a status count as 502, and
    /// timeouts as none, since a second wait on the same target rarely helps.
    pub(crate) fn retry_status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Status | Outcome::StreamError => Some(self.status),
            Outcome::Connect | Outcome::Reset | Outcome::Malformed => Some(502),
            Outcome::Timeout | Outcome::FirstTokenTimeout | Outcome::Untranslatable => None,
        }
    }
}

/// The wait that an upstream asks for: `retry-after-ms`, else `retry-after` in seconds.
///
/// A date in `retry-after` (RFC 9110, section 10.2.3) is left to the caller.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let ms = text(crate::headers::RETRY_AFTER_MS.as_str());
    let seconds = || text(header::RETRY_AFTER.as_str()).map(|seconds| seconds * 1000.0);
    let ms =
        ms.or_else(seconds).filter(|ms| ms.is_finite() && (0.0..=86_400_000.0).contains(ms))?;
    Some(Duration::from_secs_f64(ms / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn milliseconds_win_over_seconds_and_nonsense_is_ignored() {
        type Case = (&'static [(&'static str, &'static str)], Option<u64>);
        let cases: [Case; 6] = [
            (&[("retry-after", "2")], Some(2000)),
            (&[("retry-after", "2"), ("retry-after-ms", "150")], Some(150)),
            (&[("retry-after", "0.5")], Some(500)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                let name: header::HeaderName = name.parse().unwrap();
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(retry_after(&headers), expected.map(Duration::from_millis), "{pairs:?}");
        }
    }
}
