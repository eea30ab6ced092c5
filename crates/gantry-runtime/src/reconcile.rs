//! Background work: passes that bring something to the state that it should have, again and again.
//!
//! Whoever needs a loop beside the requests implements [`Reconcile`] and starts it with a [`Kit`].
//! The kit owns what such loops have in common: the period, activation, one pass at a time, longer
//! pauses after failures, a log line when trouble begins and ends, the end of the process, and a
//! [`Status`] for metrics and people.
//!
//! A pass takes no input: it reads the committed state anew and does what is left to do, so that a
//! lost activation delays it and costs nothing else, and a pass that was cut off is made good by
//! the next one. It must never depend on how often it runs.

mod status;
#[cfg(test)]
mod tests;
mod trigger;

pub use status::{Board, State, Status};
pub use trigger::{Activator, OnPeriod, Trigger};

use crate::clock::Clock;
use crate::errors::sentence;
use crate::ids::draw;
use crate::tasks::{Hold, Shutdown, spawn};
use status::Entry;
use std::future::Future;
use std::time::Duration;

/// Why a pass failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Work that is done pass by pass.
pub trait Reconcile: Send {
    /// Reads the present state and does what is left to do. It may be dropped at any `await` when
    /// the process ends, and then nothing may be lost.
    ///
    /// # Errors
    /// When something is left undone; the next pass comes after a pause that grows.
    fn pass(&mut self) -> impl Future<Output = Result<Next, Failure>> + Send;

    /// What a failure means to whoever runs the process; the log's line when trouble begins.
    fn trouble(&self) -> &'static str;

    /// The log's line when trouble ends.
    fn relief(&self) -> &'static str;
}

/// When the pass after a successful one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// After the period, or when activated.
    Rest,
    /// At once: the pass waited for news itself, or left some work.
    Again,
}

/// How work is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// In the log, the metrics and the status; one word or some with hyphens.
    pub name: &'static str,
    /// Between the end of a pass and the begin of the next one.
    pub period: Duration,
    pub backoff: Backoff,
    pub at_shutdown: AtShutdown,
}

/// Pauses after failed passes: the first one, doubled with each further failure up to `max`, and
/// each shortened by a random part of at most half, so that many processes do not come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The same pause each time.
    #[must_use]
    pub const fn constant(pause: Duration) -> Self {
        Self { first: pause, max: pause }
    }

    fn pause(self, failures: u64, seed: &mut u64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.saturating_pow(doublings);
        let pause = self.first.saturating_mul(factor).min(self.max);
        let half = pause / 2;
        // 16 bits of chance are finer than any timer.
        let chance = u32::from(u16::try_from(draw(seed) >> 48).unwrap_or(0));
        half + half.saturating_mul(chance) / u32::from(u16::MAX)
    }
}

/// What becomes of the work when the shutdown begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtShutdown {
    /// The pass in hand is dropped.
    Drop,
    /// The pass in hand is finished; the process waits for it.
    Finish,
    /// A pass begins after the shutdown has begun, again until one succeeds; the process waits for
    /// it. For work that must see what the process did last.
    LastPass,
}

/// Starts background work and keeps the list of it; clones share everything.
#[derive(Clone, Debug)]
pub struct Kit {
    clock: Clock,
    shutdown: Shutdown,
    board: Board,
    seed: u64,
}

impl Kit {
    /// `seed` spreads the pauses: a random number, or in tests a known one.
    #[must_use]
    pub fn new(clock: Clock, shutdown: Shutdown, seed: u64) -> Self {
        Self { clock, shutdown, board: Board::default(), seed }
    }

    /// A kit with the same list for work that ends with another shutdown than the process's, such
    /// as what may end only after the last request.
    #[must_use]
    pub fn until(&self, shutdown: &Shutdown) -> Self {
        Self { shutdown: shutdown.clone(), ..self.clone() }
    }

    /// How all work does that was started.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Starts work as a task of the current runtime. The returned value asks for a pass at once.
    pub fn start<R: Reconcile + 'static>(&self, plan: Plan, work: R) -> Activator {
        let activator = Activator::default();
        self.start_on(plan, activator.clone(), work);
        activator
    }

    /// Starts work that `trigger` activates, such as a `watch` receiver.
    pub fn start_on<R, T>(&self, plan: Plan, trigger: T, work: R)
    where
        R: Reconcile + 'static,
        T: Trigger + 'static,
    {
        spawn(plan.name, self.run(plan, trigger, work));
    }

    /// The same for work that has a thread or a runtime of its own: the returned future ends with
    /// the shutdown. The work is on the list, and the process waits for it, from this call on.
    pub fn run<R: Reconcile, T: Trigger>(
        &self,
        plan: Plan,
        trigger: T,
        work: R,
    ) -> impl Future<Output = ()> + use<R, T> {
        let hold = match plan.at_shutdown {
            AtShutdown::Drop => None,
            AtShutdown::Finish | AtShutdown::LastPass => Some(self.shutdown.hold()),
        };
        let (entry, number) = self.board.enter(plan.name, plan.period);
        let driver = Driver {
            plan,
            clock: self.clock.clone(),
            shutdown: self.shutdown.clone(),
            entry,
            seed: self.seed.wrapping_add(number),
            _hold: hold,
        };
        driver.drive(trigger, work)
    }
}

/// One loop.
struct Driver {
    plan: Plan,
    clock: Clock,
    shutdown: Shutdown,
    entry: Entry,
    seed: u64,
    _hold: Option<Hold>,
}

impl Driver {
    async fn drive<R: Reconcile, T: Trigger>(mut self, mut trigger: T, mut work: R) {
        loop {
            let last = self.shutdown.begun();
            let Some(done) = self.pass(&mut work).await else { return };
            let failures = self.settle(&work, done.as_ref().err());
            if self.enough(last, failures) {
                return;
            }
            let pause = match done {
                // Others have their turn even when no pass ever waits.
                Ok(Next::Again) => Duration::ZERO,
                Ok(Next::Rest) => self.plan.period,
                Err(_) => self.plan.backoff.pause(failures, &mut self.seed),
            };
            if !self.rest(pause, &mut trigger, last).await {
                return;
            }
        }
    }

    /// Whether nothing more is to be done. `last` says that the pass began during the shutdown.
    fn enough(&self, last: bool, failures: u64) -> bool {
        let begun = self.shutdown.begun();
        match self.plan.at_shutdown {
            AtShutdown::Drop | AtShutdown::Finish => begun,
            AtShutdown::LastPass => last && failures == 0,
        }
    }

    /// One pass; `None` when the end of the process cut it off.
    async fn pass<R: Reconcile>(&mut self, work: &mut R) -> Option<Result<Next, Failure>> {
        let shutdown = self.shutdown.clone();
        let cut = async {
            match self.plan.at_shutdown {
                AtShutdown::Drop => shutdown.wait().await,
                AtShutdown::Finish | AtShutdown::LastPass => shutdown.wait_end().await,
            }
        };
        self.entry.begun(self.clock.unix_ms());
        tokio::select! {
            biased;
            done = work.pass() => Some(done),
            () = cut => None,
        }
    }

    /// Notes how a pass ended and says so when that is news; returns the failures in a row.
    fn settle<R: Reconcile>(&mut self, work: &R, error: Option<&Failure>) -> u64 {
        let (task, now_ms) = (self.plan.name, self.clock.unix_ms());
        match error {
            None => {
                if self.entry.succeeded(now_ms) {
                    tracing::info!(task, "{}", work.relief());
                }
                0
            }
            Some(error) => {
                let error = sentence(error.as_ref());
                let noted = self.entry.failed(now_ms, &error);
                if noted.is_news {
                    // Not quoted: some errors are lists with a line for each problem.
                    tracing::warn!(task, %error, "{}", work.trouble());
                } else {
                    tracing::debug!(task, %error, "still failing");
                }
                noted.failures
            }
        }
    }

    /// Waits; false when the work is to end. During the shutdown nothing but time activates.
    async fn rest<T: Trigger>(&self, pause: Duration, trigger: &mut T, last: bool) -> bool {
        if last {
            tokio::select! {
                () = tokio::time::sleep(pause) => return true,
                () = self.shutdown.wait_end() => return false,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = trigger.fired() => true,
            () = self.shutdown.wait() => self.plan.at_shutdown == AtShutdown::LastPass,
        }
    }
}
