//! How the lake's files are written. Used by ingestion and by merging, for the same files.
//!
//! Every request goes through here, so each setting is weighed by what it costs per record against
//! the bytes it saves.

use crate::chunk;
use crate::columns::{Columns, Made};
use crate::schema::{self, Kind, schema};
use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use std::sync::{Arc, OnceLock};

/// Rows in one row group; with bodies a row may have many kilobytes.
const ROW_GROUP_ROWS: usize = 16_384;

/// Row groups of fewer rows than these are not copied: each column of a group takes about a hundred
/// bytes of its own, and a query looks at each group.
const COPIED_ROWS_MIN: i64 = 4_096;

/// A Parquet file in memory, in the schema of new files.
pub(crate) struct ParquetFile {
    layout: &'static Layout,
    file: SerializedFileWriter<Vec<u8>>,
    /// A row group that [`ParquetFile::write`] began, with its rows.
    begun: Option<(Vec<ArrowColumnWriter>, usize)>,
}

/// What all files have in common.
struct Layout {
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    /// For row groups of any batches.
    group: ArrowRowGroupWriterFactory,
    /// For each column alone, as ingestion wants them.
    columns: Vec<ArrowRowGroupWriterFactory>,
}

impl Layout {
    fn get() -> Result<&'static Self> {
        static LAYOUT: OnceLock<Layout> = OnceLock::new();
        match LAYOUT.get() {
            Some(layout) => Ok(layout),
            None => {
                let layout = Self::new()?;
                Ok(LAYOUT.get_or_init(|| layout))
            }
        }
    }

    fn new() -> Result<Self> {
        let converted = |schema: &Schema| ArrowSchemaConverter::new().convert(schema);
        let factory = |schema: SchemaRef, properties: &WriterPropertiesPtr| {
            let root = converted(&schema)?.root_schema_ptr();
            let file = SerializedFileWriter::new(Vec::new(), root, properties.clone())?;
            Ok::<_, ParquetError>(ArrowRowGroupWriterFactory::new(&file, schema))
        };
        let mut merging = properties(true)?;
        add_encoded_arrow_schema_to_metadata(&schema(), &mut merging);
        let (merging, single) = (Arc::new(merging), Arc::new(properties(false)?));
        let schema = schema();
        let alone =
            |field: &Arc<Field>| factory(Arc::new(Schema::new(vec![field.clone()])), &single);
        Ok(Self {
            schema: converted(&schema)?,
            group: factory(schema.clone(), &merging)?,
            columns: schema.fields().iter().map(alone).collect::<Result<_>>()?,
            properties: merging,
        })
    }
}

impl ParquetFile {
    pub(crate) fn new() -> Result<Self> {
        let layout = Layout::get()?;
        let (schema, properties) = (layout.schema.root_schema_ptr(), layout.properties.clone());
        let file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
        Ok(Self { layout, file, begun: None })
    }

    /// Writes what is in the columns as a row group, and empties them.
    pub(crate) fn write_columns(&mut self, columns: &mut Columns) -> Result<()> {
        let (rows, made) = match columns.finish_shared() {
            Some((0, _)) => return Ok(()),
            Some(made) => made,
            None => return self.write(&columns.finish()?),
        };
        self.flush()?;
        let mut leaves = self.layout.schema.columns().iter();
        let mut group = self.file.next_row_group()?;
        let columns = &schema::Layout::current().columns;
        for (at, (made, column)) in made.into_iter().zip(columns).enumerate() {
            let count = if column.kind == Kind::Map { 2 } else { 1 };
            let own = match &made {
                Made::Nothing => Some((0..count).map(|_| chunk::nothing(rows)).collect()),
                Made::Shared(sharing) => chunk::leaves(sharing),
                Made::Each(_) => None,
            };
            let descriptors = leaves.by_ref().take(count);
            if let Some(own) = own {
                for (descriptor, leaf) in descriptors.zip(own) {
                    chunk::write(&mut group, descriptor, leaf, rows)?;
                }
                continue;
            }
            descriptors.for_each(drop);
            let array = match made {
                Made::Each(array) => array,
                Made::Shared(sharing) => sharing.spread()?,
                Made::Nothing => continue,
            };
            self.layout.write_column(at, &array, &mut group)?;
        }
        group.close().map(|_| ())
    }

    /// Writes a batch of the current schema, to a row group of many batches.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let group = self.file.flushed_row_groups().len();
        let (mut writers, rows) = match self.begun.take() {
            Some(begun) => begun,
            None => (self.layout.group.create_column_writers(group)?, 0),
        };
        let mut next = writers.iter_mut();
        for (field, array) in schema().fields().iter().zip(batch.columns()) {
            for (leaf, writer) in compute_leaves(field, array)?.iter().zip(next.by_ref()) {
                writer.write(leaf)?;
            }
        }
        let rows = rows + batch.num_rows();
        self.begun = (rows > 0).then_some((writers, rows));
        if rows >= ROW_GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    /// Copies a row group of another file as it is. False when it is too small or not of the
    /// current schema: then it has to be read.
    pub(crate) fn copy(
        &mut self,
        input: &Bytes,
        metadata: &ParquetMetaData,
        at: usize,
    ) -> Result<bool> {
        let from = metadata.row_group(at);
        let current = metadata.file_metadata().schema_descr() == &self.layout.schema;
        if !current || from.num_rows() < COPIED_ROWS_MIN {
            return Ok(false);
        }
        self.flush()?;
        let offsets = metadata.offset_index().and_then(|groups| groups.get(at));
        let mut group = self.file.next_row_group()?;
        for (number, column) in from.columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or_default(),
                rows_written: u64::try_from(from.num_rows()).unwrap_or_default(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: offsets.and_then(|columns| columns.get(number)).cloned(),
            };
            group.append_column(input, close)?;
        }
        group.close().map(|_| true)
    }

    /// Ends the row group that was begun.
    fn flush(&mut self) -> Result<()> {
        let Some((writers, _)) = self.begun.take() else { return Ok(()) };
        let mut group = self.file.next_row_group()?;
        for writer in writers {
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close().map(|_| ())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.flush()?;
        self.file.into_inner()
    }
}

impl Layout {
    fn write_column(
        &self,
        at: usize,
        array: &ArrayRef,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<()> {
        let missing = || ArrowError::SchemaError(format!("no column {at}"));
        let factory = self.columns.get(at).ok_or_else(missing)?;
        let schema = schema();
        let field = schema.fields().get(at).ok_or_else(missing)?;
        let writers = factory.create_column_writers(0)?;
        for (mut writer, leaf) in writers.into_iter().zip(compute_leaves(field, array)?) {
            writer.write(&leaf)?;
            writer.close()?.append_to_row_group(group)?;
        }
        Ok(())
    }
}

/// `dictionaries`: whether the crate's encoders look for values that come twice.
fn properties(dictionaries: bool) -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        // Level 3 makes the files no smaller and takes a tenth longer for all of a record's way.
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(dictionaries)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by("gantry".to_owned());
    for column in &schema::Layout::current().columns {
        let path = ColumnPath::from(column.name);
        // Any other column has all of its values in nearly every row group.
        if column.searched {
            let chunk = EnabledStatistics::Chunk;
            properties = properties.set_column_statistics_enabled(path.clone(), chunk);
        }
        if column.distinct {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        if matches!(column.kind, Kind::Int | Kind::Time) {
            properties = properties
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_compression(path, Compression::UNCOMPRESSED);
        }
    }
    Ok(properties.build())
}
