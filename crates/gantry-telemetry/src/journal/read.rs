//! Reads segments, sealed ones and the open one, from any thread or process.

use super::frame::{Format, Frames};
use super::{Error, payload};
use gantry_model::record::RequestRecord;
use std::fs::File;
use std::path::{Path, PathBuf};

pub(super) const OPEN: &str = "open";
pub(super) const SEALED: &str = "seg";
/// Nobody takes it; a person may look at it, or name it `.seg` again.
const REFUSED: &str = "refused";

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

/// The frames of one segment.
pub type SegmentFrames = Frames<File>;

impl SegmentFrames {
    /// The records; a payload that is not a record is left out, and what cannot be read ends them.
    pub fn records(mut self) -> impl Iterator<Item = RequestRecord> {
        std::iter::from_fn(move || Some(payload::record(self.next().ok()??))).filter_map(Result::ok)
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

    /// Begins to read a segment, which ends with its last whole frame; `None` when it does not
    /// exist any more.
    ///
    /// # Errors
    /// When the file exists and cannot be read, and [`Error::Newer`].
    pub fn read(&self, name: &str) -> Result<Option<SegmentFrames>, Error> {
        let failed = |source| Error::Read { segment: name.to_owned(), source };
        // Sealed between the listing and now: the open name is gone, the sealed one is there.
        for extension in [OPEN, SEALED] {
            match File::open(path_of(&self.dir, name, extension)) {
                Ok(file) => {
                    let frames = Frames::new(file).map_err(failed)?;
                    return match frames.format() {
                        Format::Newer => Err(Error::Newer { segment: name.to_owned() }),
                        Format::Readable | Format::Foreign => Ok(Some(frames)),
                    };
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    /// Deletes a sealed segment, after its records are safe elsewhere. Gone already is fine.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        let done = gone_is_fine(std::fs::remove_file(path_of(&self.dir, name, SEALED)));
        done.map_err(|source| Error::Delete { segment: name.to_owned(), source })
    }

    /// Takes a sealed segment out of the journal and keeps its file, as `NAME.refused`.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<(), Error> {
        let aside = path_of(&self.dir, name, REFUSED);
        let done = gone_is_fine(std::fs::rename(path_of(&self.dir, name, SEALED), aside));
        done.map_err(|source| Error::Delete { segment: name.to_owned(), source })
    }
}

fn gone_is_fine(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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
