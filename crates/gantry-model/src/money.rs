//! Money as integers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// An amount in billionths of a US dollar.
///
/// One embedding token costs about 20 of these, so that a request's cost is exact to a fraction
/// of what anybody bills; an `i64` holds nine billion dollars.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    pub const ZERO: Self = Self(0);
}

impl Add for NanoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with up to nine decimals, trailing zeros cut to no fewer than two: `$0.00125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:09}", magnitude % 1_000_000_000);
        let kept = fraction.trim_end_matches('0').len().max(2);
        let fraction = fraction.get(..kept).unwrap_or(&fraction);
        write!(f, "{sign}${}.{fraction}", magnitude / 1_000_000_000)
    }
}

/// A price of one unit (mostly one token) in trillionths of a US dollar.
///
/// A price of $0.15 for a million tokens is 150_000 of these.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PicoUsd(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_dollars_without_needless_zeros() {
        assert_eq!(NanoUsd(1_250_000).to_string(), "$0.00125");
        assert_eq!(NanoUsd(3_000_000_000).to_string(), "$3.00");
        assert_eq!(NanoUsd(-20).to_string(), "-$0.00000002");
    }
}
