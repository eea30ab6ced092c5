//! Busy polling: a worker that has run out of work looks for more for a while before it sleeps.
//!
//! To wake a core that fell asleep takes tens of microseconds on a virtual machine, and a request
//! that is passed on waits for it twice. A worker that does not sleep spares its callers that, for
//! a core that is busy whenever there is traffic. Used by the server loop only; it does nothing
//! unless it was asked for, and never anything while no connection has work.

use gantry_runtime::clock::Clock;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// What is known of a worker's work.
pub(super) struct BusyPoll {
    length_us: u64,
    clock: Clock,
    /// Whether a connection had work since the last look.
    worked: Cell<bool>,
    /// Wakes the polling that has given up for now.
    sleeping: Cell<Option<Waker>>,
}

impl BusyPoll {
    /// Polling that goes on for `length` after the last work; `None` when that is no time.
    pub(super) fn new(length: Duration, clock: Clock) -> Option<Rc<Self>> {
        let length_us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        (length_us > 0).then(|| {
            Rc::new(Self { length_us, clock, worked: Cell::default(), sleeping: Cell::default() })
        })
    }

    /// Keeps the worker's runtime from sleeping while there is work; never ends. Each yield lets
    /// the runtime look once at its sockets and timers without waiting for them.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            self.work().await;
            let mut end = self.end();
            while self.clock.monotonic_us() < end {
                tokio::task::yield_now().await;
                if self.worked.take() {
                    end = self.end();
                }
            }
        }
    }

    fn end(&self) -> u64 {
        self.clock.monotonic_us().saturating_add(self.length_us)
    }

    /// Waits until a connection has work.
    async fn work(&self) {
        poll_fn(|cx| {
            if self.worked.take() {
                return Poll::Ready(());
            }
            self.sleeping.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// A connection has work.
    pub(super) fn note(&self) {
        self.worked.set(true);
        if let Some(sleeping) = self.sleeping.take() {
            sleeping.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::Context;

    const LENGTH: Duration = Duration::from_micros(200);

    /// Whether the polling wants to go on without a sleep.
    fn looks_on(run: Pin<&mut impl Future<Output = ()>>, woken: &Woken) -> bool {
        let waker = Waker::from(woken.0.clone());
        assert!(run.poll(&mut Context::from_waker(&waker)).is_pending());
        woken.0.0.swap(false, std::sync::atomic::Ordering::SeqCst)
    }

    struct Woken(std::sync::Arc<Flag>);

    struct Flag(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn looks_for_more_work_for_its_time_and_then_sleeps_until_there_is_some() {
        let clock = Clock::manual(1);
        let poller = BusyPoll::new(LENGTH, clock.clone()).unwrap();
        let woken = Woken(std::sync::Arc::new(Flag(false.into())));
        let mut run = pin!(poller.clone().run());
        assert!(!looks_on(run.as_mut(), &woken), "nothing was done yet");

        poller.note();
        assert!(woken.0.0.swap(false, std::sync::atomic::Ordering::SeqCst), "work wakes it");
        assert!(looks_on(run.as_mut(), &woken));
        clock.advance(LENGTH / 2);
        poller.note();
        assert!(looks_on(run.as_mut(), &woken));
        clock.advance(LENGTH / 2);
        assert!(looks_on(run.as_mut(), &woken), "its time began anew with the last work");
        clock.advance(LENGTH / 2);
        assert!(!looks_on(run.as_mut(), &woken), "it sleeps");
        assert!(BusyPoll::new(Duration::ZERO, clock).is_none(), "nobody asked for it");
    }
}
