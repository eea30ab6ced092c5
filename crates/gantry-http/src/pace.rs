//! How long a body may take: the one rule against bodies that come drop by drop.
//!
//! The server's detached bodies keep to it, and so may whoever reads a body himself. Only the time
//! for which a piece was waited for counts, so that a slow reader is not laid at the sender's door.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Least rate of a body, in bytes per second: a quarter of what the slowest mobile networks carry,
/// above the 500 that Apache's `mod_reqtimeout` asks for.
pub const BODY_BYTES_PER_S_MIN: u64 = 4 * 1024;

/// What one body may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for the next piece. As a whole, a body may be waited for so long once, and a
    /// second more for each [`BODY_BYTES_PER_S_MIN`] that came.
    pub idle: Duration,
    /// Longest wait in all, however fast it comes.
    pub deadline: Duration,
}

impl Default for Limits {
    /// 30 s without a piece; 15 min in all, in which the least rate that a body of 64 MiB needs is
    /// that of a slow mobile network (75 kB/s).
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), deadline: Duration::from_secs(15 * 60) }
    }
}

/// Why a body is waited for no longer. Fragments that fit after "the request body".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    #[error("brought nothing more within {} s", .0.as_secs())]
    Idle(Duration),
    #[error(
        "came too slowly: {came} bytes in {} s; at least {BODY_BYTES_PER_S_MIN} a second are \
         expected", waited.as_secs()
    )]
    Slow { came: u64, waited: Duration },
    #[error("did not come whole within {} s", .0.as_secs())]
    Deadline(Duration),
}

/// One body on its way.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    /// Bytes that came.
    came: u64,
    /// For how long pieces were waited for.
    waited: Duration,
}

impl Pace {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, came: 0, waited: Duration::ZERO }
    }

    /// Whether the body was waited for at all.
    #[must_use]
    pub fn waited(&self) -> bool {
        !self.waited.is_zero()
    }

    /// What `poll` brings, if it comes soon enough. `length` says how many bytes that is.
    ///
    /// # Errors
    /// When it does not.
    pub async fn next<T>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
        length: impl FnOnce(&T) -> usize,
    ) -> Result<T, Late> {
        // Most pieces are there already, and a timer costs more than they do.
        let piece = match poll_fn(|cx| Poll::Ready(poll(cx))).await {
            Poll::Ready(piece) => piece,
            Poll::Pending => self.wait(poll_fn(poll)).await?,
        };
        self.came = self.came.saturating_add(length(&piece) as u64);
        Ok(piece)
    }

    async fn wait<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, Late> {
        let (limit, late) = self.limit();
        let begun = Instant::now();
        let came = tokio::time::timeout(limit, piece).await;
        self.waited = self.waited.saturating_add(begun.elapsed().max(Duration::from_nanos(1)));
        came.map_err(|_| late)
    }

    /// How long the next piece may take, and what it means when it does not come. Drop by drop a
    /// body could hold its connection for ever, so each byte only buys its share of time.
    fn limit(&self) -> (Duration, Late) {
        let Limits { idle, deadline } = self.limits;
        let ms = self.came.saturating_mul(1000) / BODY_BYTES_PER_S_MIN;
        let earned = idle.saturating_add(Duration::from_millis(ms));
        let slow = Late::Slow { came: self.came, waited: earned };
        let left = |whole: Duration| whole.saturating_sub(self.waited);
        let all = [
            (idle, Late::Idle(idle)),
            (left(earned), slow),
            (left(deadline), Late::Deadline(deadline)),
        ];
        // The first of equals: without a byte, slowness is idleness.
        all.into_iter().min_by_key(|(limit, _)| *limit).unwrap_or((idle, Late::Idle(idle)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    /// Reads pieces of `bytes` that each come after `gap_s`, until `end`; for how long it waited,
    /// and why it gave up.
    async fn waits(bytes: usize, gap_s: u64, end: usize) -> (u64, Option<Late>) {
        let mut pace = Pace::new(Limits::default());
        let mut came = 0;
        while came < end {
            let mut gap = pin!(tokio::time::sleep(Duration::from_secs(gap_s)));
            let piece = pace.next(|cx| gap.as_mut().poll(cx), |()| bytes).await;
            if let Err(late) = piece {
                return (pace.waited.as_secs(), Some(late));
            }
            came += bytes;
        }
        (pace.waited.as_secs(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_given_up_when_it_is_idle_slow_or_endless() {
        let s = Duration::from_secs;
        let slow = |came, waited| Some(Late::Slow { came, waited: Duration::from_millis(waited) });
        let cases = [
            ((1, 31, 9), (30, Some(Late::Idle(s(30))))),
            ((1, 29, 64), (30, slow(1, 30_000))),
            // 30 s, and 24 that the first piece has earned.
            ((100_000, 29, 64 << 20), (54, slow(100_000, 54_414))),
            ((128 * 1024, 29, 1 << 20), (8 * 29, None)),
            ((1 << 20, 29, 1 << 30), (900, Some(Late::Deadline(s(900))))),
        ];
        for ((bytes, gap_s, end), expected) in cases {
            assert_eq!(waits(bytes, gap_s, end).await, expected, "{bytes} every {gap_s} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_in_which_a_piece_is_waited_for_counts() {
        let mut pace = Pace::new(Limits::default());
        for _ in 0..100 {
            // The reader takes its time.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let piece = pace.next(|_| Poll::Ready(()), |()| 1).await;
            assert_eq!(piece, Ok(()));
        }
        assert!(!pace.waited());
    }
}
