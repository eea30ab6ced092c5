//! Forces segments to the disk on a thread of its own, because a sync may take a second.

use super::Error;
use crate::metrics::Metrics;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Waits until the disk has the names of a directory's files: a file that is new or renamed may
/// be lost with the power else, however well its bytes were synced.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> std::io::Result<()> {
    match open_dir(dir)? {
        Some(dir) => dir.sync_all(),
        None => Ok(()),
    }
}

/// A directory to be synced; `None` where the system has no such thing.
pub(super) fn open_dir(dir: &Path) -> std::io::Result<Option<File>> {
    if cfg!(unix) { File::open(dir).map(Some) } else { Ok(None) }
}

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
