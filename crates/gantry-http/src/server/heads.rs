//! Closes connections on which no whole request head comes: idle ones and very slow clients.
//!
//! One timer per worker looks at all of its connections now and then; a timer for each head would
//! cost every request. Used by the server loop only.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

/// Looks without a new head before a connection is closed.
const LOOKS: u32 = 2;

/// Of the silent connections one in so many goes when descriptors have run out.
const SHED_PART: usize = 8;

/// The connections of a worker, in the order in which they came.
#[derive(Default)]
pub(super) struct Watch(RefCell<Vec<Weak<Heads>>>);

/// What is known of one connection.
pub(super) struct Heads {
    /// Requests whose head has come.
    begun: Cell<u64>,
    /// Whether one of them is being answered.
    open: Cell<bool>,
    /// `begun` at the last look.
    seen: Cell<u64>,
    /// Looks since then that found nothing new.
    quiet: Cell<u32>,
    /// Wakes the connection's task.
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// Takes a connection up.
    pub(super) fn connection(&self) -> Rc<Heads> {
        let heads = Rc::new(Heads {
            begun: Cell::new(0),
            open: Cell::new(false),
            // No number of requests: the first look takes note of the connection.
            seen: Cell::new(u64::MAX),
            quiet: Cell::new(0),
            waker: RefCell::default(),
        });
        let mut all = self.0.borrow_mut();
        // Closed ones go before it grows, so that its size follows that of the open ones.
        if all.len() == all.capacity() {
            all.retain(|heads| heads.strong_count() > 0);
            let open = all.len();
            all.reserve(open.max(1));
        }
        all.push(Rc::downgrade(&heads));
        heads
    }

    /// Wakes the tasks of all connections, so that they see the end of the drain.
    pub(super) fn wake_all(&self) {
        for heads in self.0.borrow().iter().filter_map(Weak::upgrade) {
            heads.wake_task();
        }
    }

    /// Descriptors have run out: closes the oldest of the connections on which nothing is being
    /// answered, an eighth of them at a time and at least one.
    pub(super) fn shed(&self) {
        let all = self.0.borrow();
        let silent: Vec<_> = all
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|heads| !heads.open.get() && !heads.expired())
            .collect();
        for heads in silent.iter().take(silent.len().div_ceil(SHED_PART)) {
            heads.quiet.set(LOOKS);
            heads.wake_task();
        }
    }

    /// Looks for ever. A connection without a new head is closed after `limit`, or half as long
    /// again.
    pub(super) async fn run(&self, limit: Duration) {
        loop {
            tokio::time::sleep(limit / LOOKS).await;
            self.0.borrow_mut().retain(|heads| {
                let Some(heads) = heads.upgrade() else { return false };
                heads.look();
                true
            });
        }
    }
}

impl Heads {
    /// Takes note of a request, which is being answered from now on.
    pub(super) fn begin(&self) {
        self.begun.set(self.begun.get() + 1);
        self.open.set(true);
    }

    /// The request was answered.
    pub(super) fn end(&self) {
        self.open.set(false);
    }

    fn look(&self) {
        let new = self.seen.replace(self.begun.get()) != self.begun.get();
        if new || self.open.get() {
            self.quiet.set(0);
            return;
        }
        self.quiet.set(self.quiet.get() + 1);
        if self.expired() {
            self.wake_task();
        }
    }

    fn wake_task(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The task to wake when the connection has to be closed.
    pub(super) fn wake(&self, waker: &Waker) {
        *self.waker.borrow_mut() = Some(waker.clone());
    }

    /// Whether the connection has to be closed.
    pub(super) fn expired(&self) -> bool {
        self.quiet.get() >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_descriptors_run_out_the_oldest_silent_connections_go_first() {
        let watch = Watch::default();
        let all: Vec<_> = (0..20).map(|_| watch.connection()).collect();
        let gone = || -> Vec<usize> {
            let gone = all.iter().enumerate().filter(|(_, heads)| heads.expired());
            gone.map(|(at, _)| at).collect()
        };
        all[0].begin();
        all[2].begin();
        all[2].end();
        watch.shed();
        assert_eq!(gone(), [1, 2, 3]);
        watch.shed();
        assert_eq!(gone(), [1, 2, 3, 4, 5]);
        (0..20).for_each(|_| watch.shed());
        assert_eq!(gone(), (1..20).collect::<Vec<_>>(), "never one that is being answered");
    }

    #[test]
    fn a_connection_expires_after_two_looks_without_a_head() {
        let watch = Watch::default();
        let heads = watch.connection();
        let looks = |count: u32| {
            (0..count).for_each(|_| heads.look());
            heads.expired()
        };
        assert!(!looks(2));
        heads.begin();
        assert!(!looks(5), "a request that is being answered is no idleness");
        heads.end();
        assert!(!looks(1));
        heads.begin();
        heads.end();
        assert!(!looks(2), "the first look sees the new request");
        assert!(looks(1));
    }
}
