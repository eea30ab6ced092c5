//! Takes records of remote gateways into the journal's directory, where the lake finds them.
//!
//! The binary puts it behind the control plane's API, for each segment that a gateway sends. A
//! segment counts once, also when it is sent again after the lake has taken it: the names of
//! taken ones are kept. It never says that it has a segment that a loss of power could still
//! take.

mod taken;

use crate::records::{Records, Refused, Segment};
use gantry_runtime::clock::Clock;
use gantry_telemetry::journal::{self, Format, Reader, sync_dir};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use taken::Taken;

/// The journal's directory as the place of shipped segments.
#[derive(Clone)]
pub struct JournalRecords(Arc<Inner>);

/// Why no segments can be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read which segments were taken")]
    Taken { source: std::io::Error },
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

struct Inner {
    journal_dir: PathBuf,
    dir_bytes_max: u64,
    clock: Clock,
    /// Held while a segment is written: they come one after the other.
    taken: Mutex<Taken>,
}

impl JournalRecords {
    /// Reads which segments were taken. To be called before the lake takes what lies there.
    ///
    /// # Errors
    /// When the journal's directory or the list in it cannot be read.
    pub fn open(journal_dir: &Path, clock: &Clock) -> Result<Self, Error> {
        let mut taken = Taken::read(journal_dir).map_err(|source| Error::Taken { source })?;
        // The process may have died after a segment was kept and before its name was.
        for segment in Reader::new(journal_dir).segments()? {
            taken.add(&segment.name, clock.unix_ms());
        }
        let options = journal::Options::new(journal_dir.to_owned());
        Ok(Self(Arc::new(Inner {
            journal_dir: options.dir,
            dir_bytes_max: options.dir_bytes_max,
            clock: clock.clone(),
            taken: Mutex::new(taken),
        })))
    }
}

impl Records for JournalRecords {
    async fn accept(&self, segment: Segment) -> Result<(), Refused> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.keep(&segment))
            .await
            .map_err(|error| Refused::ForNow(error.to_string()))?
    }
}

impl Inner {
    fn keep(&self, segment: &Segment) -> Result<(), Refused> {
        let failed = |error: std::io::Error| Refused::ForNow(format!("keep the segment: {error}"));
        check(segment)?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.has(&segment.name) {
            return Ok(());
        }
        self.check_room(segment)?;
        let target = self.journal_dir.join(format!("{}.seg", segment.name));
        let begun = self.journal_dir.join(format!("{}.part", segment.name));
        let mut file = std::fs::File::create(&begun).map_err(failed)?;
        file.write_all(&segment.body).and_then(|()| file.sync_data()).map_err(failed)?;
        std::fs::rename(&begun, &target).map_err(failed)?;
        sync_dir(&self.journal_dir).map_err(failed)?;
        taken.add(&segment.name, self.clock.unix_ms());
        taken.write(&self.journal_dir).map_err(failed)
    }

    /// Shipped segments share the journal's bound; a gateway keeps what does not fit.
    fn check_room(&self, segment: &Segment) -> Result<(), Refused> {
        let segments = Reader::new(&self.journal_dir).segments();
        let segments = segments.map_err(|error| Refused::ForNow(error.to_string()))?;
        let used: u64 = segments.iter().map(|segment| segment.bytes).sum();
        if used.saturating_add(segment.body.len() as u64) <= self.dir_bytes_max {
            return Ok(());
        }
        let max = self.dir_bytes_max;
        Err(Refused::ForNow(format!("the journal is full: {used} of at most {max} bytes")))
    }
}

fn check(segment: &Segment) -> Result<(), Refused> {
    let usable = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !usable(&segment.name) {
        return Err(Refused::ForGood(format!("`{}` is no segment name", segment.name)));
    }
    match Format::of(&segment.body) {
        Format::Readable => Ok(()),
        Format::Foreign => Err(Refused::ForGood("no journal segment".to_owned())),
        Format::Newer => {
            let why = "a newer Gantry wrote the segment: update the control plane first";
            Err(Refused::ForNow(why.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> JournalRecords {
        JournalRecords::open(dir, &Clock::manual(1_800_000_000_000)).unwrap()
    }

    fn offered(sink: &JournalRecords, id: &str, body: &'static [u8]) -> Result<(), Refused> {
        let body = bytes::Bytes::from_static(body);
        sink.0.keep(&Segment { name: id.into(), body })
    }

    fn segments(dir: &Path) -> Vec<String> {
        let found = Reader::new(dir).segments().unwrap();
        found.into_iter().map(|segment| segment.name).collect()
    }

    #[test]
    fn segments_are_kept_under_their_names_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let sink = open(dir.path());
        offered(&sink, "a-1", b"GJRNL\0\0\x02 first").unwrap();
        for (id, body) in [("a-2", b"PAR1".as_slice()), ("../a-2", b"GJRNL\0\0\x02"), ("", b"")] {
            let refused = offered(&sink, id, body);
            assert!(matches!(refused, Err(Refused::ForGood(_))), "{id}");
        }
        let newer = offered(&sink, "a-3", b"GJRNL\0\0\x7f");
        assert!(matches!(newer, Err(Refused::ForNow(_))), "the gateway has to keep it");
        assert_eq!(segments(dir.path()), ["a-1"]);
        let kept = std::fs::read(dir.path().join("a-1.seg")).unwrap();
        assert_eq!(kept, b"GJRNL\0\0\x02 first");
    }

    #[test]
    fn a_segment_that_is_sent_again_after_the_lake_took_it_does_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let body = b"GJRNL\0\0\x02".as_slice();
        let mut sink = open(dir.path());
        for (again, restarted) in [(false, false), (true, false), (true, true)] {
            if restarted {
                sink = open(dir.path());
            }
            for name in ["1800-aa-000001", "1800-aa-000002", "named"] {
                offered(&sink, name, body).unwrap();
                let expected = if again { 0 } else { 1 };
                assert_eq!(segments(dir.path()).len(), expected, "{name}, {restarted}");
                Reader::new(dir.path()).delete(name).unwrap();
            }
        }
        for name in ["1800-aa-000000", "1800-aa-000003", "1800-bb-000001"] {
            offered(&sink, name, body).unwrap();
        }
        assert_eq!(segments(dir.path()).len(), 3, "others do");
    }

    #[test]
    fn a_segment_that_was_kept_before_a_crash_is_known_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let body = b"GJRNL\0\0\x02".as_slice();
        std::fs::write(dir.path().join("1800-aa-000007.seg"), body).unwrap();
        let sink = open(dir.path());
        Reader::new(dir.path()).delete("1800-aa-000007").unwrap();
        offered(&sink, "1800-aa-000007", body).unwrap();
        assert_eq!(segments(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_full_journal_takes_no_segment_until_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = open(dir.path());
        Arc::get_mut(&mut sink.0).unwrap().dir_bytes_max = 20;
        let body = b"GJRNL\0\0\x02 12".as_slice();
        offered(&sink, "a-1", body).unwrap();
        let full = offered(&sink, "a-2", body);
        assert!(matches!(full, Err(Refused::ForNow(_))), "the gateway has to keep it");
        Reader::new(dir.path()).delete("a-1").unwrap();
        offered(&sink, "a-2", body).unwrap();
    }
}
