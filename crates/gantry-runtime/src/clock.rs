//! The only place that reads the time.

use gantry_model::ids::UnixMs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of dates that may be sent over HTTP (IMF-fixdate,
/// RFC 9110, section 5.6.7).
pub const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Reads wall and monotonic time; cheap to clone and to share.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock for tests that stands still at `now_ms` until it is advanced.
    #[must_use]
    pub fn manual(now_ms: UnixMs) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(now_ms.saturating_mul(1000)))))
    }

    /// Moves a manual clock forward; does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(us) = &self.0 {
            us.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Wall time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(&self) -> UnixMs {
        match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "the one door to wall time")]
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Manual(us) => us.load(Ordering::SeqCst) / 1000,
        }
    }

    /// Microseconds on a clock that never goes back; only differences mean anything.
    #[must_use]
    pub fn monotonic_us(&self) -> u64 {
        match &self.0 {
            Source::System => {
                static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
                #[expect(clippy::disallowed_methods, reason = "the one door to monotonic time")]
                let start = START.get_or_init(Instant::now);
                u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
            }
            Source::Manual(us) => us.load(Ordering::SeqCst),
        }
    }
}
