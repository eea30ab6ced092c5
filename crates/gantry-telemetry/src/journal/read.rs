//! Reads segments, sealed ones and the open one, from any thread or process.

use super::frame::Format;
use super::frames::Frames;
use super::{Error, payload};
use gantry_model::record::RequestRecord;
use std::fs::File;
use std::path::{Path, PathBuf};

pub(super) const OPEN: &str = "open";
pub(super) const SEALED: &str = "seg";
/// Nobody takes it; a person may look at it, or name it `.seg` again.
const REFUSED: &str = "refused";

/// Folder in the journal's directory for segments of which something could not be read.
pub const DAMAGED: &str = "damaged";
/// Most bytes in that folder: thirty segments. The oldest go first; the last one always stays.
const DAMAGED_BYTES_MAX: u64 = 256 << 20;

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

    /// Takes a sealed segment of which something could not be read out of the journal, to the
    /// folder [`DAMAGED`]. When that is full, its oldest segments are deleted.
    ///
    /// # Errors
    /// When the file cannot be moved.
    pub fn keep_damaged(&self, name: &str) -> Result<(), Error> {
        let done = keep_damaged(&self.dir, &path_of(&self.dir, name, SEALED), name);
        done.map_err(|source| Error::Delete { segment: name.to_owned(), source })
    }

    /// Deletes what was set aside, as damaged or as refused, and was begun before this time.
    /// Returns how many files went.
    ///
    /// # Errors
    /// When a folder cannot be read or a file not be deleted.
    pub fn expire_aside(&self, before_ms: u64) -> Result<usize, Error> {
        let mut gone = 0;
        for (dir, extension) in [(self.dir.clone(), REFUSED), (self.dir.join(DAMAGED), SEALED)] {
            let failed = |source| Error::Directory { dir: dir.clone(), source };
            for (name, path, _) in files(&dir, extension).map_err(failed)? {
                // Names that do not begin with a time are of nobody's journal.
                let began_ms = name.split('-').next().and_then(|ms| ms.parse::<u64>().ok());
                if began_ms.is_some_and(|ms| ms < before_ms) {
                    gone_is_fine(std::fs::remove_file(path)).map_err(failed)?;
                    gone += 1;
                }
            }
        }
        Ok(gone)
    }
}

/// Moves a segment's file to the folder of damaged ones.
pub(super) fn keep_damaged(dir: &Path, from: &Path, name: &str) -> std::io::Result<()> {
    let folder = dir.join(DAMAGED);
    std::fs::create_dir_all(&folder)?;
    gone_is_fine(std::fs::rename(from, path_of(&folder, name, SEALED)))?;
    let kept = files(&folder, SEALED)?;
    let mut bytes: u64 = kept.iter().map(|(_, _, bytes)| bytes).sum();
    let older = kept.len().saturating_sub(1);
    for (_, path, size) in kept.into_iter().take(older) {
        if bytes <= DAMAGED_BYTES_MAX {
            break;
        }
        gone_is_fine(std::fs::remove_file(path))?;
        bytes = bytes.saturating_sub(size);
    }
    Ok(())
}

/// Name, path and size of the files with this extension, oldest first; none without a folder.
fn files(dir: &Path, extension: &str) -> std::io::Result<Vec<(String, PathBuf, u64)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if path.extension().is_some_and(|found| found == extension) {
            found.push((name.to_owned(), path.clone(), metadata.len()));
        }
    }
    found.sort();
    Ok(found)
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
