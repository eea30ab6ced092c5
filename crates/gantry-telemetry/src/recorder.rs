//! Takes records from request threads and writes them elsewhere, on a thread of its own.
//!
//! [`Recorder::record`] is one push into a bounded queue. The writer thread counts the record in
//! the metrics, offers it to the sinks (OTLP) and appends it to the journal, all that is queued
//! with one `write`. When the queue is full, records are dropped and counted
//! (`gantry_records_dropped_total`): a request never waits and never fails because of its record.

mod blanks;
mod sample;
#[cfg(test)]
mod tests;
mod writer;

use crate::journal;
use crate::metrics::Metrics;
use crate::names::DropReason;
use blanks::Blanks;
use gantry_model::record::RequestRecord;
use gantry_runtime::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;
use writer::Progress;

/// Also gets each record, on the writer thread. It must be quick and must not wait.
pub trait Sink: Send {
    /// Takes one record.
    fn take(&mut self, record: &RequestRecord);

    /// Called when all that was queued has been taken.
    fn flush(&mut self) {}
}

impl<F: FnMut(&RequestRecord) + Send> Sink for F {
    fn take(&mut self, record: &RequestRecord) {
        self(record);
    }
}

/// What a recorder is made of.
pub struct Options {
    /// Capacity of the queue in records; beyond it records are dropped and counted.
    ///
    /// The default of 8192 holds 80 ms of 100 000 requests a second.
    pub queue_records: usize,
    /// Capacity of the queue in bytes, because records may carry bodies. Default 64 MiB.
    pub queue_bytes: usize,
    /// Without a journal, records only feed the metrics and the sinks.
    pub journal: Option<journal::Options>,
    /// Most refused requests without a caller that leave a record in one minute. Default 60.
    pub anonymous_per_minute: u32,
    /// The same of one caller, for each kind of refusal. Default 600: what a client in trouble
    /// sends is seen whole, what floods is not.
    pub refused_per_minute: u32,
    pub metrics: Arc<Metrics>,
    pub sinks: Vec<Box<dyn Sink>>,
    pub clock: Clock,
}

impl Options {
    /// The default queue, no journal, no sinks.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, clock: Clock) -> Self {
        let (queue_records, queue_bytes) = (8192, 64 << 20);
        Self {
            queue_records,
            queue_bytes,
            journal: None,
            anonymous_per_minute: 60,
            refused_per_minute: 600,
            metrics,
            sinks: Vec::new(),
            clock,
        }
    }
}

/// Why a recorder cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the request journal")]
    Journal {
        #[from]
        source: journal::Error,
    },
    #[error("start the thread that writes records")]
    Thread { source: std::io::Error },
}

/// The door for records; cheap to clone, for any thread.
///
/// When the last clone is dropped, the writer thread writes what is queued and ends; to wait for
/// that, call [`Recorder::close`].
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: SyncSender<Box<RequestRecord>>,
    shared: Arc<Shared>,
    writer: Thread,
    queue_bytes_max: usize,
}

/// What request threads and the writer thread both touch.
#[derive(Debug)]
struct Shared {
    queued_records: AtomicUsize,
    queued_bytes: AtomicUsize,
    /// Set by the writer before it sleeps for long: the next record has to wake it.
    asleep: AtomicBool,
    closing: AtomicBool,
    progress: Progress,
    metrics: Arc<Metrics>,
    blanks: Blanks,
}

impl Recorder {
    /// Opens the journal and starts the writer thread.
    ///
    /// # Errors
    /// When the journal's directory cannot be used or no thread can be started.
    pub fn start(options: Options) -> Result<Self, Error> {
        let (queue, received) = sync_channel(options.queue_records);
        let shared = Arc::new(Shared {
            queued_records: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            progress: Progress::default(),
            metrics: options.metrics.clone(),
            blanks: Blanks::default(),
        });
        let queue_bytes_max = options.queue_bytes;
        let writer = writer::start(options, received, shared.clone())?;
        Ok(Self(Arc::new(Inner { queue, shared, writer, queue_bytes_max })))
    }

    /// An empty record to fill, often one that was written before: filling it costs no memory.
    #[must_use]
    pub fn blank(&self) -> Box<RequestRecord> {
        self.0.shared.blanks.take()
    }

    /// Hands a record over. Never waits; a full queue drops the record and counts it.
    pub fn record(&self, record: Box<RequestRecord>) {
        let shared = &*self.0.shared;
        let bytes = weight(&record);
        let before = shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.0.queue_bytes_max {
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.metrics.dropped(DropReason::QueueBytes, 1);
            return;
        }
        shared.queued_records.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.0.queue.try_send(record) {
            shared.queued_records.fetch_sub(1, Ordering::Relaxed);
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let reason = match error {
                TrySendError::Full(_) => DropReason::QueueFull,
                TrySendError::Disconnected(_) => DropReason::Closed,
            };
            shared.metrics.dropped(reason, 1);
        }
        // Pairs with the fence in the writer: either it sees the record, or this sees it asleep.
        fence(Ordering::SeqCst);
        if shared.asleep.load(Ordering::Relaxed) && shared.asleep.swap(false, Ordering::Relaxed) {
            self.0.writer.unpark();
        }
    }

    /// Waits until every record handed over before is on the disk (synced). False when `limit`
    /// passed first or the writer thread is gone. Blocks the thread: not for request paths.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        let ticket = self.0.shared.progress.ask();
        self.0.writer.unpark();
        self.0.shared.progress.wait(ticket, limit)
    }

    /// As [`Recorder::flush`], then seals the journal and ends the writer thread. Records that come
    /// later, from other clones, are dropped and counted.
    #[must_use]
    pub fn close(&self, limit: Duration) -> bool {
        self.0.shared.closing.store(true, Ordering::SeqCst);
        self.flush(limit)
    }

    /// The metrics that records are counted in.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.shared.metrics
    }
}

/// Estimated memory of a record, in bytes: the bodies, and a kilobyte for the rest.
fn weight(record: &RequestRecord) -> usize {
    let body = |body: &Option<String>| body.as_ref().map_or(0, String::len);
    1024 + body(&record.request_body) + body(&record.response_body) + record.error.len()
}
