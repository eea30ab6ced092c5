//! Which failures are tried again, where, and after which pause.

use super::failure::{Failure, Outcome};
use crate::config::Config;
use crate::headers::RetryWish;
use crate::route::Hop;
use gantry_model::snapshot::RetryConfig;
use gantry_runtime::ids::fast_random_u64;
use std::time::Duration;

/// Statuses on which the next target is tried, unless the manifest says otherwise.
///
/// The reference product's list, and 408, 504 and Anthropic's 529, which mean the same.
const FALLBACK_CODES: [u16; 10] = [401, 403, 404, 408, 429, 500, 502, 503, 504, 529];

/// Longest pause between attempts that backoff alone comes to.
const BACKOFF_MAX_MS: u64 = 10_000;

/// The rules for one target.
#[derive(Debug)]
pub(super) struct Policy {
    retry: RetryConfig,
    use_retry_after: bool,
    retry_after_max: Duration,
    fallback_codes: Option<Vec<u16>>,
}

impl Policy {
    /// Rules of the request's header, else of the target, else of the tenant, else the defaults.
    pub(super) fn of(
        hop: &Hop,
        wish: Option<&RetryWish>,
        tenant: Option<&RetryConfig>,
        config: &Config,
    ) -> Self {
        let own = hop.policies.iter().find_map(|policy| policy.retry.as_ref());
        let mut retry = own.or(tenant).cloned().unwrap_or_default();
        if let Some(wish) = wish {
            retry.attempts = wish.attempts.unwrap_or(retry.attempts).min(10);
            if let Some(codes) = &wish.on_status_codes {
                retry.on_status_codes.clone_from(codes);
            }
        }
        Self {
            retry,
            use_retry_after: wish.and_then(|wish| wish.use_retry_after_header).unwrap_or(true),
            retry_after_max: Duration::from_millis(config.retry_after_max_ms),
            fallback_codes: hop.policies.iter().find_map(|policy| policy.fallback_codes.clone()),
        }
    }

    /// The pause before the same target is tried again after `failures` failures, or `None` when
    /// it is not. `elsewhere` says whether another target is tried instead.
    pub(super) fn pause(
        &self,
        failures: u8,
        failure: &Failure,
        elsewhere: bool,
    ) -> Option<Duration> {
        if failures > self.retry.attempts || out_of_credit(failure) {
            return None;
        }
        let status = failure.retry_status()?;
        if !self.retry.on_status_codes.contains(&status) {
            return None;
        }
        let backoff = self.backoff(failures);
        match failure.retry_after.filter(|_| self.use_retry_after) {
            // An upstream that names a longer wait is believed: another target is quicker.
            Some(asked) if asked > backoff && elsewhere => None,
            Some(asked) if asked > self.retry_after_max => None,
            Some(asked) => Some(asked.max(backoff)),
            None => Some(backoff),
        }
    }

    /// Whether the next target is tried after `failure`.
    pub(super) fn falls_back(&self, failure: &Failure) -> bool {
        match failure.outcome {
            Outcome::Status => match &self.fallback_codes {
                Some(codes) => codes.contains(&failure.status),
                None => FALLBACK_CODES.contains(&failure.status),
            },
            // No reply is never the caller's mistake, and a target that cannot take the request
            // in its dialect says nothing of the next.
            Outcome::Connect
            | Outcome::Reset
            | Outcome::Timeout
            | Outcome::FirstTokenTimeout
            | Outcome::StreamError
            | Outcome::Malformed
            | Outcome::TooLarge
            | Outcome::Untranslatable => true,
        }
    }

    /// `delay` doubled with each failure, spread by a quarter to both sides.
    fn backoff(&self, failures: u8) -> Duration {
        let doubled = u64::from(self.retry.delay) << failures.saturating_sub(1).min(10);
        let base = doubled.min(BACKOFF_MAX_MS);
        let spread = base / 2;
        let jitter = fast_random_u64() % (spread + 1);
        Duration::from_millis(base - spread / 2 + jitter)
    }
}

/// A 429 that waiting does not cure.
fn out_of_credit(failure: &Failure) -> bool {
    failure.error.code.as_deref() == Some("insufficient_quota")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_llm::errors::{ErrorKind, ErrorView};

    fn failure(status: u16, retry_after_ms: Option<u64>) -> Failure {
        let error = ErrorView {
            status,
            kind: ErrorKind::Upstream,
            code: None,
            param: None,
            message: String::new(),
            request_id: String::new(),
        };
        let retry_after = retry_after_ms.map(Duration::from_millis);
        Failure { retry_after, status, ..Failure::silent(Outcome::Status, error) }
    }

    fn policy() -> Policy {
        Policy {
            retry: RetryConfig::default(),
            use_retry_after: true,
            retry_after_max: Duration::from_secs(10),
            fallback_codes: None,
        }
    }

    #[test]
    fn backs_off_twice_on_the_listed_statuses_only() {
        let policy = policy();
        let ms = |failures, status| {
            policy.pause(failures, &failure(status, None), true).map(|pause| pause.as_millis())
        };
        assert!((75..=125).contains(&ms(1, 503).unwrap()));
        assert!((150..=250).contains(&ms(2, 503).unwrap()));
        assert_eq!(ms(3, 503), None);
        assert_eq!(ms(1, 400), None);
    }

    #[test]
    fn a_named_wait_is_kept_or_avoided_by_another_target() {
        let policy = policy();
        let pause = |after, more| policy.pause(1, &failure(429, Some(after)), more);
        assert_eq!(pause(2_000, true), None);
        assert_eq!(pause(2_000, false), Some(Duration::from_secs(2)));
        assert_eq!(pause(60_000, false), None);
    }

    #[test]
    fn waiting_does_not_cure_an_empty_account() {
        let mut empty = failure(429, None);
        empty.error.code = Some("insufficient_quota".to_owned());
        assert_eq!(policy().pause(1, &empty, false), None);
        assert!(policy().falls_back(&empty));
    }

    #[test]
    fn the_callers_mistakes_do_not_fall_back() {
        let cases = [(400, false), (404, true), (422, false), (429, true), (529, true)];
        for (status, expected) in cases {
            assert_eq!(policy().falls_back(&failure(status, None)), expected, "{status}");
        }
        let own = Policy { fallback_codes: Some(vec![422]), ..policy() };
        assert!(own.falls_back(&failure(422, None)));
        assert!(!own.falls_back(&failure(429, None)));
    }
}
