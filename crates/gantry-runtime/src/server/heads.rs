//! Closes connections on which no whole request head comes: idle ones and very slow clients.
//!
//! One timer per worker looks at all of its connections now and then; a timer for each head, as
//! hyper has it, costs every request. Used by the server loop only.

use http_body::{Body, Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Looks without a new head before a connection is closed.
const LOOKS: u32 = 2;

/// The connections of a worker.
#[derive(Default)]
pub(super) struct Watch(RefCell<Vec<Weak<Heads>>>);

/// What is known of one connection.
pub(super) struct Heads {
    /// Requests whose head has come.
    begun: Cell<u64>,
    /// Requests that are being answered.
    open: Cell<u32>,
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
            open: Cell::new(0),
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
    /// Takes note of a request; it is being answered until the returned value is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> Open {
        self.begun.set(self.begun.get() + 1);
        self.open.set(self.open.get() + 1);
        Open(self.clone())
    }

    fn look(&self) {
        let new = self.seen.replace(self.begun.get()) != self.begun.get();
        if new || self.open.get() > 0 {
            self.quiet.set(0);
            return;
        }
        self.quiet.set(self.quiet.get() + 1);
        if self.expired()
            && let Some(waker) = self.waker.borrow().as_ref()
        {
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

/// A request that is being answered.
pub(super) struct Open(Rc<Heads>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

/// A response's body; while it lives, its request is being answered.
pub(super) struct Answering<B> {
    pub(super) body: B,
    pub(super) _open: Open,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_expires_after_two_looks_without_a_head() {
        let watch = Watch::default();
        let heads = watch.connection();
        let looks = |count: u32| {
            (0..count).for_each(|_| heads.look());
            heads.expired()
        };
        assert!(!looks(2));
        let open = heads.begin();
        assert!(!looks(5), "a request that is being answered is no idleness");
        drop(open);
        assert!(!looks(1));
        drop(heads.begin());
        assert!(!looks(2), "the first look sees the new request");
        assert!(looks(1));
    }
}
