//! Load by connections that each send again as soon as they are answered.
//!
//! Used for CPU per request and per event, where latency does not matter.

use super::reply::Reply;
use super::{Job, Mark};
use crate::detach;
use crate::spec::Outcome;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Bytes read at once; enough for any answer that is not streamed.
const READ_BYTES: usize = 8 * 1024;
/// Pause after a broken connection, so that a dead proxy does not fill the core with errors.
const BROKEN_PAUSE: Duration = Duration::from_millis(50);

/// Measures for the time of the spec, after warming up.
pub(super) async fn timed(job: Arc<Job>) -> io::Result<Outcome> {
    for index in 0..job.spec.connections {
        let stream = connect(&job).await?;
        let job = job.clone();
        detach(async move {
            // The starts are spread over 16 ms, so that streams do not tick in step.
            sleep(Duration::from_millis(u64::from(index % 16))).await;
            repeat(&job, stream, || true).await;
        });
    }
    sleep(Duration::from_millis(job.spec.warm_ms)).await;
    let begin = Mark::now(&job)?;
    sleep(Duration::from_millis(job.spec.measure_ms)).await;
    let end = Mark::now(&job)?;
    Ok(begin.until(&end, &job))
}

/// Sends `requests` in all and measures from the first to the last answer.
pub(super) async fn counted(job: Arc<Job>, requests: u64) -> io::Result<Outcome> {
    let left = Arc::new(AtomicI64::new(i64::try_from(requests).unwrap_or(i64::MAX)));
    let (done, mut ended) = mpsc::channel::<()>(1);
    let begin = Mark::now(&job)?;
    for _ in 0..job.spec.connections {
        let stream = connect(&job).await?;
        let (job, left, done) = (job.clone(), left.clone(), done.clone());
        detach(async move {
            repeat(&job, stream, || left.fetch_sub(1, Ordering::Relaxed) > 0).await;
            drop(done);
        });
    }
    drop(done);
    // Nothing is ever sent: the channel closes when the last connection has finished.
    let _ = ended.recv().await;
    let end = Mark::now(&job)?;
    Ok(begin.until(&end, &job))
}

async fn connect(job: &Job) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(&job.spec.target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn repeat(job: &Job, mut stream: TcpStream, mut more: impl FnMut() -> bool) {
    let mut buffer = vec![0; READ_BYTES];
    while more() {
        let Err(wrong) = exchange(job, &mut stream, &mut buffer).await else {
            job.totals.requests.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        job.totals.add_error(wrong);
        sleep(BROKEN_PAUSE).await;
        match connect(job).await {
            Ok(new) => stream = new,
            Err(error) => return job.totals.add_error(format!("connect: {error}")),
        }
    }
}

async fn exchange(job: &Job, stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), String> {
    stream.write_all(&job.prepared.bytes).await.map_err(|error| format!("write: {error}"))?;
    let mut reply = Reply::new(job.prepared.expect);
    loop {
        let count = stream.read(buffer).await.map_err(|error| format!("read: {error}"))?;
        if count == 0 {
            return Err("the connection was closed before the end of the answer".into());
        }
        let before = reply.events();
        let done = reply.feed(buffer.get(..count).unwrap_or_default())?;
        job.totals.events.fetch_add(reply.events() - before, Ordering::Relaxed);
        if done {
            return Ok(());
        }
    }
}
