//! One bound for the request bodies that a process holds at a time.
//!
//! `decode` takes of it as a body grows, the length that a caller declares at once; the ledger
//! holds what was taken and gives it back, whatever becomes of the request. A translated copy
//! counts too: `attempt` takes room for it before it is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of the bound.
#[derive(Debug)]
pub(crate) struct Bodies {
    held_bytes: AtomicUsize,
    bytes_max: usize,
}

impl Bodies {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { held_bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Bytes of all requests in progress.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Takes nothing when it is too much.
    fn take(&self, bytes: usize) -> bool {
        let before = self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.checked_add(bytes).is_some_and(|after| after <= self.bytes_max);
        if !fits {
            self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

/// What one request has taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    bodies: Arc<Bodies>,
    bytes: usize,
}

impl HeldBytes {
    pub(crate) fn none(bodies: &Arc<Bodies>) -> Self {
        Self { bodies: bodies.clone(), bytes: 0 }
    }

    /// Takes what is lacking to `bytes`; `false`, and nothing taken, when the bound has no room.
    #[must_use]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && !self.bodies.take(more) {
            return false;
        }
        self.bytes += more;
        true
    }

    /// Makes room for a copy of what is held, in another dialect. A request that is alone gets it,
    /// or the largest one could never be translated.
    #[must_use]
    pub(crate) fn grow_for_copy(&mut self, bytes: usize) -> bool {
        let all = bytes.saturating_add(bytes);
        if self.grow_to(all) {
            return true;
        }
        let alone = self.bodies.held_bytes() == self.bytes;
        if alone {
            self.bodies.held_bytes.fetch_add(all - self.bytes, Ordering::Relaxed);
            self.bytes = all;
        }
        alone
    }

    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.bodies.held_bytes.fetch_sub(less, Ordering::Relaxed);
            self.bytes -= less;
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing_and_what_is_dropped_comes_back() {
        let bodies = Arc::new(Bodies::new(100));
        let (mut one, mut other) = (HeldBytes::none(&bodies), HeldBytes::none(&bodies));
        assert!(one.grow_to(60) && one.grow_to(40));
        assert!(!other.grow_to(41));
        assert!(!other.grow_to(usize::MAX));
        assert_eq!(bodies.held_bytes(), 60);
        assert!(other.grow_to(40));
        assert!(!other.grow_for_copy(40), "there is another");
        one.shrink_to(10);
        assert_eq!(bodies.held_bytes(), 50);
        assert!(other.grow_for_copy(40));
        assert_eq!(bodies.held_bytes(), 90);
        drop((one, other));
        assert_eq!(bodies.held_bytes(), 0);
        let mut whole = HeldBytes::none(&bodies);
        assert!(whole.grow_to(100) && whole.grow_for_copy(100), "alone, it gets more than all");
        drop(whole);
        assert_eq!(bodies.held_bytes(), 0);
    }
}
