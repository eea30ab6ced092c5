//! Histograms over microseconds with fixed bounds. Used by `series` only.

/// Bounds for whole requests and first tokens, in microseconds: 5 ms to 5 minutes.
pub(super) const REQUEST_BOUNDS_US: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
];

/// Bounds for gaps between stream events, in microseconds: 1 ms to 2 s.
pub(super) const GAP_BOUNDS_US: &[u64] =
    &[1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000];

/// Bounds for the gateway's own time, in microseconds: 50 us to 100 ms.
pub(super) const OVERHEAD_BOUNDS_US: &[u64] =
    &[50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 25_000, 100_000];

/// Counts of values in microseconds, one per bucket, and their sum.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bounds_us: &'static [u64],
    counts: Vec<u64>,
    above: u64,
    sum_us: u64,
}

impl Histogram {
    pub(super) fn new(bounds_us: &'static [u64]) -> Self {
        Self { bounds_us, counts: vec![0; bounds_us.len()], above: 0, sum_us: 0 }
    }

    pub(super) fn observe(&mut self, value_us: u64) {
        let bucket = self.bounds_us.partition_point(|bound| *bound < value_us);
        let count = self.counts.get_mut(bucket).unwrap_or(&mut self.above);
        *count += 1;
        self.sum_us = self.sum_us.saturating_add(value_us);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    pub(super) fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// Upper bounds in microseconds with the number of values up to each.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.bounds_us.iter().zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((*bound, *total))
        })
    }
}
