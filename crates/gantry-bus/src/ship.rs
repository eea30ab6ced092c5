//! Takes a gateway's journal away, segment by segment.
//!
//! Roles start it with the kit of `gantry-runtime`, under a shutdown that begins after the last
//! record was written. A segment is deleted only when the receiver has it; sending one twice does
//! no harm. One that it will never take is set aside as `NAME.refused`.

use crate::records::{Records, Refused, Segment};
use bytes::Bytes;
use gantry_runtime::reconcile::{AtShutdown, Backoff, Failure, Next, Plan, Reconcile};
use gantry_telemetry::journal::{self, Reader};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(2);

/// A receiver that is away is asked so often at the most: its return must not wait for long.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Offers all sealed segments to the receiver.
pub struct Shipper<R> {
    receiver: R,
    journal: Reader,
    journal_dir: PathBuf,
}

/// What is left undone.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("read the segment {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Refused(Refused),
}

impl<R> Shipper<R> {
    /// How it is to be run.
    pub const PLAN: Plan = Plan {
        name: "ship-records",
        period: PERIOD,
        backoff: Backoff { first: PERIOD, max: PAUSE_MAX },
        at_shutdown: AtShutdown::LastPass,
    };

    #[must_use]
    pub fn new(receiver: R, journal_dir: &Path) -> Self {
        let journal_dir = journal_dir.to_owned();
        Self { receiver, journal: Reader::new(&journal_dir), journal_dir }
    }
}

impl<R: Records> Shipper<R> {
    async fn round(&self) -> Result<(), Error> {
        for segment in self.journal.segments()?.into_iter().filter(|segment| segment.sealed) {
            let path = self.journal_dir.join(format!("{}.seg", segment.name));
            let body = std::fs::read(&path);
            let body = body.map_err(|source| Error::Read { path: path.clone(), source })?;
            let name = segment.name.clone();
            match self.receiver.accept(Segment { name, body: Bytes::from(body) }).await {
                Ok(()) => self.journal.delete(&segment.name)?,
                Err(Refused::ForGood(why)) => {
                    self.journal.set_aside(&segment.name)?;
                    let file = path.with_extension("refused");
                    let file = file.display();
                    tracing::error!(%file, why, "records were refused; they lie in this file");
                }
                Err(refused @ Refused::ForNow(_)) => return Err(Error::Refused(refused)),
            }
        }
        Ok(())
    }
}

impl<R: Records> Reconcile for Shipper<R> {
    async fn pass(&mut self) -> Result<Next, Failure> {
        self.round().await?;
        Ok(Next::Rest)
    }

    fn trouble(&self) -> &'static str {
        "records wait in the journal"
    }

    fn relief(&self) -> &'static str {
        "records are taken again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::ControlPlane;
    use crate::http_records::HttpRecords;
    use gantry_runtime::clock::Clock;
    use gantry_runtime::reconcile::Kit;
    use gantry_runtime::tasks::Shutdown;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with a status.
    async fn answer(listener: &TcpListener, status: &str) {
        let (mut caller, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"segment") {
            assert_ne!(caller.read_buf(&mut read).await.unwrap(), 0);
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        caller.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_segment_goes_when_it_was_taken_and_is_kept_when_it_was_not() {
        for (status, taken, left) in [
            ("204 No Content", true, None),
            ("400 Bad Request", true, Some("a-1.refused")),
            ("503 Service Unavailable", false, Some("a-1.seg")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("a-1.seg"), "a segment").unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let receiver = HttpRecords(ControlPlane::new(&url, "token").unwrap());
            let shipper = Shipper::new(receiver, dir.path());
            let (round, ()) = tokio::join!(shipper.round(), answer(&listener, status));
            assert_eq!(round.is_ok(), taken, "{status}");
            let files = std::fs::read_dir(dir.path()).unwrap();
            let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            assert_eq!(files, Vec::from_iter(left), "{status}");
        }
    }

    /// Takes segments, after as many refusals as it is told.
    #[derive(Clone, Default)]
    struct Memory {
        refuses: Arc<Mutex<usize>>,
        names: Arc<Mutex<Vec<String>>>,
    }

    impl Records for Memory {
        async fn accept(&self, segment: Segment) -> Result<(), Refused> {
            let mut refuses = self.refuses.lock().unwrap();
            if *refuses > 0 {
                *refuses -= 1;
                return Err(Refused::ForNow("not now".to_owned()));
            }
            self.names.lock().unwrap().push(segment.name);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sealed_last_is_taken_before_the_end_also_when_the_first_try_fails() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = Memory::default();
        let shutdown = Shutdown::default();
        let kit = Kit::new(Clock::manual(0), shutdown.clone(), 1);
        kit.start(Shipper::<Memory>::PLAN, Shipper::new(receiver.clone(), dir.path()));
        while kit.board().statuses()[0].runs == 0 {
            tokio::task::yield_now().await;
        }
        *receiver.refuses.lock().unwrap() = 2;
        for name in ["a-1", "a-2"] {
            std::fs::write(dir.path().join(format!("{name}.seg")), "a segment").unwrap();
        }
        shutdown.begin();
        assert_eq!(shutdown.drained(Duration::from_secs(60)).await, 0);
        assert_eq!(*receiver.names.lock().unwrap(), ["a-1", "a-2"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
