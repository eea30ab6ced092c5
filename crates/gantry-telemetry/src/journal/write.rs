//! The one writer of a journal. Owned by the recorder's thread; it never panics and never waits
//! for anything but the disk.

use super::frame::{FILE_HEADER_BYTES, Format, Mark};
use super::frames::Frames;
use super::read::{OPEN, SEALED, keep_damaged, parse_name, path_of};
use super::sync::{Syncer, open_dir, sync_dir};
use super::{Error, Options, Reader, frame};
use crate::metrics::Metrics;
use crate::names::DropReason;
use gantry_model::record::RequestRecord;
use gantry_runtime::clock::Clock;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// A batch larger than this is written at once, in bytes.
const BATCH_BYTES: usize = 1 << 20;

/// How often it is looked for files set aside that are too old.
const EXPIRE_EVERY_US: u64 = 3_600 * 1_000_000;

/// Appends records to the open segment, seals it by size and age.
#[derive(Debug)]
pub struct Writer {
    options: Options,
    clock: Clock,
    metrics: Arc<Metrics>,
    syncer: Syncer,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
    /// First two parts of segment names.
    prefix: String,
    next_number: u64,
    /// Begins the frames of all segments of this writer.
    mark: Mark,
    open: Option<Open>,
    batch: Vec<u8>,
    /// Ends of the frames in `batch`.
    ends: Vec<usize>,
    /// Whether the last write or rotation failed, so that each trouble is logged once.
    troubled: bool,
    /// When files set aside were last looked for.
    expired_us: Option<u64>,
}

#[derive(Debug)]
struct Open {
    name: String,
    file: File,
    bytes: u64,
    records: u64,
    began_us: u64,
    synced_us: u64,
    dirty: bool,
    /// Whether the directory was synced since the file was made.
    named: bool,
}

impl Open {
    /// Syncs the file soon, and its name in the directory the first time.
    fn sync_soon(&mut self, syncer: &Syncer, dir: &Path) -> io::Result<()> {
        if !self.named
            && let Some(dir) = open_dir(dir)?
        {
            syncer.soon(&dir)?;
        }
        self.named = true;
        syncer.soon(&self.file)
    }
}

impl Writer {
    /// Locks the directory, cuts torn tails and seals what an earlier process left open. A segment
    /// with damage is sealed as it is; one without any record that can be read is kept aside.
    ///
    /// # Errors
    /// When the directory cannot be used or another process writes to it.
    pub fn open(options: Options, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let failed = |source| Error::Directory { dir: options.dir.clone(), source };
        std::fs::create_dir_all(&options.dir).map_err(failed)?;
        let lock = OpenOptions::new().create(true).append(true).open(options.dir.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { dir: options.dir }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        recover(&options.dir, &metrics)?;
        let mut random = [0; 8];
        // Without randomness the start time still tells processes apart.
        let _ = gantry_runtime::ids::random_bytes(&mut random);
        let [name @ .., _, _, _, _] = random;
        let [_, _, _, _, mark @ ..] = random;
        let prefix = format!("{:013}-{:08x}", clock.unix_ms(), u32::from_le_bytes(name));
        Ok(Self {
            syncer: Syncer::start(metrics.clone())?,
            options,
            clock,
            metrics,
            _lock: lock,
            prefix,
            next_number: 0,
            mark: Mark::new(u32::from_le_bytes(mark)),
            open: None,
            batch: Vec::new(),
            ends: Vec::new(),
            troubled: false,
            expired_us: None,
        })
    }

    /// Adds a record to the batch, which is written by [`Writer::commit`], or now if it is large.
    pub fn append(&mut self, record: &RequestRecord) {
        match frame::append(&mut self.batch, record, self.mark) {
            Ok(()) => self.ends.push(self.batch.len()),
            Err(error) => {
                self.metrics.dropped(DropReason::TooLarge, 1);
                tracing::warn!(error = %error, "record dropped");
            }
        }
        if self.batch.len() >= BATCH_BYTES {
            self.commit();
        }
    }

    /// Writes the batch with one call. Returns how many records are on their way to the disk;
    /// they survive the death of the process. The others are dropped and counted.
    pub fn commit(&mut self) -> usize {
        if self.ends.is_empty() {
            return 0;
        }
        let written = match self.write_batch() {
            Ok(written) => written,
            Err((written, reason, error)) => {
                let lost = self.ends.len() - written;
                self.metrics.dropped(reason, lost as u64);
                self.trouble("journal write failed, records dropped", &error);
                written
            }
        };
        if written == self.ends.len() && std::mem::take(&mut self.troubled) {
            tracing::info!("journal writes work again");
        }
        self.batch.clear();
        // One huge batch must not keep its memory for good.
        self.batch.shrink_to(4 * BATCH_BYTES);
        self.ends.clear();
        if self.open.as_ref().is_some_and(|open| open.bytes >= self.options.segment_bytes) {
            self.seal();
        }
        written
    }

    /// Does what is due by time: the sync, and sealing a segment that is old enough.
    pub fn tick(&mut self) {
        let now_us = self.clock.monotonic_us();
        self.expire(now_us);
        let Some(open) = &mut self.open else { return };
        if now_us.saturating_sub(open.began_us) >= self.options.segment_age_ms * 1_000 {
            self.seal();
            return;
        }
        if open.dirty && now_us.saturating_sub(open.synced_us) >= self.options.sync_every_ms * 1_000
        {
            open.dirty = false;
            open.synced_us = now_us;
            if let Err(error) = open.sync_soon(&self.syncer, &self.options.dir) {
                self.trouble("journal sync failed", &error);
            }
        }
    }

    /// Deletes what was set aside and is too old, now and then.
    fn expire(&mut self, now_us: u64) {
        let due = |last: u64| now_us.saturating_sub(last) >= EXPIRE_EVERY_US;
        if self.options.aside_age_ms == 0 || !self.expired_us.is_none_or(due) {
            return;
        }
        self.expired_us = Some(now_us);
        let before_ms = self.clock.unix_ms().saturating_sub(self.options.aside_age_ms);
        if let Err(error) = Reader::new(&self.options.dir).expire_aside(before_ms) {
            self.trouble("old journal segments cannot be deleted", &io::Error::other(error));
        }
    }

    /// Writes the batch and waits until the disk has everything.
    pub fn sync(&mut self) {
        self.commit();
        let Some(open) = &mut self.open else { return };
        open.dirty = false;
        let named = if open.named { Ok(()) } else { sync_dir(&self.options.dir) };
        open.named |= named.is_ok();
        if let Err(error) = open.file.sync_data().and(named) {
            self.trouble("journal sync failed", &error);
        }
    }

    /// Writes the batch, then ends the open segment, so that the lake may take it.
    pub fn seal(&mut self) {
        self.commit();
        let Some(mut open) = self.open.take() else { return };
        let dir = &self.options.dir;
        let from = path_of(dir, &open.name, OPEN);
        let to = path_of(dir, &open.name, SEALED);
        let sealed = if open.records == 0 {
            std::fs::remove_file(from)
        } else {
            open.sync_soon(&self.syncer, dir).and_then(|()| std::fs::rename(from, to))
        };
        if let Err(error) = sealed {
            // The next start of the process seals it; it is readable until then.
            self.trouble("journal rotation failed", &error);
        }
    }

    /// Records written, or records written with why the rest was not.
    fn write_batch(&mut self) -> Result<usize, (usize, DropReason, io::Error)> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin().map_err(|(reason, error)| (0, reason, error))?,
        };
        let result = write_whole_frames(&mut open, &self.batch, &self.ends);
        let (records, error) = match result {
            Ok(()) => (self.ends.len(), None),
            Err((records, error)) => (records, Some(error)),
        };
        let bytes =
            records.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| *end);
        open.bytes += bytes as u64;
        open.records += records as u64;
        open.dirty = true;
        self.metrics.journal_wrote(records as u64, bytes as u64);
        self.open = Some(open);
        match error {
            None => Ok(records),
            Some(Failed::Write(error)) => Err((records, DropReason::JournalWrite, error)),
            Some(Failed::Torn(error)) => {
                // Readers stop at the torn frame, so this segment must not be written any more.
                self.abandon();
                Err((records, DropReason::JournalWrite, error))
            }
        }
    }

    /// Gives up the open segment without writing to it.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            let dir = &self.options.dir;
            let from = path_of(dir, &open.name, OPEN);
            if let Err(error) = std::fs::rename(from, path_of(dir, &open.name, SEALED)) {
                self.trouble("journal rotation failed", &error);
            }
        }
    }

    /// Makes a new segment.
    fn begin(&mut self) -> Result<Open, (DropReason, io::Error)> {
        let failed = |error| (DropReason::JournalWrite, error);
        let used =
            Reader::new(&self.options.dir).segments().map_err(|e| failed(io::Error::other(e)))?;
        let used: u64 = used.iter().map(|segment| segment.bytes).sum();
        if used >= self.options.dir_bytes_max {
            let full = io::Error::new(io::ErrorKind::QuotaExceeded, format!("{used} bytes in use"));
            return Err((DropReason::JournalFull, full));
        }
        let name = format!("{}-{:06}", self.prefix, self.next_number);
        let path = path_of(&self.options.dir, &name, OPEN);
        let mut file =
            OpenOptions::new().create_new(true).append(true).open(&path).map_err(failed)?;
        self.next_number += 1;
        if let Err(error) = file.write_all(&self.mark.file_header()) {
            let _ = std::fs::remove_file(&path);
            return Err(failed(error));
        }
        let now_us = self.clock.monotonic_us();
        let bytes = FILE_HEADER_BYTES as u64;
        let (began_us, synced_us) = (now_us, now_us);
        Ok(Open { name, file, bytes, records: 0, began_us, synced_us, dirty: true, named: false })
    }

    fn trouble(&mut self, message: &'static str, error: &io::Error) {
        self.metrics.journal_failed();
        if !std::mem::replace(&mut self.troubled, true) {
            tracing::warn!(%error, dir = %self.options.dir.display(), "{message}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.seal();
    }
}

enum Failed {
    /// The file ends with a whole frame.
    Write(io::Error),
    /// A part of a frame could not be removed.
    Torn(io::Error),
}

/// Appends the batch. After a failure the file is cut back to the last whole frame.
fn write_whole_frames(
    open: &mut Open,
    batch: &[u8],
    ends: &[usize],
) -> Result<(), (usize, Failed)> {
    let mut done = 0;
    let error = loop {
        let rest = batch.get(done..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        match open.file.write(rest) {
            Ok(0) => break io::ErrorKind::WriteZero.into(),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    let records = ends.partition_point(|end| *end <= done);
    let kept = records.checked_sub(1).and_then(|last| ends.get(last)).map_or(0, |end| *end);
    if kept == done {
        return Err((records, Failed::Write(error)));
    }
    match open.file.set_len(open.bytes + kept as u64) {
        Ok(()) => Err((records, Failed::Write(error))),
        Err(_) => Err((records, Failed::Torn(error))),
    }
}

/// Seals open segments that an earlier process left, without the torn end that they may have.
fn recover(dir: &Path, metrics: &Metrics) -> Result<(), Error> {
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some((name, false)) = parse_name(&path) {
            recover_one(dir, &name, metrics)
                .map_err(|source| Error::Recover { segment: name, source })?;
        }
    }
    Ok(())
}

fn recover_one(dir: &Path, name: &str, metrics: &Metrics) -> io::Result<()> {
    let path = path_of(dir, name, OPEN);
    let mut frames = Frames::new(File::open(&path)?)?;
    if frames.format() == Format::Newer {
        tracing::warn!(segment = name, "a newer Gantry wrote this journal segment, it stays");
        return Ok(());
    }
    let mut records = 0;
    while frames.next()?.is_some() {
        records += 1;
    }
    match (records, frames.torn()) {
        (0, true) => std::fs::remove_file(path),
        (0, false) => {
            let bytes = std::fs::metadata(&path)?.len();
            metrics.journal_damaged(bytes);
            tracing::error!(
                segment = name,
                bytes,
                "a journal segment is damaged, it is kept aside"
            );
            keep_damaged(dir, &path, name)
        }
        (_, torn) => {
            if torn {
                cut(&path, name, frames.whole(), metrics)?;
            }
            // Whoever takes a damaged segment counts what is missing, and keeps it aside.
            std::fs::rename(path, path_of(dir, name, SEALED))
        }
    }
}

/// Cuts off what follows the last whole frame.
fn cut(path: &Path, name: &str, whole: u64, metrics: &Metrics) -> io::Result<()> {
    let bytes = std::fs::metadata(path)?.len().saturating_sub(whole);
    if bytes == 0 {
        return Ok(());
    }
    metrics.journal_torn(bytes);
    tracing::info!(segment = name, bytes, "cut the torn end of a journal segment");
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole)?;
    file.sync_data()
}
