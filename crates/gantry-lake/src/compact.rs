//! The many small files of an hour that is over become one. Large row groups are copied as they
//! are, small ones are read and become large ones.
//!
//! A note (`c-….merge`) makes it safe to die at any point: it is stored with `done: false` before
//! the merged file, which does not count until the note is overwritten with `done: true`; from then
//! on the small files do not count. They are deleted, then the note. Whoever finds a note later
//! goes on from it: forward when it is done, else back. Queries follow the notes too.

use crate::parquet_file::ParquetFile;
use crate::schema::schema;
use crate::store::{DataFile, Hour, Merge};
use crate::{Error, Lake};
use arrow::array::new_null_array;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::PageIndexPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// Most bytes that are merged at once: the merged file is held in memory.
const MERGE_BYTES_MAX: u64 = 32 << 20;

impl Lake {
    /// Merges the files of hours that ended some time ago; returns how many files went.
    ///
    /// Keeps the calling thread busy: [`Lake::run`] calls it on a thread of its own.
    ///
    /// # Errors
    /// When files cannot be read or stored. Nothing is lost, and the next call goes on.
    pub async fn compact(&self) -> Result<usize, Error> {
        let _alone = self.0.maintenance.lock().await;
        let inner = &self.0;
        // The journal first: a segment that vanishes after this look is taken next time.
        let segments = inner.journal.segments()?;
        let pending: BTreeSet<String> = segments.into_iter().map(|segment| segment.name).collect();
        let mut listing = inner.store.list(None).await?;
        if !listing.merges.is_empty() {
            for (note, merge) in &listing.merges {
                let _layout = inner.layout.write().await;
                self.resume(note, merge).await?;
            }
            listing = inner.store.list(None).await?;
        }
        let before = inner.clock.unix_ms().saturating_sub(
            u64::try_from(inner.config.compact_after.as_millis()).unwrap_or(u64::MAX),
        );
        let ready = |file: &DataFile| {
            let waits = file.segment().is_some_and(|segment| pending.contains(segment));
            file.hour.end_ms() <= before && !waits
        };
        let mut gone = 0;
        for (hour, files) in groups(listing.files.into_iter().filter(ready)) {
            gone += files.len();
            let (note, merge) = self.merge(hour, &files).await?;
            self.finish(&note, merge).await?;
        }
        Ok(gone)
    }

    /// Stores the note and the merged file, which does not count yet.
    pub(crate) async fn merge(
        &self,
        hour: Hour,
        files: &[DataFile],
    ) -> Result<(Path, Merge), Error> {
        let store = &self.0.store;
        let random = gantry_runtime::ids::fast_random_u64();
        let name = format!("c-{:013}-{random:016x}", self.0.clock.unix_ms());
        let merge = Merge {
            done: false,
            output: format!("{name}.parquet"),
            inputs: files.iter().map(|file| file.name().to_owned()).collect(),
        };
        let note = store.path(hour, &format!("{name}.merge"));
        store.put(&note, serde_json::to_vec(&merge)?).await?;
        let mut merged = ParquetFile::new()?;
        for file in files {
            append(&mut merged, store.get(&file.meta.location).await?)?;
        }
        store.put(&store.path(hour, &merge.output), merged.finish()?).await?;
        Ok((note, merge))
    }

    /// Makes the merged file count, and removes the others.
    pub(crate) async fn finish(&self, note: &Path, merge: Merge) -> Result<(), Error> {
        let merge = Merge { done: true, ..merge };
        // Queries list the files either before this or after it.
        let _layout = self.0.layout.write().await;
        self.0.store.put(note, serde_json::to_vec(&merge)?).await?;
        self.resume(note, &merge).await
    }

    /// Ends a merging, also one that an earlier process began. The caller holds the layout.
    async fn resume(&self, note: &Path, merge: &Merge) -> Result<(), Error> {
        let unwanted =
            if merge.done { merge.inputs.as_slice() } else { std::slice::from_ref(&merge.output) };
        self.0.replaced.fetch_add(1, Ordering::SeqCst);
        for name in unwanted {
            self.0.store.delete(&sibling(note, name)).await?;
        }
        self.0.store.delete(note).await
    }
}

fn sibling(path: &Path, name: &str) -> Path {
    let mut parts: Vec<_> = path.parts().collect();
    parts.pop();
    Path::from_iter(parts.into_iter().chain([name.into()]))
}

/// Files of one hour in groups that are worth merging: two or more, not too large together.
fn groups(files: impl Iterator<Item = DataFile>) -> Vec<(Hour, Vec<DataFile>)> {
    let mut hours: BTreeMap<Hour, Vec<Vec<DataFile>>> = BTreeMap::new();
    for file in files.filter(|file| file.meta.size < MERGE_BYTES_MAX) {
        let groups = hours.entry(file.hour).or_default();
        let fits = |group: &&mut Vec<DataFile>| {
            let bytes: u64 = group.iter().map(|file| file.meta.size).sum();
            bytes + file.meta.size <= MERGE_BYTES_MAX
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(file),
            None => groups.push(vec![file]),
        }
    }
    let flat = hours
        .into_iter()
        .flat_map(|(hour, groups)| groups.into_iter().map(move |group| (hour, group)));
    flat.filter(|(_, group)| group.len() > 1).collect()
}

/// Appends the rows of a file.
fn append(merged: &mut ParquetFile, input: Bytes) -> Result<(), Error> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(&input, options)?;
    for group in 0..metadata.metadata().num_row_groups() {
        if merged.copy(&input, metadata.metadata(), group)? {
            continue;
        }
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(input.clone(), metadata.clone());
        for batch in reader.with_row_groups(vec![group]).build()? {
            merged.write(&current(&batch?)?)?;
        }
    }
    Ok(())
}

/// A batch of an older schema in the current one.
fn current(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let schema = schema();
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let missing = || new_null_array(field.data_type(), batch.num_rows());
        batch.column_by_name(field.name()).cloned().unwrap_or_else(missing)
    };
    let columns = schema.fields().iter().map(column).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}
