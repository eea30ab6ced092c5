//! The object store: where files are, which of them count. No Parquet here.

use crate::Error;
use crate::objects::{self, Address, Location, Remote};
use bytes::Bytes;
use futures_util::TryStreamExt;
use gantry_cloud::credentials::Environment;
use gantry_runtime::clock::Clock;
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use time::{Date, Duration, OffsetDateTime};
use url::Url;

pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Folder of the request records.
const REQUESTS: &str = "requests";

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
        let (segment, _) = self.name().strip_suffix(".parquet")?.rsplit_once('-')?;
        Some(segment).filter(|_| !self.name().starts_with("c-"))
    }
}

/// Intention and state of one merging; lies beside the files while it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    /// Whether the merged file is complete: it counts, and the others do not any more.
    pub(crate) done: bool,
    pub(crate) output: String,
    pub(crate) inputs: Vec<String>,
}

/// Everything in the folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files that count, oldest hour first.
    pub(crate) files: Vec<DataFile>,
    /// Mergings that have not ended, with the path of their note.
    pub(crate) merges: Vec<(Path, Merge)>,
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

    /// Tries whether an object store can be used as the lake does; a local folder always can.
    ///
    /// # Errors
    /// The first thing that fails.
    pub(crate) async fn check(&self) -> Result<(), objects::Error> {
        match &self.place {
            Place::Folder(_) => Ok(()),
            Place::Remote(remote) => remote.check(&self.base).await,
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

    fn below(&self, parts: &[&str]) -> Path {
        Path::from_iter(self.base.parts().chain(parts.iter().map(|part| PathPart::from(*part))))
    }

    /// Stores a file whole or not at all; when it returns, the file survives a loss of power.
    pub(crate) async fn put(&self, path: &Path, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.objects.put(path, bytes.into().into()).await?;
        if let Place::Folder(local) = &self.place {
            let file = local.path_to_filesystem(path)?;
            crate::blocking(move || sync(&file).map_err(|source| Error::Sync { source })).await?;
        }
        Ok(())
    }

    pub(crate) async fn get(&self, path: &Path) -> Result<Bytes, Error> {
        Ok(self.objects.get(path).await?.bytes().await?)
    }

    /// Deletes a file; one that is gone is fine.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.objects.delete(path).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of all hours from `from` on.
    pub(crate) async fn list(&self, from: Option<Hour>) -> Result<Listing, Error> {
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
            if name.ends_with(".parquet") {
                listing.files.push(DataFile { meta, hour });
            } else if name.ends_with(".merge") {
                let note = serde_json::from_slice(&self.get(&meta.location).await?)?;
                listing.merges.push((meta.location, note));
            }
        }
        listing.files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        let hidden = listing.merges.iter().flat_map(|(_, merge)| merge.hidden());
        let hidden: BTreeSet<&str> = hidden.collect();
        listing.files.retain(|file| !hidden.contains(file.name()));
        Ok(listing)
    }
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
