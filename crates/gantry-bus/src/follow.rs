//! Keeps a gateway at the newest snapshot.
//!
//! Roles start it with the kit of `gantry-runtime`. When nobody answers, the gateway serves on with
//! what it has; with a file it also starts from that.

use crate::format::{Snapshot, generation};
use crate::sealed::SnapshotFile;
use crate::snapshots::Snapshots;
use gantry_runtime::errors::sentence;
use gantry_runtime::reconcile::{AtShutdown, Backoff, Failure, Next, Plan, Reconcile};
use std::sync::Arc;
use std::time::Duration;

/// Pause after a failed question: a change may not take longer than two seconds to arrive.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Puts a snapshot into use. It may keep its thread busy: it is called where that is allowed.
pub type Take = Arc<dyn Fn(&Snapshot) + Send + Sync>;

/// Brings each new snapshot to the gateway.
pub struct Follower<S> {
    source: S,
    take: Take,
    file: Option<Arc<SnapshotFile>>,
    have: Option<Arc<Snapshot>>,
}

impl<S> Follower<S> {
    /// How it is to be run: a pass waits for news itself.
    pub const PLAN: Plan = Plan {
        name: "snapshots",
        period: RETRY_PAUSE,
        backoff: Backoff::constant(RETRY_PAUSE),
        at_shutdown: AtShutdown::Drop,
    };

    #[must_use]
    pub fn new(source: S, take: Take) -> Self {
        Self { source, take, file: None, have: None }
    }

    /// Puts a snapshot into use before the first question.
    pub fn begin_with(&mut self, snapshot: Arc<Snapshot>) {
        (self.take)(&snapshot);
        self.have = Some(snapshot);
    }

    /// Keeps each snapshot in a file, and starts from what lies there, when it is usable.
    #[must_use]
    pub fn kept_in(mut self, file: SnapshotFile) -> Self {
        match file.read() {
            Ok(Some(snapshot)) => {
                let generation = generation(&snapshot);
                self.begin_with(Arc::new(snapshot));
                tracing::info!(generation, "started from the snapshot on disk");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = sentence(&error), "the snapshot on disk is not usable");
            }
        }
        self.file = Some(Arc::new(file));
        self
    }

    /// Says so when the control plane's state is an earlier one.
    fn compare(&self, snapshot: &Snapshot) {
        let had = self.have.as_deref().map_or(0, generation);
        let generation = generation(snapshot);
        if generation < had {
            tracing::warn!(
                had,
                generation,
                "the control plane went back to an earlier state, as one whose database was \
                 restored does; that state is in use now"
            );
        }
    }

    /// What puts a snapshot into use and keeps it; for a thread that may be busy for long, because
    /// a large snapshot takes seconds.
    fn putting_to_use(&self, snapshot: &Arc<Snapshot>) -> impl FnOnce() + Send + 'static + use<S> {
        let (take, file, snapshot) = (self.take.clone(), self.file.clone(), snapshot.clone());
        move || {
            take(&snapshot);
            let Some(Err(error)) = file.map(|file| file.write(&snapshot)) else { return };
            tracing::warn!(error = sentence(&error), "the snapshot was not written to disk");
        }
    }
}

impl<S: Snapshots> Reconcile for Follower<S> {
    async fn pass(&mut self) -> Result<Next, Failure> {
        if let Some(snapshot) = self.source.next(self.have.as_ref()).await? {
            self.compare(&snapshot);
            let work = self.putting_to_use(&snapshot);
            tokio::task::spawn_blocking(work).await?;
            self.have = Some(snapshot);
        }
        Ok(Next::Again)
    }

    fn trouble(&self) -> &'static str {
        match self.have {
            Some(_) => "no news from the control plane, serving on with the last snapshot",
            None => {
                "no snapshot from the control plane, and none on disk: every request is refused \
                 until one comes"
            }
        }
    }

    fn relief(&self) -> &'static str {
        "the control plane answers again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalSnapshots;
    use gantry_model::ids::Generation;
    use gantry_runtime::clock::Clock;
    use gantry_runtime::reconcile::{Kit, OnPeriod};
    use gantry_runtime::tasks::{Shutdown, spawn};
    use tokio::sync::{mpsc, watch};

    fn state(generation: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot { generation: Generation(generation), ..Snapshot::default() })
    }

    fn taking() -> (Take, mpsc::Receiver<u64>) {
        let (sender, taken) = mpsc::channel(8);
        (Arc::new(move |snapshot| sender.try_send(generation(snapshot)).unwrap()), taken)
    }

    #[tokio::test]
    async fn each_state_is_put_into_use_once_also_an_earlier_one() {
        let (published, following) = watch::channel(state(7));
        let (take, mut taken) = taking();
        let mut follower = Follower::new(LocalSnapshots(following), take);
        follower.begin_with(published.borrow().clone());
        let shutdown = Shutdown::default();
        let kit = Kit::new(Clock::manual(0), shutdown.clone(), 1);
        spawn("follower", kit.run(Follower::<LocalSnapshots>::PLAN, OnPeriod, follower));
        assert_eq!(taken.recv().await, Some(7));
        for generation in [8, 3, 9] {
            published.send_replace(state(generation));
            assert_eq!(taken.recv().await, Some(generation));
        }
        shutdown.begin();
        assert_eq!(taken.recv().await, None, "the end drops the follower, and none came twice");
    }

    #[test]
    fn a_start_takes_the_state_on_disk_and_passes_over_one_that_is_unusable() {
        let dir = tempfile::tempdir().unwrap();
        let file =
            |token: &str| SnapshotFile::new(dir.path().join("snapshot.sealed"), token).unwrap();
        file("tfy_a").write(&state(7)).unwrap();
        for (token, expected) in
            [("tfy_a", Ok(7)), ("tfy_b", Err(mpsc::error::TryRecvError::Empty))]
        {
            let (take, mut taken) = taking();
            let (_published, following) = watch::channel(state(1));
            let follower = Follower::new(LocalSnapshots(following), take).kept_in(file(token));
            assert_eq!(taken.try_recv(), expected);
            assert_eq!(follower.trouble().contains("serving on"), expected.is_ok());
        }
    }
}
