//! Keep-alive connections of one worker thread: no locks, newest first.
//!
//! One pool per worker. A connection carries one request at a time and comes back when the reply's
//! body was read to its end; a body dropped earlier closes its connection, which is how a caller
//! that leaves stops the upstream. Its worker runs [`Pool::tend`].

use crate::connect::{self, Target};
use crate::endpoint::Endpoint;
use crate::exchange::{self, Connection, Finished, Request};
use crate::names::Names;
use gantry_runtime::clock::Clock;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How long connections are kept and waited for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest wait for a new connection, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// An idle connection older than this is closed. Default 55 s: most servers keep 60 s or more,
    /// and one that closes earlier is noticed when the connection is taken out.
    pub idle_timeout: Duration,
    /// Idle connections kept per upstream and worker. Default 256.
    pub idle_max: usize,
    /// Who looks names up. Default: the machine's resolver, shared by the process.
    pub names: Names,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(55),
            idle_max: 256,
            names: Names::system(),
        }
    }
}

/// How often the idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// A connection that was idle for so long may have been closed by its server just now: the shortest
/// time that servers keep them is a few seconds. Sooner, the look at the socket is not worth its
/// cost.
const SURELY_AFTER_US: u64 = 1_000_000;

/// Why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// The connection broke after the request was (partly) written.
    #[error("get an answer from {origin}")]
    Broken { origin: String, source: exchange::Error },
}

/// The connections of one worker. Clones share them; it stays on its thread.
#[derive(Clone)]
pub struct Pool(Rc<Shared>);

struct Shared {
    settings: Settings,
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    /// The time of the last request or sweep: near enough for idle connections.
    now_us: Cell<u64>,
}

struct Idle {
    connection: Connection,
    since_us: u64,
}

/// The beginning of a reply; its body gives the connection back.
pub type Reply = exchange::Reply<Lease>;
pub type ReplyBody = exchange::ReplyBody<Lease>;

impl Pool {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Rc::new(Shared { settings, idle: RefCell::default(), now_us: Cell::new(0) }))
    }

    /// Sends `request` and returns the reply's head and body. `now_us` is the clock's monotonic
    /// time. A kept connection that turns out closed before a byte went out is replaced.
    /// `begun` is set when the request begins to go out.
    ///
    /// # Errors
    /// When no connection comes about, or it breaks before the reply's head.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        now_us: u64,
        begun: &Cell<bool>,
    ) -> Result<Reply, Error> {
        self.0.now_us.set(now_us);
        let Settings { connect_timeout, names, .. } = &self.0.settings;
        let to = Target { endpoint, limit: *connect_timeout, names };
        let take = || self.take_idle(endpoint.id, now_us);
        let lease = || {
            begun.set(true);
            Lease { id: endpoint.id, pool: Rc::downgrade(&self.0) }
        };
        let broken = |source| Error::Broken { origin: endpoint.origin(), source };
        connect::send(to, request, take, lease, broken).await
    }

    /// Closes connections that have been idle for too long or that their servers have closed, now
    /// and then, for ever: on a worker without requests too. `clock` is that of [`Self::send`].
    pub async fn tend(&self, clock: &Clock) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.sweep(clock.monotonic_us());
        }
    }

    fn sweep(&self, now: u64) {
        self.0.now_us.set(now);
        self.0.idle.borrow_mut().retain(|_, kept| {
            kept.retain_mut(|entry| self.is_usable(entry, now));
            !kept.is_empty()
        });
    }

    fn is_usable(&self, entry: &mut Idle, now: u64) -> bool {
        let idle_us = now.saturating_sub(entry.since_us);
        idle_us < micros(self.0.settings.idle_timeout)
            && entry.connection.is_open(idle_us >= SURELY_AFTER_US)
    }

    fn take_idle(&self, id: u64, now: u64) -> Option<Connection> {
        loop {
            let mut entry = self.0.idle.borrow_mut().get_mut(&id)?.pop()?;
            if self.is_usable(&mut entry, now) {
                return Some(entry.connection);
            }
        }
    }
}

/// Brings a connection back to its pool.
pub struct Lease {
    id: u64,
    pool: Weak<Shared>,
}

impl Finished for Lease {
    fn finished(self, connection: Connection) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut idle = pool.idle.borrow_mut();
        let kept = idle.entry(self.id).or_default();
        if kept.len() < pool.settings.idle_max {
            kept.push(Idle { connection, since_us: pool.now_us.get() });
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
