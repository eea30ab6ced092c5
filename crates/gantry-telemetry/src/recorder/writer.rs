//! The thread behind [`super::Recorder`].

use super::sample::{Bounds, Sample};
use super::{Error, Options, Shared, Sink, weight};
use crate::journal;
use gantry_model::record::RequestRecord;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// While records come, the thread looks for more this often, so that request threads do not have
/// to wake it (a system call) and one write takes many records.
const LINGER: Duration = Duration::from_millis(4);
/// After so many empty looks the thread sleeps until it is woken.
const LOOKS: u32 = 20;
/// Longest sleep; the journal's rotation and sync by time need one now and then.
const SLEEP: Duration = Duration::from_millis(100);
/// Most records between two writes.
const BATCH_RECORDS: usize = 1024;

/// Starts the thread.
pub(super) fn start(
    options: Options,
    queue: Receiver<Box<RequestRecord>>,
    shared: Arc<Shared>,
) -> Result<Thread, Error> {
    let metrics = options.metrics;
    let journal = match options.journal {
        Some(journal) => Some(journal::Writer::open(journal, options.clock, metrics)?),
        None => None,
    };
    let written = Vec::with_capacity(BATCH_RECORDS);
    let sample = Sample::new(Bounds {
        anonymous: options.anonymous_per_minute,
        of_a_caller: options.refused_per_minute,
    });
    let mut writer = Writer { queue, journal, sample, sinks: options.sinks, shared, written };
    let handle = std::thread::Builder::new()
        .name("gantry-records".to_owned())
        .spawn(move || writer.run())
        .map_err(|source| Error::Thread { source })?;
    Ok(handle.thread().clone())
}

struct Writer {
    queue: Receiver<Box<RequestRecord>>,
    journal: Option<journal::Writer>,
    sample: Sample,
    sinks: Vec<Box<dyn Sink>>,
    shared: Arc<Shared>,
    /// Records that are done with; request threads fill them again.
    #[expect(clippy::vec_box, reason = "a record travels in its box, it is not copied")]
    written: Vec<Box<RequestRecord>>,
}

impl Writer {
    fn run(&mut self) {
        let shared = self.shared.clone();
        let _ended = Ended(&shared);
        shared.metrics.set_recorder_alive(true);
        let mut empty_looks = 0;
        loop {
            // Both are read before the queue is emptied, so what they promise is in it.
            let ticket = shared.progress.asked();
            let closing = shared.closing.load(Ordering::SeqCst);
            let (taken, disconnected) = self.drain();
            if closing || disconnected {
                self.end();
                return;
            }
            self.housekeep(ticket);
            empty_looks = if taken > 0 { 0 } else { empty_looks + 1 };
            if empty_looks < LOOKS {
                std::thread::park_timeout(LINGER);
            } else {
                self.sleep();
            }
        }
    }

    /// Takes what came in the meantime, then seals the journal and releases its lock.
    fn end(&mut self) {
        while let Ok(record) = self.queue.try_recv() {
            self.take(record);
        }
        self.commit();
        if let Some(mut journal) = self.journal.take() {
            journal.sync();
            journal.seal();
        }
        // A sink that has a thread of its own brings it to its end.
        self.sinks.clear();
        self.shared.progress.finish(u64::MAX);
    }

    /// Sync and rotation by time, and the answer to those who wait for a flush.
    fn housekeep(&mut self, ticket: u64) {
        if let Some(journal) = &mut self.journal {
            if self.shared.progress.done() < ticket {
                journal.sync();
            }
            journal.tick();
        }
        // Last: it releases those who wait.
        self.shared.progress.finish(ticket);
    }

    /// Writes what was queued when it began. Says how much that was and whether more can come.
    fn drain(&mut self) -> (usize, bool) {
        let queued = self.shared.queued_records.load(Ordering::Acquire);
        let bytes = self.shared.queued_bytes.load(Ordering::Relaxed);
        self.shared.metrics.set_queue(queued as u64, bytes as u64);
        let mut taken = 0;
        let mut disconnected = false;
        // One more than counted, because that look tells whether anybody can still send.
        while taken <= queued {
            match self.queue.try_recv() {
                Ok(record) => self.take(record),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    disconnected = true;
                    break;
                }
            }
            taken += 1;
            if taken % BATCH_RECORDS == 0 {
                self.commit();
            }
        }
        self.commit();
        (taken, disconnected)
    }

    fn take(&mut self, mut record: Box<RequestRecord>) {
        self.shared.queued_records.fetch_sub(1, Ordering::Relaxed);
        self.shared.queued_bytes.fetch_sub(weight(&record), Ordering::Relaxed);
        if self.sample.admits(&mut record) {
            if let Some(journal) = &mut self.journal {
                journal.append(&record);
            }
            self.sinks.iter_mut().for_each(|sink| sink.take(&record));
        } else {
            self.shared.metrics.sampled_out();
        }
        self.shared.metrics.observe(&record);
        self.written.push(record);
    }

    fn commit(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.commit();
        }
        self.sinks.iter_mut().for_each(|sink| sink.flush());
        self.shared.blanks.give(&mut self.written);
    }

    /// Sleeps until a record comes, a flush is asked for, or time has passed.
    fn sleep(&self) {
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.shared.queued_records.load(Ordering::Relaxed) == 0 {
            std::thread::park_timeout(SLEEP);
        }
        self.shared.asleep.store(false, Ordering::Relaxed);
    }
}

/// Releases everybody who waits, also when the thread panics.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.metrics.set_recorder_alive(false);
        if std::thread::panicking() {
            tracing::error!("the thread that writes records panicked");
            self.0.progress.give_up();
        }
    }
}

/// Which flushes were asked for and which are done; tickets count up from 1.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: u64,
    done: u64,
    gone: bool,
}

impl Progress {
    pub(super) fn ask(&self) -> u64 {
        let mut state = self.lock();
        state.asked += 1;
        state.asked
    }

    pub(super) fn wait(&self, ticket: u64, limit: Duration) -> bool {
        let waiting = |state: &mut State| state.done < ticket && !state.gone;
        let waited = self.changed.wait_timeout_while(self.lock(), limit, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.done >= ticket
    }

    fn asked(&self) -> u64 {
        self.lock().asked
    }

    fn done(&self) -> u64 {
        self.lock().done
    }

    fn finish(&self, ticket: u64) {
        let mut state = self.lock();
        if state.done < ticket {
            state.done = ticket;
            self.changed.notify_all();
        }
    }

    fn give_up(&self) {
        self.lock().gone = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
