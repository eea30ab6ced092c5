//! The numbers behind `/metrics`.
//!
//! The recorder's writer thread calls [`Metrics::observe`] once per record; request threads touch
//! only the atomics of [`Live`]. Label values are bounded: once there are as many label sets as
//! allowed, new ones are counted under `other`. It never locks on a request thread.

mod histogram;
mod labels;
mod series;
mod tasks;
#[cfg(test)]
mod tests;
mod text;

pub use labels::{BadLabels, MetadataLabels};

use crate::names::{self, DropReason};
use gantry_model::record::RequestRecord;
use gantry_runtime::reconcile::Board;
use series::Tables;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Label sets (model, tenant, username, metadata) that are kept apart when nothing else is said.
///
/// One set has about 70 lines of 130 bytes, so 500 of them make a page of under 5 MB.
pub const LABEL_SETS_MAX: usize = 500;

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    live: Live,
    tables: Mutex<Tables>,
    /// Set once, by processes that have background work.
    tasks: OnceLock<Board>,
}

/// Values that other threads than the writer change.
#[derive(Debug, Default)]
struct Live {
    open_streams: AtomicI64,
    generation: AtomicU64,
    config_failures: AtomicU64,
    queue_depth: AtomicU64,
    queue_bytes: AtomicU64,
    recorder_alive: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    written: AtomicU64,
    journal_bytes: AtomicU64,
    journal_errors: AtomicU64,
    journal_lost_bytes: AtomicU64,
    journal_damaged: AtomicU64,
    sampled_out: AtomicU64,
    spans_exported: AtomicU64,
    lake_rows: AtomicU64,
    lake_errors: AtomicU64,
    lake_owner: AtomicU64,
    lake_expired: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(LABEL_SETS_MAX, &MetadataLabels::default())
    }
}

impl Metrics {
    /// Keeps at most `label_sets_max` label sets apart; the rest is counted under `other`.
    #[must_use]
    pub fn new(label_sets_max: usize, metadata: &MetadataLabels) -> Self {
        let tables = Mutex::new(Tables::new(label_sets_max, metadata));
        Self { live: Live::default(), tables, tasks: OnceLock::new() }
    }

    /// Shows how background work does. Only the first list is taken: a process has one.
    pub fn show_tasks(&self, tasks: Board) {
        let _ = self.tasks.set(tasks);
    }

    /// Counts one finished request. For the writer thread: it locks and may allocate.
    pub fn observe(&self, record: &RequestRecord) {
        self.tables().observe(record);
    }

    /// Counts a stream as open until the returned value is dropped.
    #[must_use]
    pub fn stream_opened(self: &Arc<Self>) -> OpenStream {
        self.live.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(self.clone())
    }

    /// States which snapshot requests are served with.
    pub fn set_snapshot_generation(&self, generation: u64) {
        self.live.generation.store(generation, Ordering::Relaxed);
    }

    /// Counts a configuration or snapshot that could not be read.
    pub fn config_parsing_failed(&self) {
        self.live.config_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts records or spans that were lost.
    pub fn dropped(&self, reason: DropReason, count: u64) {
        if let Some(counter) = self.live.dropped.get(reason as usize) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many records or spans were lost for `reason` so far.
    #[must_use]
    pub fn dropped_so_far(&self, reason: DropReason) -> u64 {
        self.live.dropped.get(reason as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Counts records moved into Parquet.
    pub fn lake_ingested(&self, rows: u64) {
        self.live.lake_rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Counts a failed round of ingestion or compaction.
    pub fn lake_failed(&self) {
        self.live.lake_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// States whether this process is the one that merges and deletes the lake's files.
    pub fn set_lake_owner(&self, owner: bool) {
        self.live.lake_owner.store(u64::from(owner), Ordering::Relaxed);
    }

    /// Counts files of the lake that were deleted because of their age or size.
    pub fn lake_expired(&self, files: u64) {
        self.live.lake_expired.fetch_add(files, Ordering::Relaxed);
    }

    /// Counts a journal segment of which so many bytes could not be read.
    pub fn journal_damaged(&self, bytes: u64) {
        self.live.journal_damaged.fetch_add(1, Ordering::Relaxed);
        self.journal_torn(bytes);
    }

    /// Counts bytes at the end of a journal segment whose write was cut off.
    pub(crate) fn journal_torn(&self, bytes: u64) {
        self.live.journal_lost_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts refused requests without a caller that leave no record.
    pub(crate) fn sampled_out(&self) {
        self.live.sampled_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_queue(&self, records: u64, bytes: u64) {
        self.live.queue_depth.store(records, Ordering::Relaxed);
        self.live.queue_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_recorder_alive(&self, alive: bool) {
        self.live.recorder_alive.store(u64::from(alive), Ordering::Relaxed);
    }

    pub(crate) fn journal_wrote(&self, records: u64, bytes: u64) {
        self.live.written.fetch_add(records, Ordering::Relaxed);
        self.live.journal_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn journal_failed(&self) {
        self.live.journal_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts spans that a receiver accepted.
    pub fn spans_exported(&self, count: u64) {
        self.live.spans_exported.fetch_add(count, Ordering::Relaxed);
    }

    /// The page for `/metrics`, in Prometheus' text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = text::Page::default();
        self.tables().render(&mut page);
        self.live.render(&mut page);
        tasks::render(&self.tasks.get().map(Board::statuses).unwrap_or_default(), &mut page);
        page.into_string()
    }

    /// A poisoned lock only means that a count may be off by one, so the numbers stay in use.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn render(&self, page: &mut text::Page) {
        page.single(names::OPEN_STREAMS, self.open_streams.load(Ordering::Relaxed));
        page.head(names::RECORDS_DROPPED);
        for (reason, count) in DropReason::ALL.iter().zip(&self.dropped) {
            let labels = [("reason", reason.as_str())];
            page.sample(names::RECORDS_DROPPED.name, &labels, count.load(Ordering::Relaxed));
        }
        for (metric, value) in [
            (names::GENERATION, &self.generation),
            (names::CONFIG_FAILURES, &self.config_failures),
            (names::QUEUE_DEPTH, &self.queue_depth),
            (names::QUEUE_BYTES, &self.queue_bytes),
            (names::RECORDER_ALIVE, &self.recorder_alive),
            (names::RECORDS_WRITTEN, &self.written),
            (names::JOURNAL_BYTES, &self.journal_bytes),
            (names::JOURNAL_ERRORS, &self.journal_errors),
            (names::JOURNAL_LOST_BYTES, &self.journal_lost_bytes),
            (names::JOURNAL_DAMAGED, &self.journal_damaged),
            (names::SAMPLED_OUT, &self.sampled_out),
            (names::SPANS_EXPORTED, &self.spans_exported),
            (names::LAKE_ROWS, &self.lake_rows),
            (names::LAKE_ERRORS, &self.lake_errors),
            (names::LAKE_OWNER, &self.lake_owner),
            (names::LAKE_EXPIRED, &self.lake_expired),
        ] {
            page.single(metric, value.load(Ordering::Relaxed));
        }
    }
}

/// One open stream; dropping it closes the count.
#[derive(Debug)]
pub struct OpenStream(Arc<Metrics>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.live.open_streams.fetch_sub(1, Ordering::Relaxed);
    }
}
