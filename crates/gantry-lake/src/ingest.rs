//! Journal segments become Parquet files.

use crate::columns::{Columns, received_ms};
use crate::parquet_file::ParquetFile;
use crate::store::Hour;
use crate::{Error, Lake};
use arrow::error::ArrowError;
use gantry_telemetry::journal::pack::Malformed;
use gantry_telemetry::journal::{self, SegmentFrames};
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
    /// are; the error that says so comes after all others were moved.
    pub async fn ingest(&self) -> Result<u64, Error> {
        let _alone = self.0.maintenance.lock().await;
        let mut rows = 0;
        let mut newer = None;
        for segment in self.0.journal.segments()?.into_iter().filter(|segment| segment.sealed) {
            match self.store_segment(&segment.name).await {
                Ok(count) => rows += count,
                Err(Error::Journal { source: error @ journal::Error::Newer { .. } }) => {
                    newer = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.0.journal.delete(&segment.name)?;
        }
        newer.map_or(Ok(rows), |error| Err(error.into()))
    }

    /// Stores a segment's records, one file per hour. Doing it again stores the same files.
    pub(crate) async fn store_segment(&self, name: &str) -> Result<u64, Error> {
        let Some(frames) = self.0.journal.read(name)? else { return Ok(0) };
        let mut hours: BTreeMap<Hour, HourFile> = BTreeMap::new();
        each_record(frames, name, |hour, _, payload| {
            let file = match hours.entry(hour) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(HourFile::new()?),
            };
            file.append(payload)
        })?;
        let mut count = 0;
        for (number, (hour, file)) in hours.into_iter().enumerate() {
            let path = self.0.store.path(hour, &format!("{name}-{number}.parquet"));
            count += file.rows;
            self.0.store.put(&path, file.finish()?).await?;
        }
        self.0.metrics.lake_ingested(count);
        Ok(count)
    }
}

/// Calls `take` with hour, time and payload of each record of a segment.
///
/// A record that is malformed is passed over: its checksum is right, so a defect wrote it, and it
/// would never become readable.
pub(crate) fn each_record(
    mut frames: SegmentFrames,
    segment: &str,
    mut take: impl FnMut(Hour, u64, &[u8]) -> Result<(), RecordError>,
) -> Result<(), Error> {
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
    if malformed > 0 {
        tracing::error!(segment, frames = malformed, "journal frames are no records");
    }
    if frames.damaged() > 0 {
        tracing::error!(segment, frames = frames.damaged(), "journal frames are damaged");
    }
    Ok(())
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
