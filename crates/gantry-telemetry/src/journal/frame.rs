//! Frames: how one record stands in a segment. Pure; used by the journal's writer and reader.

use super::crc::crc32;
use std::ops::Range;

/// First bytes of each segment: format and version.
pub const MAGIC: [u8; 8] = *b"GJRNL\0\0\x01";

/// Length and checksum before each payload, in bytes.
pub const HEADER_BYTES: usize = 8;

/// Longest payload, in bytes.
///
/// Larger than any request and answer that the gateway keeps; a longer length in a file is damage.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// The record is too large for a frame, or could not be printed as JSON.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("frame a record of {bytes} bytes, the most is {PAYLOAD_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("print a record as JSON")]
    Json { source: serde_json::Error },
}

/// Appends one frame to `batch`; on an error `batch` stays as it was.
///
/// # Errors
/// See [`EncodeError`].
pub fn append(batch: &mut Vec<u8>, record: &impl serde::Serialize) -> Result<(), EncodeError> {
    let start = batch.len();
    batch.extend_from_slice(&[0; HEADER_BYTES]);
    let result = serde_json::to_writer(&mut *batch, record)
        .map_err(|source| EncodeError::Json { source })
        .and_then(|()| fill_header(batch, start));
    if result.is_err() {
        batch.truncate(start);
    }
    result
}

fn fill_header(batch: &mut [u8], start: usize) -> Result<(), EncodeError> {
    let (header, payload) = batch
        .get_mut(start..)
        .unwrap_or_default()
        .split_at_mut_checked(HEADER_BYTES)
        .unwrap_or_default();
    let bytes = payload.len();
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= PAYLOAD_BYTES_MAX);
    let length = length.ok_or(EncodeError::TooLarge { bytes })?;
    let numbers = length.to_le_bytes().into_iter().chain(crc32(payload).to_le_bytes());
    for (slot, byte) in header.iter_mut().zip(numbers) {
        *slot = byte;
    }
    Ok(())
}

/// What a segment's bytes hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Where the payloads of whole frames lie.
    pub payloads: Vec<Range<usize>>,
    /// Where the last whole frame ends; what follows is torn.
    pub whole: usize,
    /// Frames inside the whole part whose checksum does not match. They are skipped.
    pub damaged: u64,
}

/// Finds the whole frames of a segment.
///
/// A frame that ends after the file's end, has length 0 (a file system that lost a write leaves
/// zeros) or more than [`PAYLOAD_BYTES_MAX`], ends the scan. One whose checksum fails is skipped if
/// a whole frame follows, and is part of the torn tail if none does.
#[must_use]
pub fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    if !bytes.starts_with(&MAGIC) {
        return scan;
    }
    scan.whole = MAGIC.len();
    let mut at = scan.whole;
    let mut damaged = 0;
    while let Some((payload, matches)) = frame_at(bytes, at) {
        at = payload.end;
        if matches {
            scan.whole = at;
            scan.damaged += std::mem::take(&mut damaged);
            scan.payloads.push(payload);
        } else {
            damaged += 1;
        }
    }
    scan
}

/// The payload of the frame that starts at `at`, and whether its checksum matches.
fn frame_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, bool)> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..length)?;
    let start = at + HEADER_BYTES;
    Some((start..start + length, crc32(payload) == u32::from_le_bytes(*crc)))
}
