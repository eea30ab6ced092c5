//! Frames: how records stand in a segment. Used by the journal's writer and reader.

use super::payload;
use gantry_model::record::RequestRecord;
use std::io::{self, Read};

/// First bytes of each segment: the format, and its version as the last byte.
///
/// In version 1 payloads are JSON, in version 2 MessagePack with names as keys, in version 3 with
/// numbers for them. All are read; the last is written.
pub const MAGIC: [u8; 8] = *b"GJRNL\0\0\x03";

/// The oldest version, whose payloads are JSON.
const VERSION_JSON: u8 = 1;

/// Length and checksum before each payload, in bytes.
pub const HEADER_BYTES: usize = 8;

/// Longest payload, in bytes.
///
/// Larger than any request and answer that the gateway keeps; a longer length in a file is damage.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// A file is read in pieces of this many bytes, about 500 records.
const PIECE_BYTES: usize = 256 << 10;

/// What the first bytes of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Readable,
    /// A segment of a later version of Gantry.
    Newer,
    /// No segment.
    Foreign,
}

impl Format {
    /// Looks at the beginning of a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let [format @ .., current] = MAGIC;
        match bytes.strip_prefix(&format).and_then(<[u8]>::first) {
            Some(version) if *version > current => Self::Newer,
            Some(VERSION_JSON..) => Self::Readable,
            _ => Self::Foreign,
        }
    }
}

/// The record is too large for a frame.
#[derive(Debug, thiserror::Error)]
#[error("frame a record of {bytes} bytes, the most is {PAYLOAD_BYTES_MAX}")]
pub struct TooLarge {
    pub bytes: usize,
}

/// Appends one frame to `batch`; on an error `batch` stays as it was.
///
/// # Errors
/// See [`TooLarge`].
pub fn append(batch: &mut Vec<u8>, record: &RequestRecord) -> Result<(), TooLarge> {
    let start = batch.len();
    batch.extend_from_slice(&[0; HEADER_BYTES]);
    payload::append(batch, record);
    let result = fill_header(batch, start);
    if result.is_err() {
        batch.truncate(start);
    }
    result
}

fn fill_header(batch: &mut [u8], start: usize) -> Result<(), TooLarge> {
    let (header, payload) = batch
        .get_mut(start..)
        .unwrap_or_default()
        .split_at_mut_checked(HEADER_BYTES)
        .unwrap_or_default();
    let bytes = payload.len();
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= PAYLOAD_BYTES_MAX);
    let length = length.ok_or(TooLarge { bytes })?;
    let numbers = length.to_le_bytes().into_iter().chain(crc32fast::hash(payload).to_le_bytes());
    for (slot, byte) in header.iter_mut().zip(numbers) {
        *slot = byte;
    }
    Ok(())
}

/// Reads the whole frames of a segment one after the other, in little memory.
///
/// A frame that ends after the file's end, has length 0 (a file system that lost a write leaves
/// zeros) or more than [`PAYLOAD_BYTES_MAX`], ends the segment. One whose checksum fails is skipped
/// if a whole frame follows, and is part of the torn tail if none does.
#[derive(Debug)]
pub struct Frames<R> {
    file: R,
    format: Format,
    json: bool,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    at: usize,
    /// Bytes of the file before `at`.
    passed: u64,
    whole: u64,
    damaged: u64,
    damaged_since: u64,
    /// The payload in today's form, when the segment is of an earlier version.
    converted: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// # Errors
    /// When the file cannot be read.
    pub fn new(file: R) -> io::Result<Self> {
        let mut frames = Self {
            file,
            format: Format::Foreign,
            json: false,
            buffer: Vec::new(),
            at: 0,
            passed: 0,
            whole: 0,
            damaged: 0,
            damaged_since: 0,
            converted: Vec::new(),
        };
        if frames.fill(MAGIC.len())? {
            frames.format = Format::of(&frames.buffer);
            frames.json = frames.buffer.get(MAGIC.len() - 1) == Some(&VERSION_JSON);
        }
        if frames.format == Format::Readable {
            frames.pass(MAGIC.len());
            frames.whole = frames.passed;
        }
        Ok(frames)
    }

    /// Whether the file is a segment of a version that can be read. If not, it has no frames.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where the last whole frame ends that was read; 0 when the file is no readable segment.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// Frames that were skipped because their checksum does not match.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next payload, for [`super::Cursor`]; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read.
    // A payload lies in the buffer of this reader, which an `Iterator` cannot say.
    #[expect(clippy::should_implement_trait, reason = "lends what it returns")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.format != Format::Readable {
            return Ok(None);
        }
        loop {
            let Some((length, crc)) = self.header()? else { return Ok(None) };
            if !self.fill(HEADER_BYTES + length)? {
                return Ok(None);
            }
            let start = self.at + HEADER_BYTES;
            self.pass(HEADER_BYTES + length);
            let payload = self.buffer.get(start..self.at).unwrap_or_default();
            if crc32fast::hash(payload) != crc {
                self.damaged_since += 1;
                continue;
            }
            self.whole = self.passed;
            self.damaged += std::mem::take(&mut self.damaged_since);
            return Ok(Some(self.current(start)));
        }
    }

    /// The payload between `start` and `at` in today's form. One that is no record stays as it is.
    fn current(&mut self, start: usize) -> &[u8] {
        let payload = self.buffer.get(start..self.at).unwrap_or_default();
        let earlier = self.json.then(|| serde_json::from_slice(payload));
        let Some(Ok(record)) = earlier else { return payload };
        self.converted.clear();
        payload::append(&mut self.converted, &record);
        &self.converted
    }

    /// Length and checksum of the frame that comes next.
    fn header(&mut self) -> io::Result<Option<(usize, u32)>> {
        if !self.fill(HEADER_BYTES)? {
            return Ok(None);
        }
        let header = self.buffer.get(self.at..).unwrap_or_default();
        let Some(([l0, l1, l2, l3, c0, c1, c2, c3], _)) = header.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        let crc = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        Ok(Some((length, crc)).filter(|_| (1..=PAYLOAD_BYTES_MAX).contains(&length)))
    }

    /// Moves on within the buffer.
    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        self.passed += bytes as u64;
    }

    /// Whether so many bytes follow; reads more of the file for it. The length of a damaged frame
    /// may be huge, so no memory is reserved for it.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        while self.buffer.len() - self.at < bytes {
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut piece = self.file.by_ref().take(PIECE_BYTES as u64);
            if piece.read_to_end(&mut self.buffer)? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
