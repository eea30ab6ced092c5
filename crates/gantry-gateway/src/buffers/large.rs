//! Buffers too large for each thread to keep some: a few for the whole process.
//!
//! Without them a prompt from 8 MiB on would cost several times as much a byte as a smaller one.
//! Only `buffers` uses it; it never waits for more than another thread's look at the list.

use std::sync::{Mutex, PoisonError};

/// Unused large buffers of the process, in bytes: two of the largest requests, unless the
/// configuration allows larger ones, which are not kept.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;

pub(super) static LARGE: Large = Large::new(KEPT_BYTES_MAX);

/// Unused buffers.
pub(super) struct Large {
    kept: Mutex<Vec<Vec<u8>>>,
    bytes_max: usize,
}

impl Large {
    const fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::new(Vec::new()), bytes_max }
    }

    /// The smallest that is large enough, else a new one. Sizes are powers of two, so that a buffer
    /// serves bodies of many lengths; what is not filled is not in memory.
    pub(super) fn take(&self, bytes: usize) -> Vec<u8> {
        let size = bytes.checked_next_power_of_two().unwrap_or(bytes);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= bytes);
        let best = fits.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at);
        let found = best.map(|at| kept.swap_remove(at));
        drop(kept);
        found.unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Keeps an empty one while there is room; smaller ones make room for it.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        let own = buffer.capacity();
        let mut gone = Vec::new();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let stay: usize = kept.iter().map(Vec::capacity).filter(|other| *other >= own).sum();
        if stay.saturating_add(own) > self.bytes_max {
            return;
        }
        while kept.iter().map(Vec::capacity).sum::<usize>() + own > self.bytes_max {
            let Some(at) = kept.iter().position(|other| other.capacity() < own) else { break };
            gone.push(kept.swap_remove(at));
        }
        kept.push(buffer);
        // Memory goes back to the system without the lock.
        drop(kept);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(large: &Large) -> Vec<usize> {
        let mut sizes: Vec<_> = large.kept.lock().unwrap().iter().map(Vec::capacity).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn the_smallest_that_fits_is_taken_and_what_is_kept_is_bounded() {
        let large = Large::new(3000);
        let (one, other) = (large.take(500), large.take(1000));
        let places = (one.as_ptr(), other.as_ptr());
        assert_eq!((one.capacity(), other.capacity()), (512, 1024));
        large.give(other);
        large.give(one);
        let small = large.take(400);
        assert_eq!(small.as_ptr(), places.0, "not the larger one");
        let again = large.take(600);
        assert_eq!(again.as_ptr(), places.1);
        large.give(again);
        large.give(Vec::with_capacity(2048));
        assert_eq!(sizes(&large), [2048], "the smaller one has made room");
        large.give(Vec::with_capacity(512));
        large.give(Vec::with_capacity(1024));
        assert_eq!(sizes(&large), [512, 2048], "none goes for a smaller one");
        large.give(Vec::with_capacity(4096));
        assert_eq!(sizes(&large), [512, 2048], "what cannot be kept pushes nothing out");
    }
}
