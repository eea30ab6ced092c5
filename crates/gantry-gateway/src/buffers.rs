//! Buffers for large request bodies, used again by the next request of the same thread.
//!
//! Only `decode` takes them. A fresh megabyte costs page faults, in which the kernel clears it:
//! more time than it takes to fill. A buffer comes back when the last holder of the body lets go.
//! It never keeps more than [`KEPT_BYTES_MAX`] on a thread; the few that are larger are kept by
//! [`large`] for all threads.

mod large;

use bytes::Bytes;
use large::LARGE;
use std::cell::RefCell;

/// Smaller bodies are left to the allocator, which has such memory at hand.
const BUFFER_BYTES_MIN: usize = 64 * 1024;
/// Sizes are multiples of this, so that a buffer serves bodies of about the same length.
const BUFFER_BYTES_STEP: usize = 256 * 1024;
/// Unused buffers of a thread: room for as many 1 MiB bodies as one thread has in work at a time.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

thread_local! {
    /// The one given back last stands last: it is most likely still in the processor's cache.
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A body of undeclared length gets room for so many bytes more; less would cost a read each.
const ROOM_BYTES_MIN: usize = 16 * 1024;

/// Memory for one body; given back when dropped.
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer for a body of about so many `bytes`, for which the bound of all bodies has
    /// room: it is address space until it is filled.
    pub(crate) fn take(bytes: usize) -> Self {
        if bytes < BUFFER_BYTES_MIN {
            return Self(Vec::with_capacity(bytes));
        }
        if bytes > KEPT_BYTES_MAX {
            return Self(LARGE.take(bytes));
        }
        let kept = KEPT.try_with(|kept| {
            let mut kept = kept.try_borrow_mut().ok()?;
            // Not a far larger one: it would be missed by the body that it fits.
            let fits = |buffer: &Vec<u8>| (bytes..=4 * bytes).contains(&buffer.capacity());
            match kept.iter().rposition(fits) {
                Some(at) => Some(kept.remove(at)),
                None => {
                    // Bodies of another size come now: the oldest makes room for the new one.
                    if !kept.is_empty() {
                        kept.remove(0);
                    }
                    None
                }
            }
        });
        let fresh = || Vec::with_capacity(bytes.next_multiple_of(BUFFER_BYTES_STEP));
        Self(kept.ok().flatten().unwrap_or_else(fresh))
    }

    /// Makes room for more. A full one moves into one of twice its size, whose memory was used
    /// before where one is kept.
    pub(crate) fn make_room(&mut self) {
        if self.0.capacity() - self.0.len() < ROOM_BYTES_MIN {
            let mut larger = Self::take(2 * self.0.capacity().max(ROOM_BYTES_MIN));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
    }

    /// To be filled.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() < BUFFER_BYTES_MIN {
            return;
        }
        buffer.clear();
        if buffer.capacity() > KEPT_BYTES_MAX {
            return LARGE.give(buffer);
        }
        // At the end of a thread there is nothing to give back to.
        let _ = KEPT.try_with(|kept| {
            let Ok(mut kept) = kept.try_borrow_mut() else { return };
            let bytes: usize = kept.iter().map(Vec::capacity).sum();
            if bytes + buffer.capacity() <= KEPT_BYTES_MAX {
                kept.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// Where the memory of a new buffer lies, and its size.
    fn taken(bytes: usize) -> (*const u8, usize) {
        let buffer = Buffer::take(bytes);
        (buffer.0.as_ptr(), buffer.0.capacity())
    }

    fn kept() -> Vec<usize> {
        KEPT.with_borrow(|kept| kept.iter().map(Vec::capacity).collect())
    }

    /// Other tests may have run on this thread.
    fn begin() {
        KEPT.take();
    }

    #[test]
    fn a_buffer_is_used_again_when_the_last_holder_lets_go() {
        begin();
        let mut buffer = Buffer::take(MIB);
        buffer.bytes().extend_from_slice(b"some text");
        let place = buffer.as_ref().as_ptr();
        let body = buffer.freeze();
        let part = body.slice(5..);
        drop(body);
        assert!(kept().is_empty());
        assert_eq!(part, "text");
        drop(part);
        assert_eq!(kept(), [MIB]);
        let again = Buffer::take(MIB - 1000);
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (place, 0));
    }

    #[test]
    fn keeps_no_more_than_its_limit_and_nothing_small() {
        begin();
        let many: Vec<Buffer> = (0..20).map(|_| Buffer::take(MIB)).collect();
        drop(many);
        assert_eq!(kept(), [MIB; 8]);
        drop(Buffer::take(100));
        let full = Buffer::take(KEPT_BYTES_MAX);
        // Nothing fitted the large one, so the oldest had to go.
        assert_eq!(kept(), [MIB; 7]);
        drop(full);
        assert_eq!(kept(), [MIB; 7]);
    }

    #[test]
    fn a_body_without_a_length_moves_on_as_it_comes_and_leaves_its_places_behind() {
        begin();
        let mut buffer = Buffer::take(0);
        let piece = [7; ROOM_BYTES_MIN];
        for _ in 0..64 {
            buffer.make_room();
            let before = buffer.0.capacity();
            buffer.bytes().extend_from_slice(&piece);
            assert_eq!(buffer.0.capacity(), before, "it grew on its own");
        }
        assert_eq!(kept(), [2 * BUFFER_BYTES_STEP]);
        let body = buffer.freeze();
        assert!(body.len() == MIB && body.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn none_is_too_large_to_be_used_again() {
        begin();
        let mut places = std::collections::BTreeSet::new();
        for bytes in [9 * MIB, 11 * MIB, 16 * MIB, 10 * MIB] {
            let (place, capacity) = taken(bytes);
            assert!(capacity >= bytes, "{bytes}");
            places.insert(place);
        }
        assert!(kept().is_empty());
        // Other tests may hold one of them meanwhile.
        assert!(places.len() <= 2, "{places:?}");
    }

    #[test]
    fn follows_the_sizes_that_come() {
        begin();
        drop(Buffer::take(MIB));
        assert_eq!(taken(100 * 1024).1, BUFFER_BYTES_STEP);
        assert_eq!(kept(), [BUFFER_BYTES_STEP]);
        assert_eq!(taken(2 * MIB).1, 2 * MIB);
        assert_eq!(kept(), [2 * MIB]);
    }
}
