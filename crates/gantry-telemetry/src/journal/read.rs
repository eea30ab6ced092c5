//! Reads segments, sealed ones and the open one, from any thread or process.

use super::{Error, frame};
use gantry_model::record::RequestRecord;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(super) const OPEN: &str = "open";
pub(super) const SEALED: &str = "seg";

/// Looks into a journal's directory.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
}

/// One segment as the directory shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Unique for all time, without the file's extension; sorts by time.
    pub name: String,
    /// Whether it is complete; an open one may grow.
    pub sealed: bool,
    pub bytes: u64,
}

/// The whole frames of one segment.
#[derive(Clone, Debug, Default)]
pub struct SegmentFrames {
    bytes: Vec<u8>,
    payloads: Vec<Range<usize>>,
    /// Frames that were skipped because their checksum does not match.
    pub damaged: u64,
}

impl SegmentFrames {
    /// The records as JSON texts, in the order they were written.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.payloads.iter().filter_map(|range| self.bytes.get(range.clone()))
    }

    /// The records; a payload that is not a record is left out.
    pub fn records(&self) -> impl Iterator<Item = RequestRecord> {
        self.payloads().filter_map(|payload| serde_json::from_slice(payload).ok())
    }
}

impl Reader {
    /// A directory that does not exist reads as an empty journal.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// All segments, oldest first.
    ///
    /// # Errors
    /// When the directory exists and cannot be read.
    pub fn segments(&self) -> Result<Vec<Segment>, Error> {
        let failed = |source| Error::Directory { dir: self.dir.clone(), source };
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut segments = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Some((name, sealed)) = parse_name(&path) else { continue };
            // A segment that is gone by now was ingested and deleted: not an error.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            segments.push(Segment { name, sealed, bytes: metadata.len() });
        }
        // Sealing renames: a listing may show both names of one segment, the sealed one last.
        segments.sort();
        segments.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                earlier.clone_from(later);
            }
            same
        });
        Ok(segments)
    }

    /// Reads a segment up to its last whole frame; `None` when it does not exist any more.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<SegmentFrames>, Error> {
        // Sealed between the listing and now: the open name is gone, the sealed one is there.
        for extension in [OPEN, SEALED] {
            match std::fs::read(path_of(&self.dir, name, extension)) {
                Ok(bytes) => {
                    let frame::Scan { payloads, damaged, .. } = frame::scan(&bytes);
                    return Ok(Some(SegmentFrames { bytes, payloads, damaged }));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Read { segment: name.to_owned(), source }),
            }
        }
        Ok(None)
    }

    /// Deletes a sealed segment, after its records are safe elsewhere. Gone already is fine.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        match std::fs::remove_file(path_of(&self.dir, name, SEALED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Delete { segment: name.to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn path_of(dir: &Path, name: &str, extension: &str) -> PathBuf {
    dir.join(format!("{name}.{extension}"))
}

/// Name and state of a segment's file; `None` for other files.
pub(super) fn parse_name(path: &Path) -> Option<(String, bool)> {
    let name = path.file_stem()?.to_str()?;
    match path.extension()?.to_str()? {
        OPEN => Some((name.to_owned(), false)),
        SEALED => Some((name.to_owned(), true)),
        _ => None,
    }
}
