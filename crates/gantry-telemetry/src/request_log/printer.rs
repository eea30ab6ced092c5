//! A thread that writes what it is given to a log which may stand still, as a paused pager does.
//!
//! The binary gives one to [`super::RequestLog`] as its output. Writing to it never waits: the
//! queue holds at most [`QUEUE_PIECES`] pieces, and lines that find it full are dropped and counted
//! (`gantry_records_dropped_total`, reason `log_queue`).

use crate::metrics::Metrics;
use crate::names::DropReason;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Most pieces that wait. A piece is what one look at the records brought, at most some 64 KiB, so
/// that a log that stands still costs at most 8 MiB.
const QUEUE_PIECES: usize = 128;

/// Longest wait for the last lines at the end of the process.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Output that never waits.
#[derive(Debug)]
pub struct Printer {
    /// Gone when the printer is being dropped.
    queue: Option<SyncSender<Vec<u8>>>,
    /// Closed by the thread when it has written everything.
    ended: Receiver<()>,
    metrics: Arc<Metrics>,
}

impl Printer {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(mut out: impl Write + Send + 'static, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (queue, pieces) = sync_channel::<Vec<u8>>(QUEUE_PIECES);
        let (ending, ended) = sync_channel::<()>(0);
        let counts = metrics.clone();
        std::thread::Builder::new().name("gantry-log".to_owned()).spawn(move || {
            let _ending = ending;
            for piece in pieces {
                // A log that nobody can read any more is no reason to stop serving.
                if out.write_all(&piece).is_err() {
                    drop_lines(&counts, &piece);
                }
            }
        })?;
        Ok(Self { queue: Some(queue), ended, metrics })
    }
}

fn drop_lines(metrics: &Metrics, lines: &[u8]) {
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    metrics.dropped(DropReason::LogQueue, count as u64);
}

impl Write for Printer {
    /// Takes whole lines, all of them or none.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let taken = self.queue.as_ref().is_some_and(|queue| queue.try_send(lines.to_vec()).is_ok());
        if !taken {
            drop_lines(&self.metrics, lines);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.queue = None;
        // Nothing is ever sent: it returns when the thread ends, or when it has waited enough.
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}
