//! Journal segments become Parquet files.

use crate::columns::{Columns, received_ms};
use crate::parquet_file::ParquetFile;
use crate::store::Hour;
use crate::{Error, Lake};
use arrow::error::ArrowError;
use gantry_telemetry::journal::pack::Malformed;
use gantry_telemetry::journal::{self, SegmentFrames};
use gantry_telemetry::metrics::Metrics;
use parquet::errors::ParquetError;
use std::collections::BTreeMap;

/// Why a record could not be taken.
pub(crate) enum RecordError {
    /// The record is none: it is passed over.
    Malformed,
    /// Nothing more can be taken.
    Failed(Error),
}

impl From<Malformed> for RecordError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<ArrowError> for RecordError {
    fn from(error: ArrowError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ParquetError> for RecordError {
    fn from(error: ParquetError) -> Self {
        Self::Failed(error.into())
    }
}

impl Lake {
    /// Moves all sealed segments of the journal into the lake; returns how many records.
    ///
    /// Keeps the calling thread busy: [`Lake::run`] calls it on a thread of its own.
    ///
    /// # Errors
    /// When the journal cannot be read or a file cannot be stored. What was moved stays moved, and
    /// the next call goes on where this one stopped. Segments of a newer Gantry are left where they
    /// are; the error that says so comes after all others were moved. Of a damaged segment what can
    /// be read is moved, and its file is kept in the journal's folder for such.
    pub async fn ingest(&self) -> Result<u64, Error> {
        let _alone = self.0.maintenance.lock().await;
        let mut rows = 0;
        let mut newer = None;
        for segment in self.0.journal.segments()?.into_iter().filter(|segment| segment.sealed) {
            let stored = match self.store_segment(&segment.name).await {
                Ok(stored) => stored,
                Err(Error::Journal { source: error @ journal::Error::Newer { .. } }) => {
                    newer = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            rows += stored.rows;
            match stored.unread {
                Unread { malformed: 0, damage: None } => self.0.journal.delete(&segment.name)?,
                unread => {
                    self.0.journal.keep_damaged(&segment.name)?;
                    unread.tell(&segment.name, &self.0.metrics);
                }
            }
        }
        newer.map_or(Ok(rows), |error| Err(error.into()))
    }

    /// Stores a segment's records, one file per hour. Doing it again stores the same files.
    pub(crate) async fn store_segment(&self, name: &str) -> Result<Stored, Error> {
        let Some(frames) = self.0.journal.read(name)? else { return Ok(Stored::default()) };
        let mut hours: BTreeMap<Hour, HourFile> = BTreeMap::new();
        let unread = each_record(frames, name, |hour, _, payload| {
            let file = match hours.entry(hour) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(HourFile::new()?),
            };
            file.append(payload)
        })?;
        let mut rows = 0;
        for (number, (hour, file)) in hours.into_iter().enumerate() {
            rows += file.rows;
            self.store_hour(hour, &format!("{name}-{number}.parquet"), file).await?;
        }
        self.0.metrics.lake_ingested(rows);
        Ok(Stored { rows, unread })
    }

    /// Stores a file, unless it was stored before and has become a part of a merged one. That may
    /// be when its segment was left behind by a process that died, and another process merges.
    async fn store_hour(&self, hour: Hour, name: &str, file: HourFile) -> Result<(), Error> {
        let store = &self.0.store;
        let merged_after = u64::try_from(self.0.config.compact_after.as_millis());
        let mergeable_ms = hour.end_ms().saturating_add(merged_after.unwrap_or(u64::MAX));
        let mergeable = mergeable_ms <= self.0.clock.unix_ms();
        if mergeable && store.merged(hour, name).await? {
            return Ok(());
        }
        let path = store.path(hour, name);
        store.put(&path, file.finish()?).await?;
        // It may have been merged, and deleted, since that look.
        if mergeable && store.merged(hour, name).await? {
            store.delete(&path).await?;
        }
        Ok(())
    }
}

/// What became of a segment.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) rows: u64,
    unread: Unread,
}

/// What of a segment could not be read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Frames whose checksum is right and that are no record: a defect wrote them.
    malformed: u64,
    damage: Option<journal::Damage>,
}

impl Unread {
    /// Counts and logs it, once for each segment.
    fn tell(&self, segment: &str, metrics: &Metrics) {
        let journal::Damage { bytes, places } = self.damage.unwrap_or_default();
        let malformed = self.malformed;
        metrics.journal_damaged(bytes);
        tracing::error!(
            segment,
            bytes,
            places,
            malformed,
            folder = journal::DAMAGED,
            "a journal segment is damaged: the records that can be read are kept, and the file"
        );
    }
}

/// Calls `take` with hour, time and payload of each record of a segment, and says what was passed
/// over.
pub(crate) fn each_record(
    mut frames: SegmentFrames,
    segment: &str,
    mut take: impl FnMut(Hour, u64, &[u8]) -> Result<(), RecordError>,
) -> Result<Unread, Error> {
    let mut malformed = 0_u64;
    let failed = |source| journal::Error::Read { segment: segment.to_owned(), source };
    while let Some(payload) = frames.next().map_err(failed)? {
        let taken = match received_ms(payload) {
            Ok(ms) => take(Hour::of(ms), ms, payload),
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(()) => {}
            Err(RecordError::Malformed) => malformed += 1,
            Err(RecordError::Failed(error)) => return Err(error),
        }
    }
    Ok(Unread { malformed, damage: frames.damage(true) })
}

/// The file of one hour in the making.
struct HourFile {
    columns: Columns,
    file: ParquetFile,
    rows: u64,
}

impl HourFile {
    fn new() -> Result<Self, ParquetError> {
        Ok(Self { columns: Columns::new(true), file: ParquetFile::new()?, rows: 0 })
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), RecordError> {
        self.columns.append(payload)?;
        self.rows += 1;
        if self.columns.full() {
            self.file.write_columns(&mut self.columns)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.file.write_columns(&mut self.columns)?;
        Ok(self.file.finish()?)
    }
}
