//! What was measured, by row and contender, and what of it does not count.

use super::plan::{Contender, Row};
use std::collections::BTreeMap;

/// The samples of all rounds.
#[derive(Default)]
pub(super) struct Results {
    samples: BTreeMap<(Row, Contender), Vec<f64>>,
    /// Why a contender has no figures.
    pub(super) absent: BTreeMap<Contender, String>,
    /// Measurements with wrong answers: they leave no sample.
    pub(super) invalid: Vec<String>,
    /// Bytes of records that Gantry wrote per request, one a round.
    pub(super) record_bytes: Vec<f64>,
    /// Cores that were busy while nothing was measured, one number a round.
    pub(super) other_work: Vec<f64>,
    /// Measurements that were taken again because the host took too much time, and how often that
    /// was done in all.
    pub(super) repeated: u32,
    pub(super) repetitions: u32,
    /// The share of the cores' time that the host took in each measurement that counts.
    pub(super) stolen: Vec<f64>,
}

impl Results {
    pub(super) fn add(&mut self, row: Row, contender: Contender, sample: f64) {
        self.samples.entry((row, contender)).or_default().push(sample);
    }

    pub(super) fn samples(&self, row: Row, contender: Contender) -> &[f64] {
        self.samples.get(&(row, contender)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn median(&self, row: Row, contender: Contender) -> Option<f64> {
        median(self.samples(row, contender))
    }
}

/// The middle value; of an even number the mean of the two.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_middle() {
        let cases: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 9.0, 2.0], Some(3.0)),
        ];
        for (samples, expected) in cases {
            assert_eq!(median(samples), expected);
        }
    }
}
