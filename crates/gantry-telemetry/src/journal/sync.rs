//! Forces segments to the disk on a thread of its own, because a sync may take a second.

use super::Error;
use crate::metrics::Metrics;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Hands files to the sync thread; the thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Syncer {
    /// Capacity 4; when it is full the writer syncs itself, which slows it down to the disk's pace.
    files: SyncSender<File>,
}

impl Syncer {
    pub(super) fn start(metrics: Arc<Metrics>) -> Result<Self, Error> {
        let (files, received) = sync_channel(4);
        std::thread::Builder::new()
            .name("gantry-sync".to_owned())
            .spawn(move || run(&received, &metrics))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { files })
    }

    /// Syncs a copy of `file` soon; at once when the thread is behind.
    pub(super) fn soon(&self, file: &File) -> std::io::Result<()> {
        match self.files.try_send(file.try_clone()?) {
            Ok(()) => Ok(()),
            Err(_) => file.sync_data(),
        }
    }
}

fn run(files: &Receiver<File>, metrics: &Metrics) {
    for file in files {
        if let Err(error) = file.sync_data() {
            metrics.journal_failed();
            tracing::warn!(%error, "journal sync failed");
        }
    }
}
