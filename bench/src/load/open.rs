//! Load at a fixed rate, whether or not earlier requests are answered.
//!
//! Latency counts from the moment a request was due, so a stall shows in every request that it
//! delays (no coordinated omission: Gil Tene, "How NOT to Measure Latency"). One thread sends at
//! the due times with timers finer than those of tokio, one reads. Nothing here spins: the mock
//! upstream may share the core.

use super::reply::Reply;
use super::{Job, Mark};
use crate::detach;
use crate::spec::Outcome;
use hdrhistogram::Histogram;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

/// Longest wait for a free connection and, at the end, for the last answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before looking again for a free connection.
const BUSY_PAUSE: Duration = Duration::from_micros(50);
/// Longest latency that is told apart, in microseconds: one minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// One connection: the sender writes, the reader reads.
struct Lane {
    socket: TcpStream,
    /// When the request in flight was due, in microseconds since the start plus 1; 0 when free.
    due_us: AtomicU64,
}

/// What sender and reader share.
struct Shared {
    start: Instant,
    lanes: Vec<Arc<Lane>>,
    latencies: Mutex<Histogram<u64>>,
    job: Arc<Job>,
}

/// Measures at `per_second` requests a second.
pub(super) fn run(job: &Arc<Job>, per_second: u32) -> io::Result<Outcome> {
    // Timers of this thread may be late by 50 us otherwise; failing leaves them so.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let latencies = Histogram::new_with_max(LATENCY_MAX_US, 3).map_err(io::Error::other)?;
    let lanes = (0..job.spec.connections).map(|_| lane(&job.spec.target));
    let shared = Arc::new(Shared {
        start: Instant::now(),
        lanes: lanes.collect::<io::Result<_>>()?,
        latencies: Mutex::new(latencies),
        job: job.clone(),
    });
    let (ready, started) = sync_channel(1);
    // The ends of this channel wake nobody: it is the sender's timer.
    let (_never, timer) = sync_channel(1);
    let reading = shared.clone();
    std::thread::spawn(move || {
        let served = crate::on_one_thread(async move {
            for lane in &reading.lanes {
                let stream = tokio::net::TcpStream::from_std(lane.socket.try_clone()?)?;
                detach(read(reading.clone(), lane.clone(), stream));
            }
            let _ = ready.send(());
            std::future::pending::<io::Result<()>>().await
        });
        if let Err(error) = served {
            eprintln!("gantry-bench: {error}");
        }
    });
    started.recv().map_err(io::Error::other)?;
    Sender { shared: &shared, timer, next: 0 }.send_all(per_second)
}

fn lane(target: &str) -> io::Result<Arc<Lane>> {
    let socket = TcpStream::connect(target)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(Arc::new(Lane { socket, due_us: AtomicU64::new(0) }))
}

struct Sender<'a> {
    shared: &'a Shared,
    timer: Receiver<()>,
    /// The connection to try next.
    next: usize,
}

impl Sender<'_> {
    fn send_all(&mut self, per_second: u32) -> io::Result<Outcome> {
        let spec = &self.shared.job.spec;
        let gap = Duration::from_secs(1) / per_second.max(1);
        let count = |ms: u64| ms * u64::from(per_second) / 1000;
        let mut due = Instant::now();
        self.send_many(count(spec.warm_ms), gap, &mut due)?;
        self.latencies().clear();
        let begin = Mark::now(&self.shared.job)?;
        self.send_many(count(spec.measure_ms), gap, &mut due)?;
        let end = Mark::now(&self.shared.job)?;
        self.wait_for_answers();
        let latencies = self.latencies();
        Ok(Outcome {
            p50_us: Some(latencies.value_at_quantile(0.5)),
            p99_us: Some(latencies.value_at_quantile(0.99)),
            max_us: Some(latencies.max()),
            ..begin.until(&end, &self.shared.job)
        })
    }

    fn send_many(&mut self, count: u64, gap: Duration, due: &mut Instant) -> io::Result<()> {
        for _ in 0..count {
            self.pause(due.saturating_duration_since(Instant::now()));
            let lane = self.free_lane()?;
            let due_us = due.saturating_duration_since(self.shared.start).as_micros();
            lane.due_us.store(u64::try_from(due_us).unwrap_or(u64::MAX) + 1, Ordering::Release);
            // The request fits into the empty send buffer, so this never waits.
            if let Err(error) = (&lane.socket).write_all(&self.shared.job.prepared.bytes) {
                self.shared.job.totals.add_error(format!("write: {error}"));
            }
            *due += gap;
        }
        Ok(())
    }

    fn pause(&self, time: Duration) {
        if !time.is_zero() {
            let waited = self.timer.recv_timeout(time);
            debug_assert_eq!(waited, Err(RecvTimeoutError::Timeout));
        }
    }

    fn free_lane(&mut self) -> io::Result<Arc<Lane>> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let after = self.shared.lanes.iter().enumerate().skip(self.next);
            let around = after.chain(self.shared.lanes.iter().enumerate().take(self.next));
            let mut free = around.filter(|(_, lane)| lane.due_us.load(Ordering::Acquire) == 0);
            if let Some((index, lane)) = free.next() {
                self.next = (index + 1) % self.shared.lanes.len();
                return Ok(lane.clone());
            }
            self.pause(BUSY_PAUSE);
        }
        Err(io::Error::other("no connection was answered for 5 seconds"))
    }

    fn wait_for_answers(&self) {
        let since = Instant::now();
        let busy = |lane: &Arc<Lane>| lane.due_us.load(Ordering::Acquire) != 0;
        while self.shared.lanes.iter().any(busy) && since.elapsed() < PATIENCE {
            self.pause(Duration::from_millis(1));
        }
        let left = self.shared.lanes.iter().filter(|lane| busy(lane)).count();
        for _ in 0..left {
            self.shared.job.totals.add_error("no answer within 5 seconds".into());
        }
    }

    fn latencies(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.shared.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(shared: Arc<Shared>, lane: Arc<Lane>, mut stream: tokio::net::TcpStream) {
    let totals = &shared.job.totals;
    let mut buffer = vec![0; 16 * 1024];
    let mut reply = Reply::new(shared.job.prepared.expect);
    loop {
        let count = match stream.read(&mut buffer).await {
            Ok(0) => return totals.add_error("the connection was closed".into()),
            Ok(count) => count,
            Err(error) => return totals.add_error(format!("read: {error}")),
        };
        match reply.feed(buffer.get(..count).unwrap_or_default()) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(wrong) => return totals.add_error(wrong),
        }
        let now_us = u64::try_from(shared.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due_us = lane.due_us.swap(0, Ordering::AcqRel).saturating_sub(1);
        let mut latencies = shared.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.saturating_record(now_us.saturating_sub(due_us));
        drop(latencies);
        totals.requests.fetch_add(1, Ordering::Relaxed);
        reply = Reply::new(shared.job.prepared.expect);
    }
}
