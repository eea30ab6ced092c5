//! Written records on their way back to the request threads, which fill them again.
//!
//! A record has a dozen texts. Made on one thread and freed on another, they cost the allocator
//! more than the record's way through the queue; filled again, they cost nothing. Used by
//! [`super::Recorder`] only.

#![expect(clippy::vec_box, reason = "a record travels in its box, it is not copied")]

use gantry_model::record::RequestRecord;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError, TryLockError};

/// Records kept for all threads; further ones are freed.
const KEPT_MAX: usize = 512;
/// Records that a thread takes at a time.
const TAKEN: usize = 32;

thread_local! {
    static MINE: RefCell<Vec<Box<RequestRecord>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Default)]
pub(super) struct Blanks(Mutex<Vec<Box<RequestRecord>>>);

impl Blanks {
    /// An empty record. It never waits for another thread.
    pub(super) fn take(&self) -> Box<RequestRecord> {
        MINE.with_borrow_mut(|mine| {
            if mine.is_empty() {
                self.fetch(mine);
            }
            let mut record = mine.pop().unwrap_or_default();
            record.empty();
            record
        })
    }

    fn fetch(&self, mine: &mut Vec<Box<RequestRecord>>) {
        let mut kept = match self.0.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(kept)) => kept.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let from = kept.len().saturating_sub(TAKEN);
        mine.extend(kept.drain(from..));
    }

    /// Gives written records back.
    pub(super) fn give(&self, written: &mut Vec<Box<RequestRecord>>) {
        if written.is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_MAX.saturating_sub(kept.len()).min(written.len());
        kept.extend(written.drain(..room));
        drop(kept);
        written.clear();
    }
}
