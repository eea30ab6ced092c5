//! Journal segments become Parquet files.

use crate::convert::{Row, received_ms, to_batch};
use crate::store::Hour;
use crate::{Error, Lake, blocking};
use arrow::record_batch::RecordBatch;
use gantry_telemetry::journal::SegmentFrames;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;

/// Rows in one row group; with bodies a row may have many kilobytes.
const ROW_GROUP_ROWS: usize = 16_384;

impl Lake {
    /// Moves all sealed segments of the journal into the lake; returns how many records.
    ///
    /// # Errors
    /// When the journal cannot be read or a file cannot be stored. What was moved stays moved, and
    /// the next call goes on where this one stopped.
    pub async fn ingest(&self) -> Result<u64, Error> {
        let _alone = self.0.maintenance.lock().await;
        let journal = self.0.journal.clone();
        let segments = blocking(move || Ok(journal.segments()?)).await?;
        let mut rows = 0;
        for segment in segments.into_iter().filter(|segment| segment.sealed) {
            rows += self.store_segment(&segment.name).await?;
            self.delete_segment(&segment.name).await?;
        }
        Ok(rows)
    }

    /// Stores a segment's records, one file per hour. Doing it again stores the same files.
    pub(crate) async fn store_segment(&self, name: &str) -> Result<u64, Error> {
        let journal = self.0.journal.clone();
        let segment = name.to_owned();
        let files = blocking(move || {
            let frames = journal.read(&segment)?.unwrap_or_default();
            files(rows(&frames, &segment))
        });
        let mut count = 0;
        for (number, file) in files.await?.into_iter().enumerate() {
            let path = self.0.store.path(file.hour, &format!("{name}-{number}.parquet"));
            self.0.store.put(&path, file.bytes).await?;
            count += file.rows as u64;
        }
        self.0.metrics.lake_ingested(count);
        Ok(count)
    }

    pub(crate) async fn delete_segment(&self, name: &str) -> Result<(), Error> {
        let journal = self.0.journal.clone();
        let segment = name.to_owned();
        blocking(move || Ok(journal.delete(&segment)?)).await
    }
}

/// The records of a segment with the hours they belong to.
pub(crate) fn rows(frames: &SegmentFrames, segment: &str) -> Vec<(Hour, Row)> {
    if frames.damaged > 0 {
        tracing::error!(segment, frames = frames.damaged, "journal frames are damaged");
    }
    let mut rows = Vec::new();
    for payload in frames.payloads() {
        match serde_json::from_slice::<Row>(payload) {
            Ok(row) => rows.push((Hour::of(received_ms(&row)), row)),
            // The checksum is right, so a defect wrote it: it would never become readable.
            Err(error) => tracing::error!(segment, %error, "a journal frame is not a record"),
        }
    }
    rows
}

/// A Parquet file in memory.
struct Encoded {
    hour: Hour,
    rows: usize,
    bytes: Vec<u8>,
}

fn files(rows: Vec<(Hour, Row)>) -> Result<Vec<Encoded>, Error> {
    let mut hours: BTreeMap<Hour, Vec<Row>> = BTreeMap::new();
    for (hour, row) in rows {
        hours.entry(hour).or_default().push(row);
    }
    let encode = |(hour, rows): (Hour, Vec<Row>)| {
        let batch = to_batch(rows)?;
        let bytes = to_parquet(std::slice::from_ref(&batch))?;
        Ok(Encoded { hour, rows: batch.num_rows(), bytes })
    };
    hours.into_iter().map(encode).collect()
}

/// Prints batches of the current schema as one Parquet file.
pub(crate) fn to_parquet(batches: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by("gantry".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), crate::schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}
