//! The many small files of an hour that is over become one. Large row groups are copied as they
//! are, small ones are read and become large ones.
//!
//! Only the lake's owner does this ([`crate::owner`]), and even two that both believe to be it can
//! neither count rows twice nor lose any. In an hour's folder at most one merging goes on: its
//! note is taken with a conditional write, `done: false`. A merged file does not count until the
//! note is overwritten with `done: true`, on condition that it is still the one that was taken;
//! from then on the small files do not count. Then the merged file gets a mark that makes it count
//! for good, the small files are deleted, and the note is emptied. Whoever finds a note later goes
//! on from it: forward when it is done, else it takes the note away, and who wrote it can end
//! nothing any more. Queries follow notes and marks too.

use crate::parquet_file::ParquetFile;
use crate::schema::schema;
use crate::store::{DataFile, Hour, If, Merge, Noted, sibling};
use crate::{Error, Lake};
use arrow::array::new_null_array;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::UpdateVersion;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::PageIndexPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// Most bytes that are merged at once: the merged file is held in memory.
const MERGE_BYTES_MAX: u64 = 32 << 20;

/// A merging that was begun here.
#[derive(Debug)]
pub(crate) struct Merging {
    pub(crate) note: Path,
    pub(crate) merge: Merge,
    /// Of the note, as it was taken.
    pub(crate) version: UpdateVersion,
}

/// Segments that the journal still holds: each would bring its file back.
pub(crate) struct Pending(BTreeSet<String>);

impl Pending {
    /// Whether the file is that of such a segment.
    pub(crate) fn has(&self, file: &DataFile) -> bool {
        file.segment().is_some_and(|segment| self.0.contains(segment))
    }
}

impl Lake {
    pub(crate) fn pending(&self) -> Result<Pending, Error> {
        let segments = self.0.journal.segments()?;
        Ok(Pending(segments.into_iter().map(|segment| segment.name).collect()))
    }

    /// Merges the files of hours that ended some time ago, if this process owns the lake; returns
    /// how many files went.
    ///
    /// Keeps the calling thread busy: [`Lake::run`] calls it on a thread of its own.
    ///
    /// # Errors
    /// When files cannot be read or stored. Nothing is lost, and the next call goes on.
    pub async fn compact(&self) -> Result<usize, Error> {
        let mut owner = self.0.maintenance.lock().await;
        let inner = &self.0;
        if !self.owned(&mut owner).await? {
            return Ok(0);
        }
        // The journal first: a segment that vanishes after this look is taken next time.
        let pending = self.pending()?;
        let mut listing = inner.store.list(None).await?;
        if !listing.merges.is_empty() {
            for noted in listing.merges {
                self.resume(noted).await?;
            }
            listing = inner.store.list(None).await?;
        }
        let before = inner.clock.unix_ms().saturating_sub(
            u64::try_from(inner.config.compact_after.as_millis()).unwrap_or(u64::MAX),
        );
        let ready = |file: &DataFile| file.hour.end_ms() <= before && !pending.has(file);
        let mut gone = 0;
        for (hour, files) in groups(listing.files.into_iter().filter(ready)) {
            if !self.owned(&mut owner).await? {
                break;
            }
            let begun = self.merge(hour, &files).await?;
            if let Some(merging) = begun
                && self.finish(merging).await?
            {
                gone += files.len();
            }
        }
        Ok(gone)
    }

    /// Takes the hour's note and stores the merged file, which does not count yet. `None` when
    /// another merging goes on in this hour.
    pub(crate) async fn merge(
        &self,
        hour: Hour,
        files: &[DataFile],
    ) -> Result<Option<Merging>, Error> {
        let store = &self.0.store;
        let random = gantry_runtime::ids::fast_random_u64();
        let name = format!("m-{:013}-{random:016x}", self.0.clock.unix_ms());
        let mut from = Vec::new();
        for file in files {
            from.extend(store.sources(file).await?);
        }
        let merge = Merge {
            done: false,
            output: format!("{name}.parquet"),
            inputs: files.iter().map(|file| file.name().to_owned()).collect(),
            from,
        };
        let note = store.note(hour);
        let condition = match store.versioned(&note).await? {
            None => If::Absent,
            Some((bytes, version)) if bytes.is_empty() => If::Still(version),
            Some(_) => return Ok(None),
        };
        let taken = store.put_if(&note, serde_json::to_vec(&merge)?, condition).await?;
        let Some(version) = taken else { return Ok(None) };
        // What is read from here on nobody deletes who has not taken the note away.
        let mut merged = ParquetFile::new()?;
        for file in files {
            append(&mut merged, store.get(&file.meta.location).await?)?;
        }
        store.put(&store.path(hour, &merge.output), merged.finish()?).await?;
        Ok(Some(Merging { note, merge, version }))
    }

    /// Makes the merged file count, and removes the others. False when the note was taken away:
    /// then nothing has happened.
    pub(crate) async fn finish(&self, merging: Merging) -> Result<bool, Error> {
        let Merging { note, merge, version } = merging;
        let merge = Merge { done: true, ..merge };
        // Queries list the files either before this or after it.
        let _layout = self.0.layout.write().await;
        let condition = If::Still(version);
        let done = self.0.store.put_if(&note, serde_json::to_vec(&merge)?, condition).await?;
        let Some(version) = done else { return Ok(false) };
        self.settle(&note, &merge, version).await?;
        Ok(true)
    }

    /// What follows once a merging is done. Doing it again, or twice at a time, changes nothing.
    async fn settle(
        &self,
        note: &Path,
        merge: &Merge,
        version: UpdateVersion,
    ) -> Result<(), Error> {
        let store = &self.0.store;
        self.0.replaced.fetch_add(1, Ordering::SeqCst);
        store.mark(note, merge).await?;
        for name in &merge.inputs {
            store.remove(&sibling(note, name)).await?;
        }
        store.put_if(note, Vec::new(), If::Still(version)).await.map(|_| ())
    }

    /// Ends a merging that an earlier process, or an earlier owner, began.
    pub(crate) async fn resume(&self, noted: Noted) -> Result<(), Error> {
        let Noted { note, merge, version } = noted;
        let store = &self.0.store;
        let _layout = self.0.layout.write().await;
        let Some(version) = version else { return self.resume_older(&note, &merge).await };
        if merge.done {
            return self.settle(&note, &merge, version).await;
        }
        if store.put_if(&note, Vec::new(), If::Still(version)).await?.is_some() {
            store.remove(&sibling(&note, &merge.output)).await?;
        }
        Ok(())
    }

    /// Ends a merging of a release whose merged files counted without a mark.
    async fn resume_older(&self, note: &Path, merge: &Merge) -> Result<(), Error> {
        let unwanted =
            if merge.done { merge.inputs.as_slice() } else { std::slice::from_ref(&merge.output) };
        self.0.replaced.fetch_add(1, Ordering::SeqCst);
        for name in unwanted {
            self.0.store.delete(&sibling(note, name)).await?;
        }
        self.0.store.delete(note).await
    }
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
