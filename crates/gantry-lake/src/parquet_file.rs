//! How the lake's files are written. Used by ingestion and by merging, for the same files.
//!
//! Every request goes through here, so each setting is weighed by what it costs per record against
//! the bytes it saves.

use crate::schema::{COLUMNS, Kind};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Rows in one row group; with bodies a row may have many kilobytes.
const ROW_GROUP_ROWS: usize = 16_384;

/// Columns whose least and greatest values let a query pass over row groups. Any other column has
/// all of its values in nearly every row group.
const SEARCHED: [&str; 2] = ["id", "received_at"];

/// Texts that hardly ever come twice: a dictionary of them would be one more copy.
const DISTINCT: [&str; 4] = ["id", "attempts", "request_body", "response_body"];

/// A Parquet file in memory, in the schema of new files.
pub(crate) struct ParquetFile(ArrowWriter<Vec<u8>>);

impl ParquetFile {
    pub(crate) fn new() -> Result<Self, ParquetError> {
        let properties = properties()?;
        ArrowWriter::try_new(Vec::new(), crate::schema(), Some(properties)).map(Self)
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.0.write(batch)
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, ParquetError> {
        self.0.into_inner()
    }
}

fn properties() -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        // Level 3 makes the files no smaller and takes a tenth longer for all of a record's way.
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by("gantry".to_owned());
    for column in COLUMNS {
        let path = ColumnPath::from(column.name);
        if SEARCHED.contains(&column.name) {
            let chunk = EnabledStatistics::Chunk;
            properties = properties.set_column_statistics_enabled(path.clone(), chunk);
        }
        let number = matches!(column.kind, Kind::Int | Kind::Time);
        if number || DISTINCT.contains(&column.name) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        if number {
            properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(properties.build())
}
