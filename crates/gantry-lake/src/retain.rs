//! What is too old, or more than may be kept, goes: whole files, the oldest hours first.
//!
//! Only the lake's owner does this, and only to files of the lake, told by their folders and names.
//! A file holds one hour, so a record may outlive its age by an hour.

use crate::store::{DataFile, HOUR_MS};
use crate::{Error, Lake};
use std::sync::atomic::Ordering;

/// A merged file that never came to count is garbage after this time, in milliseconds: who wrote it
/// has ended long before.
const ORPHAN_MS: u64 = 24 * HOUR_MS;

/// What may be kept.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Hours that ended before this time go.
    before_ms: u64,
    /// Most bytes of all files; `None` for any number.
    bytes: Option<u64>,
}

impl Lake {
    /// Deletes files by age and by size, as the configuration says, if this process owns the lake;
    /// returns how many went.
    ///
    /// # Errors
    /// When files cannot be listed or deleted. The next call goes on.
    pub async fn expire(&self) -> Result<usize, Error> {
        let mut owner = self.0.maintenance.lock().await;
        let inner = &self.0;
        if !self.owned(&mut owner).await? {
            return Ok(0);
        }
        let pending = self.pending()?;
        let listing = inner.store.list(None).await?;
        let now_ms = inner.clock.unix_ms();
        let limits = self.limits(now_ms);
        let count = expired(&listing.files, limits);
        let old = listing.files.iter().take(count).filter(|file| !pending.has(file));
        let garbage = listing.orphans.iter().filter(|file| written_before(file, now_ms));
        let gone: Vec<_> = old.chain(garbage).map(|file| &file.meta.location).collect();
        let notes = listing.idle.iter().filter(|(hour, _)| hour.end_ms() <= limits.before_ms);
        {
            // Queries list the files either before this or after it.
            let _layout = inner.layout.write().await;
            inner.replaced.fetch_add(1, Ordering::SeqCst);
            for path in &gone {
                inner.store.remove(path).await?;
            }
            for (_, note) in notes {
                inner.store.delete(note).await?;
            }
        }
        if !gone.is_empty() {
            inner.metrics.lake_expired(gone.len() as u64);
            tracing::info!(files = gone.len(), "records of the lake were too old or too many");
        }
        Ok(gone.len())
    }

    fn limits(&self, now_ms: u64) -> Limits {
        let config = &self.0.config;
        let age_ms = u64::try_from(config.retention.as_millis()).unwrap_or(u64::MAX);
        let before_ms = if age_ms == 0 { 0 } else { now_ms.saturating_sub(age_ms) };
        Limits { before_ms, bytes: Some(config.retention_bytes).filter(|bytes| *bytes > 0) }
    }
}

fn written_before(file: &DataFile, now_ms: u64) -> bool {
    let written_ms = u64::try_from(file.meta.last_modified.timestamp_millis()).unwrap_or(0);
    written_ms.saturating_add(ORPHAN_MS) <= now_ms
}

/// How many of the files go, which are sorted by their hours.
fn expired(files: &[DataFile], limits: Limits) -> usize {
    let old = files.iter().take_while(|file| file.hour.end_ms() <= limits.before_ms).count();
    let Some(bytes_max) = limits.bytes else { return old };
    let mut bytes: u64 = files.iter().map(|file| file.meta.size).sum();
    let mut large = 0;
    for file in files {
        if bytes <= bytes_max {
            break;
        }
        bytes -= file.meta.size;
        large += 1;
    }
    old.max(large)
}
