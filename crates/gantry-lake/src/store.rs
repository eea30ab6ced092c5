//! The object store: where files are, which of them count. No Parquet here.

use crate::Error;
use crate::objects::{self, Address, Location, Remote};
use bytes::Bytes;
use futures_util::TryStreamExt;
use gantry_cloud::credentials::Environment;
use gantry_runtime::clock::Clock;
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use time::{Date, Duration, OffsetDateTime};
use url::Url;

pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Folder of the request records.
const REQUESTS: &str = "requests";
/// Note of the merging in an hour's folder; empty while there is none.
const NOTE: &str = "merging.json";
/// Ends of the names of a merged file, and of the mark that makes it count.
const PARQUET: &str = ".parquet";
const MARK: &str = ".ok";
/// A listing is made anew when files were replaced meanwhile, at most so many times.
const LISTINGS_MAX: usize = 5;

/// An hour of the calendar, UTC, counted from the Unix epoch: one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hour(pub(crate) u64);

impl Hour {
    pub(crate) fn of(unix_ms: u64) -> Self {
        Self(unix_ms / HOUR_MS)
    }

    pub(crate) fn end_ms(self) -> u64 {
        (self.0 + 1).saturating_mul(HOUR_MS)
    }

    /// `day=2026-03-01`, `hour=07`.
    fn folders(self) -> [String; 2] {
        [format!("day={}", day_name(self.0 / 24)), format!("hour={:02}", self.0 % 24)]
    }

    fn parse(day: &str, hour: &str) -> Option<Self> {
        let mut parts = day.strip_prefix("day=")?.splitn(3, '-').map(str::parse::<u16>);
        let mut part = || parts.next()?.ok();
        let (year, month, day) = (part()?, part()?, part()?);
        let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date = Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()?;
        let hour: u64 = hour.strip_prefix("hour=")?.parse().ok().filter(|hour| *hour < 24)?;
        let days = (date - OffsetDateTime::UNIX_EPOCH.date()).whole_days();
        Some(Self(u64::try_from(days).ok()? * 24 + hour))
    }
}

/// `yyyy-mm-dd` of a day counted from the Unix epoch.
pub(crate) fn day_name(day: u64) -> String {
    let days = Duration::days(i64::try_from(day).unwrap_or(i64::MAX).min(3_000_000));
    let date = OffsetDateTime::UNIX_EPOCH.date().checked_add(days).unwrap_or(Date::MAX);
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// One Parquet file.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    pub(crate) meta: ObjectMeta,
    pub(crate) hour: Hour,
}

impl DataFile {
    /// File name without folders.
    pub(crate) fn name(&self) -> &str {
        self.meta.location.filename().unwrap_or_default()
    }

    /// The journal segment it was made from; `None` for a merged file.
    pub(crate) fn segment(&self) -> Option<&str> {
        let (segment, _) = self.name().strip_suffix(PARQUET)?.rsplit_once('-')?;
        let merged = self.name().starts_with("c-") || is_marked(self.name());
        Some(segment).filter(|_| !merged)
    }
}

/// Whether a file of this name counts only with a mark. Names of earlier releases begin with `c-`.
fn is_marked(name: &str) -> bool {
    name.starts_with("m-")
}

/// Intention and state of one merging; lies beside the files while it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    /// Whether the merged file is complete: it counts, and the others do not any more.
    pub(crate) done: bool,
    pub(crate) output: String,
    pub(crate) inputs: Vec<String>,
    /// The files of journal segments whose rows are in the merged file, also by way of others.
    #[serde(default)]
    pub(crate) from: Vec<String>,
}

/// A merging that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// Path of the note.
    pub(crate) note: Path,
    pub(crate) merge: Merge,
    /// Of the note; `None` for one of an earlier release, which has a name of its own.
    pub(crate) version: Option<UpdateVersion>,
}

/// What has to hold for a file to be written.
#[derive(Debug)]
pub(crate) enum If {
    Absent,
    /// Nobody has written it since.
    Still(UpdateVersion),
}

/// Everything in the folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files that count, oldest hour first.
    pub(crate) files: Vec<DataFile>,
    pub(crate) merges: Vec<Noted>,
    /// Merged files that do not count and that no note names: whoever wrote them lost the lake.
    pub(crate) orphans: Vec<DataFile>,
    /// Notes of no merging.
    pub(crate) idle: Vec<(Hour, Path)>,
    /// Names of merged files that count, without their end.
    marked: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Scheme and host, which the query engine finds the store by.
    root: Url,
    base: Path,
    place: Place,
}

/// What has to be known of the store beyond the trait.
#[derive(Debug)]
enum Place {
    /// Its files have to be synced.
    Folder(LocalFileSystem),
    Remote(Remote),
    #[cfg(test)]
    Memory,
}

impl Store {
    pub(crate) fn open(
        address: &str,
        environment: &Environment,
        clock: Clock,
    ) -> Result<Self, Error> {
        let failed = |why: String| Error::Address { url: objects::shown(address), why };
        match objects::locate(address).map_err(failed)? {
            (url, Location::Folder(path)) => Self::folder(url, &path, failed),
            (url, Location::Remote(at)) => Self::remote(&url, &at, environment, clock),
        }
    }

    fn folder(
        url: Url,
        path: &std::path::Path,
        failed: impl Fn(String) -> Error,
    ) -> Result<Self, Error> {
        // Of this process alone: another one may look at the same moment.
        let probe = path.join(format!(".writable-{}", std::process::id()));
        std::fs::create_dir_all(path)
            .and_then(|()| std::fs::write(&probe, []))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| failed(format!("write there: {error}")))?;
        let base = Path::from_url_path(url.path()).map_err(|error| failed(error.to_string()))?;
        let local = LocalFileSystem::new();
        let mut root = url;
        root.set_path("/");
        let (objects, place) = (Arc::new(LocalFileSystem::new()), Place::Folder(local));
        Ok(Self { objects, root, base, place })
    }

    fn remote(
        url: &Url,
        address: &Address,
        environment: &Environment,
        clock: Clock,
    ) -> Result<Self, Error> {
        let failed = |why: String| Error::Address { url: objects::shown(url.as_str()), why };
        let base = Path::from_url_path(url.path()).map_err(|error| failed(error.to_string()))?;
        let root = Url::parse(&address.root()).map_err(|error| failed(error.to_string()))?;
        let refused = |source| Error::Refused { url: url.to_string(), source: Box::new(source) };
        let remote = Remote::open(address, environment, clock).map_err(refused)?;
        let objects = Arc::new(remote.clone());
        Ok(Self { objects, root, base, place: Place::Remote(remote) })
    }

    /// A store in memory, which several lakes may share.
    #[cfg(test)]
    pub(crate) fn in_memory(objects: Arc<dyn ObjectStore>) -> Self {
        let root = Url::parse("memory://lake/").unwrap();
        Self { objects, root, base: Path::from("lake"), place: Place::Memory }
    }

    /// Tries whether an object store can be used as the lake does; a local folder always can.
    ///
    /// # Errors
    /// The first thing that fails.
    pub(crate) async fn check(&self) -> Result<(), objects::Error> {
        match &self.place {
            Place::Folder(_) => Ok(()),
            Place::Remote(remote) => remote.check(&self.base).await,
            #[cfg(test)]
            Place::Memory => Ok(()),
        }
    }

    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    pub(crate) fn root(&self) -> &Url {
        &self.root
    }

    /// Where the file `name` of an hour lies.
    pub(crate) fn path(&self, hour: Hour, name: &str) -> Path {
        let [day, folder] = hour.folders();
        self.below(&[REQUESTS, &day, &folder, name])
    }

    /// Where the note of an hour's merging lies.
    pub(crate) fn note(&self, hour: Hour) -> Path {
        self.path(hour, NOTE)
    }

    /// The file that the lake's owner locks; `None` for an object store, which has no locks.
    pub(crate) fn lock_file(&self) -> Result<Option<std::path::PathBuf>, Error> {
        let Place::Folder(local) = &self.place else { return Ok(None) };
        Ok(Some(local.path_to_filesystem(&self.below(&[".owner"]))?))
    }

    /// The object that says who owns the lake.
    pub(crate) fn lease(&self) -> Path {
        self.below(&["owner.json"])
    }

    fn below(&self, parts: &[&str]) -> Path {
        Path::from_iter(self.base.parts().chain(parts.iter().map(|part| PathPart::from(*part))))
    }

    /// Stores a file whole or not at all; when it returns, the file survives a loss of power.
    pub(crate) async fn put(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.objects.put(path, bytes.into().into()).await?;
        self.synced(path).await
    }

    async fn synced(&self, path: &Path) -> Result<(), Error> {
        let Place::Folder(local) = &self.place else { return Ok(()) };
        let file = local.path_to_filesystem(path)?;
        crate::blocking(move || sync(&file).map_err(|source| Error::Sync { source })).await
    }

    /// Stores a small file if the condition holds; returns the version that it has now, or `None`
    /// when somebody else was first. In a folder only the process that holds its lock may replace.
    pub(crate) async fn put_if(
        &self,
        path: &Path,
        bytes: Vec<u8>,
        condition: If,
    ) -> Result<Option<UpdateVersion>, Error> {
        use object_store::Error::{AlreadyExists, NotFound, NotImplemented, Precondition};
        let mode = match condition {
            // A folder does not know the condition.
            If::Still(version) if let Place::Folder(_) = self.place => {
                let now = self.versioned(path).await?;
                if now.is_none_or(|(_, now)| now.e_tag != version.e_tag) {
                    return Ok(None);
                }
                PutMode::Overwrite
            }
            If::Still(version) => PutMode::Update(version),
            If::Absent => PutMode::Create,
        };
        match self.objects.put_opts(path, bytes.clone().into(), mode.into()).await {
            Ok(done) => {
                self.synced(path).await?;
                Ok(Some(done.into()))
            }
            Err(AlreadyExists { .. } | Precondition { .. } | NotFound { .. }) => Ok(None),
            Err(error @ NotImplemented { .. }) => {
                tracing::warn!(%error, "the object store knows no conditional writes");
                let done = self.objects.put(path, bytes.into()).await?;
                Ok(Some(done.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn get(&self, path: &Path) -> Result<Bytes, Error> {
        Ok(self.objects.get(path).await?.bytes().await?)
    }

    /// A small file with its version; `None` when there is none.
    pub(crate) async fn versioned(
        &self,
        path: &Path,
    ) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        let found = match self.objects.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
        Ok(Some((found.bytes().await?, UpdateVersion { e_tag, version })))
    }

    /// Deletes a file; one that is gone is fine.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.objects.delete(path).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a Parquet file, and the mark that it may have.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), Error> {
        self.delete(path).await?;
        match mark_of(path) {
            Some(mark) => self.delete(&mark).await,
            None => Ok(()),
        }
    }

    /// Makes the merged file of a note count.
    pub(crate) async fn mark(&self, note: &Path, merge: &Merge) -> Result<(), Error> {
        match mark_of(&sibling(note, &merge.output)) {
            Some(mark) => self.put(&mark, serde_json::to_vec(&merge.from)?).await,
            None => Ok(()),
        }
    }

    /// The files of segments whose rows are in a file.
    pub(crate) async fn sources(&self, file: &DataFile) -> Result<Vec<String>, Error> {
        match mark_of(&file.meta.location) {
            Some(mark) => Ok(serde_json::from_slice(&self.get(&mark).await?)?),
            None => Ok(vec![file.name().to_owned()]),
        }
    }

    /// Whether the rows of a segment's file are in a merged one of its hour.
    pub(crate) async fn merged(&self, hour: Hour, name: &str) -> Result<bool, Error> {
        let note = self.note(hour);
        let noted = self.versioned(&note).await?;
        if let Some((bytes, _)) = noted.filter(|(bytes, _)| !bytes.is_empty()) {
            let merge: Merge = serde_json::from_slice(&bytes)?;
            if merge.done && merge.from.iter().any(|from| from == name) {
                return Ok(true);
            }
        }
        let mut folder: Vec<_> = note.parts().collect();
        folder.pop();
        let folder = Path::from_iter(folder);
        let objects: Vec<ObjectMeta> = self.objects.list(Some(&folder)).try_collect().await?;
        for mark in objects.iter().filter(|object| object.location.as_ref().ends_with(MARK)) {
            let from: Vec<String> = serde_json::from_slice(&self.get(&mark.location).await?)?;
            if from.iter().any(|from| from == name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The files of all hours from `from` on.
    pub(crate) async fn list(&self, from: Option<Hour>) -> Result<Listing, Error> {
        for _ in 0..LISTINGS_MAX {
            if let Some(listing) = self.list_once(from).await? {
                return Ok(listing);
            }
        }
        Err(Error::Moving)
    }

    /// `None` when what was listed and what the notes say is not of the same moment.
    async fn list_once(&self, from: Option<Hour>) -> Result<Option<Listing>, Error> {
        let prefix = self.below(&[REQUESTS]);
        // Folder names sort by time, so the listing can begin in the middle.
        let objects = match from.and_then(before) {
            Some([day, folder]) => {
                let before = self.below(&[REQUESTS, &day, &folder]);
                self.objects.list_with_offset(Some(&prefix), &before)
            }
            None => self.objects.list(Some(&prefix)),
        };
        let objects: Vec<ObjectMeta> = objects.try_collect().await?;
        let mut listing = Listing::default();
        for meta in objects {
            let Some((hour, name)) = place(&meta.location) else { continue };
            if name.ends_with(PARQUET) {
                listing.files.push(DataFile { meta, hour });
            } else if let Some(stem) = name.strip_suffix(MARK) {
                listing.marked.insert(stem.to_owned());
            } else if name == NOTE && meta.size == 0 {
                listing.idle.push((hour, meta.location));
            } else if name == NOTE || name.ends_with(".merge") {
                let Some(noted) = self.noted(meta.location, name == NOTE).await? else {
                    return Ok(None);
                };
                listing.merges.push(noted);
            }
        }
        Ok(listing.settled())
    }

    /// A note that was listed; `None` when it has gone since.
    async fn noted(&self, note: Path, versioned: bool) -> Result<Option<Noted>, Error> {
        let found = self.versioned(&note).await?.filter(|(bytes, _)| !bytes.is_empty());
        let Some((bytes, version)) = found else { return Ok(None) };
        let merge = serde_json::from_slice(&bytes)?;
        Ok(Some(Noted { note, merge, version: versioned.then_some(version) }))
    }
}

impl Listing {
    /// Leaves the files that count; `None` when a merged one is missing.
    fn settled(mut self) -> Option<Self> {
        self.files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        let there: BTreeSet<&str> = self.files.iter().map(DataFile::name).collect();
        let merges = self.merges.iter().map(|noted| &noted.merge);
        let mut done = merges.clone().filter(|merge| merge.done);
        if !done.all(|merge| there.contains(merge.output.as_str())) {
            return None;
        }
        let named: BTreeSet<&str> = merges.clone().map(|merge| merge.output.as_str()).collect();
        let hidden: BTreeSet<&str> = merges.clone().flat_map(|merge| merge.hidden()).collect();
        let counts = |file: &DataFile| {
            let stem = file.name().strip_suffix(PARQUET).unwrap_or_default();
            let marked = !is_marked(file.name()) || self.marked.contains(stem);
            (marked || named.contains(file.name())) && !hidden.contains(file.name())
        };
        let (files, others): (Vec<_>, Vec<_>) = self.files.iter().cloned().partition(counts);
        let orphan =
            |file: &DataFile| !named.contains(file.name()) && !hidden.contains(file.name());
        let orphans = others.into_iter().filter(orphan).collect();
        (self.files, self.orphans) = (files, orphans);
        Some(self)
    }
}

/// The file `name` beside another.
pub(crate) fn sibling(path: &Path, name: &str) -> Path {
    let mut parts: Vec<_> = path.parts().collect();
    parts.pop();
    Path::from_iter(parts.into_iter().chain([name.into()]))
}

/// The mark of a merged file; `None` for a file that has none.
fn mark_of(path: &Path) -> Option<Path> {
    let stem = path.filename()?.strip_suffix(PARQUET).filter(|stem| is_marked(stem))?;
    Some(sibling(path, &format!("{stem}{MARK}")))
}

impl Merge {
    /// Names of the files that do not count at present. Segments and merged files have unique
    /// names, so the folder need not be looked at.
    fn hidden(&self) -> impl Iterator<Item = &str> {
        let (inputs, output) = if self.done {
            (self.inputs.as_slice(), None)
        } else {
            (Default::default(), Some(&self.output))
        };
        inputs.iter().chain(output).map(String::as_str)
    }
}

/// A place between the files of the hour before and those of an hour; `None` for the first hour.
///
/// It is not the hour's own folder, although that sorts before its files: SeaweedFS 4.48 passes
/// over a folder whose name a listing shall begin after, and all that is in it.
fn before(hour: Hour) -> Option<[String; 2]> {
    let [day, folder] = Hour(hour.0.checked_sub(1)?).folders();
    // A letter sorts after the slash that stands before the files' names.
    Some([day, folder + "z"])
}

/// Hour and name of a file in the folder; `None` for what is not ours.
fn place(path: &Path) -> Option<(Hour, String)> {
    let parts: Vec<_> = path.parts().collect();
    let [.., day, hour, name] = parts.as_slice() else { return None };
    Some((Hour::parse(day.as_ref(), hour.as_ref())?, name.as_ref().to_owned()))
}

/// Forces a file and its folder to the disk.
fn sync(file: &std::path::Path) -> std::io::Result<()> {
    std::fs::File::open(file)?.sync_all()?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_folders_correspond() {
        for (ms, folders) in [
            (0, ["day=1970-01-01", "hour=00"]),
            (1_772_351_999_999, ["day=2026-03-01", "hour=07"]),
            (1_709_247_600_000, ["day=2024-02-29", "hour=23"]),
        ] {
            let hour = Hour::of(ms);
            assert_eq!(hour.folders(), folders);
            assert_eq!(Hour::parse(folders[0], folders[1]), Some(hour));
        }
        assert_eq!(before(Hour(0)), None);
        for (day, hour) in
            [("day=2026-13-01", "hour=01"), ("day=2026-01-01", "hour=24"), ("x", "y")]
        {
            assert_eq!(Hour::parse(day, hour), None);
        }
    }

    #[test]
    fn a_listing_that_begins_with_an_hour_has_all_of_its_files_and_none_before() {
        for hour in [1, 24, 24 * 31, 490_000].map(Hour) {
            let place = before(hour).unwrap().join("/");
            let [last, first] = [Hour(hour.0 - 1), hour].map(|hour| hour.folders().join("/"));
            assert!(format!("{last}/zzz.parquet") < place, "{place}");
            assert!(place < first, "{place}");
        }
    }
}
