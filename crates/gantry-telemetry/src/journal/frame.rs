//! Frames: how records stand in a segment. Used by the journal's writer; [`super::frames`] reads.
//!
//! A segment of the present version begins with [`MAGIC`], the segment's mark and a CRC-32 of both.
//! Each frame begins with the mark again, so that a reader which met damage finds the next one. The
//! mark is random: a caller, whose bodies stand in the payloads, cannot write one. A later version
//! keeps this beginning, so that a damaged version is told from a later one.

use super::payload;
use gantry_model::record::RequestRecord;

/// First bytes of each segment: the format, and its version as the last byte.
///
/// In version 1 payloads are JSON, in version 2 MessagePack with names as keys, in version 3 with
/// numbers for them. Up to version 3 frames have no mark. All are read; the last is written.
pub const MAGIC: [u8; 8] = *b"GJRNL\0\0\x04";

/// The last version whose frames have no mark.
pub(super) const VERSION_PLAIN: u8 = 3;

/// Magic, mark, and the checksum of both, in bytes.
pub const FILE_HEADER_BYTES: usize = 16;

/// Mark, checksum and length before each payload, in bytes.
pub const HEADER_BYTES: usize = 12;

/// Longest payload, in bytes.
///
/// Larger than any request and answer that the gateway keeps; a longer length in a file is damage.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// What the first bytes of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Readable,
    /// A segment of a later version of Gantry.
    Newer,
    /// No segment, or one whose beginning is damaged.
    Foreign,
}

impl Format {
    /// Looks at the beginning of a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let [format @ .., current] = MAGIC;
        let Some(version) = bytes.strip_prefix(&format).and_then(<[u8]>::first) else {
            return Self::Foreign;
        };
        match *version {
            0 => Self::Foreign,
            version if version <= current => Self::Readable,
            _ if bytes.len() < FILE_HEADER_BYTES || header_mark(bytes).is_some() => Self::Newer,
            _ => Self::Foreign,
        }
    }
}

/// What the frames of a segment begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub(super) [u8; 4]);

impl Mark {
    /// Begins no value of MessagePack and stands in no UTF-8 text.
    pub(super) const FIRST: u8 = 0xc1;

    /// A mark from random bits.
    #[must_use]
    pub fn new(random: u32) -> Self {
        let [a, b, c, _] = random.to_le_bytes();
        Self([Self::FIRST, a, b, c])
    }

    /// What a segment with this mark begins with.
    #[must_use]
    pub fn file_header(self) -> [u8; FILE_HEADER_BYTES] {
        let [m0, m1, m2, m3] = self.0;
        let [g0, g1, g2, g3, g4, g5, g6, g7] = MAGIC;
        let sum = crc32fast::hash(&[g0, g1, g2, g3, g4, g5, g6, g7, m0, m1, m2, m3]);
        let [s0, s1, s2, s3] = sum.to_le_bytes();
        [g0, g1, g2, g3, g4, g5, g6, g7, m0, m1, m2, m3, s0, s1, s2, s3]
    }
}

/// The mark in a segment's beginning; `None` when that is damaged or of an early version.
pub(super) fn header_mark(bytes: &[u8]) -> Option<Mark> {
    let (marked, rest) = bytes.split_at_checked(FILE_HEADER_BYTES - 4)?;
    let sum = rest.first_chunk().map(|sum| u32::from_le_bytes(*sum))?;
    let mark = marked.last_chunk().map(|mark| Mark(*mark))?;
    (crc32fast::hash(marked) == sum).then_some(mark)
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
pub fn append(batch: &mut Vec<u8>, record: &RequestRecord, mark: Mark) -> Result<(), TooLarge> {
    let start = batch.len();
    batch.extend_from_slice(&[0; HEADER_BYTES]);
    payload::append(batch, record);
    let result = fill_header(batch, start, mark);
    if result.is_err() {
        batch.truncate(start);
    }
    result
}

fn fill_header(batch: &mut [u8], start: usize, Mark(mark): Mark) -> Result<(), TooLarge> {
    let bytes = batch.len().saturating_sub(start + HEADER_BYTES);
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= PAYLOAD_BYTES_MAX);
    let length = length.ok_or(TooLarge { bytes })?;
    let frame = batch.get_mut(start..).unwrap_or_default();
    if let Some((head, summed)) = frame.split_first_chunk_mut() {
        // The checksum is over the length too, which stands right before the payload.
        if let Some(slot) = summed.first_chunk_mut() {
            *slot = length.to_le_bytes();
        }
        let [m0, m1, m2, m3] = mark;
        let [s0, s1, s2, s3] = crc32fast::hash(summed).to_le_bytes();
        *head = [m0, m1, m2, m3, s0, s1, s2, s3];
    }
    Ok(())
}
