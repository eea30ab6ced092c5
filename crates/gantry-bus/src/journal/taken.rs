//! Which segments were taken, so that one that is sent again counts once.
//!
//! A gateway numbers its segments, so that ranges of numbers hold them all.
//! [`super::JournalRecords`] reads the list at its start and writes it with each segment. It
//! never forgets a segment within [`KEPT_MS`] of the last one of the same process.

use gantry_telemetry::journal::sync_dir;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A gateway that was away for longer than this may send a segment twice: 30 days.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

const FILE: &str = "taken.json";

/// Names of segments, by what stands before their number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Taken(BTreeMap<String, Numbers>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Numbers {
    last_ms: u64,
    /// First and last of each run, ascending; runs neither touch nor overlap.
    runs: Vec<(u64, u64)>,
}

impl Taken {
    pub(super) fn read(dir: &Path) -> io::Result<Self> {
        match std::fs::read(dir.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the list on the disk, and waits until the disk has it.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let begun = dir.join("taken.part");
        let mut file = File::create(&begun)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_data()?;
        std::fs::rename(begun, dir.join(FILE))?;
        sync_dir(dir)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let (prefix, number) = split(name);
        let holds = |(first, last): &(u64, u64)| (*first..=*last).contains(&number);
        self.0.get(prefix).is_some_and(|numbers| numbers.runs.iter().any(holds))
    }

    /// Adds a name, and forgets those that are too old to come again.
    pub(super) fn add(&mut self, name: &str, now_ms: u64) {
        self.0.retain(|_, numbers| numbers.last_ms.saturating_add(KEPT_MS) >= now_ms);
        let (prefix, number) = split(name);
        let numbers = self.0.entry(prefix.to_owned()).or_default();
        numbers.last_ms = now_ms;
        numbers.runs.push((number, number));
        numbers.runs.sort_unstable();
        numbers.runs.dedup_by(|later, earlier| {
            let joins = later.0 <= earlier.1.saturating_add(1);
            if joins {
                earlier.1 = earlier.1.max(later.1);
            }
            joins
        });
    }
}

/// What stands before the number, and the number. A name without one has the last number.
fn split(name: &str) -> (&str, u64) {
    let parts = name.rsplit_once('-');
    let numbered = parts.and_then(|(prefix, number)| {
        // Only the journal's own spelling: `7` and `000007` are two names.
        let number = number.parse().ok().filter(|parsed| format!("{parsed:06}") == number)?;
        Some((prefix, number))
    });
    numbered.unwrap_or((name, u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> String {
        format!("1800-aa-{number:06}")
    }

    #[test]
    fn numbers_in_any_order_are_known_and_make_few_runs() {
        let mut taken = Taken::default();
        for number in [5, 1, 0, 3, 2, 9, 3, 1_000_000] {
            assert_eq!(taken.has(&name(number)), number == 3 && taken.has(&name(9)));
            taken.add(&name(number), 0);
        }
        let known = (0..12).filter(|number| taken.has(&name(*number))).collect::<Vec<_>>();
        assert_eq!(known, [0, 1, 2, 3, 5, 9]);
        assert_eq!(taken.0["1800-aa"].runs, [(0, 3), (5, 5), (9, 9), (1_000_000, 1_000_000)]);
        assert!(!taken.has("1800-aa-3") && !taken.has("1800-aa") && !taken.has("1800-bb-000003"));
    }

    #[test]
    fn names_are_forgotten_after_thirty_days() {
        let mut taken = Taken::default();
        taken.add("1800-aa-000001", 0);
        taken.add("1800-bb-000001", KEPT_MS);
        assert!(taken.has("1800-aa-000001"));
        taken.add("1800-bb-000002", KEPT_MS + 1);
        assert!(!taken.has("1800-aa-000001") && taken.has("1800-bb-000001"));
    }

    #[test]
    fn the_list_comes_back_from_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Taken::read(dir.path()).unwrap().has("a"));
        let mut taken = Taken::default();
        taken.add("a", 0);
        taken.write(dir.path()).unwrap();
        assert!(Taken::read(dir.path()).unwrap().has("a"));
    }
}
