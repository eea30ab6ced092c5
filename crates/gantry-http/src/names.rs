//! From names to addresses: cached, one look-up per name at a time, on a few threads.
//!
//! Every new connection to another server asks here. The system's resolver (`getaddrinfo`) is used
//! because it alone knows what the machine knows: `/etc/hosts`, search domains, other sources of
//! names. It blocks, and with a name server that drops packets for half a minute; so it runs on
//! threads of its own, whose number is bounded, and no name waits behind others that hang. Why so:
//! `docs/decisions/0010-http-transport.md`.

mod state;
mod threads;

use gantry_runtime::clock::Clock;
use state::{Answer, State};
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Longest wait for a name's addresses. A resolver asks each of its servers for 5 s by default.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// Longest wait where there are addresses from before.
const LOOKUP_LIMIT_STALE: Duration = Duration::from_millis(500);

/// What a name resolves to, by a call that may block. Calls come from several threads.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses in the order in which they should be tried; none is an error.
    ///
    /// # Errors
    /// When the name has none, or they cannot be found out now.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's resolver.
struct System;

impl Resolve for System {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in (host, 0).to_socket_addrs()?.map(|address| address.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// Why a name has no addresses.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Failed(Arc<io::Error>),
    #[error("the resolver did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("too many names are being looked up")]
    Busy,
}

/// Looks names up. Clones share what is known.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    resolver: Box<dyn Resolve>,
    clock: Clock,
    state: Mutex<State>,
    /// Wakes the threads when there is work.
    work: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a look-up ended; `None` while it goes on.
type Outcome = Option<Result<Arc<[IpAddr]>, Error>>;

impl Names {
    /// With a resolver and a clock of one's own.
    #[must_use]
    pub fn new(resolver: impl Resolve, clock: Clock) -> Self {
        let (state, work) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { resolver: Box::new(resolver), clock, state, work }))
    }

    /// Those of the process, by the machine's resolver.
    #[must_use]
    pub fn system() -> Self {
        static SYSTEM: OnceLock<Names> = OnceLock::new();
        SYSTEM.get_or_init(|| Self::new(System, Clock::system())).clone()
    }

    /// The addresses of a host, in the order in which they should be tried. An address stands for
    /// itself. Addresses from before are better than an error.
    ///
    /// # Errors
    /// When there are none, or the resolver does not answer in time.
    pub async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let now_us = self.0.clock.monotonic_us();
        let answer = self.0.state().ask(host, now_us);
        let (flight, stale) = match answer {
            Answer::Addresses { addresses, begins } => {
                self.begin(begins);
                return Ok(addresses);
            }
            Answer::Failed(error) => return Err(error),
            Answer::Wait { flight, stale, begins } => {
                self.begin(begins);
                (flight, stale)
            }
        };
        let whole = if stale.is_some() { LOOKUP_LIMIT_STALE } else { LOOKUP_LIMIT };
        // Who comes late to a look-up that hangs does not wait as long as the first.
        let age = Duration::from_micros(now_us.saturating_sub(flight.since_us));
        let found = outcome(flight.outcome, whole.saturating_sub(age)).await;
        match (found, stale) {
            (Some(Ok(addresses)), _) => Ok(addresses.to_vec()),
            (_, Some(stale)) => Ok(stale),
            (Some(Err(error)), None) => Err(error),
            (None, None) => Err(Error::Timeout(whole)),
        }
    }

    /// Threads that look names up, or wait for a name.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.state().threads()
    }

    fn begin(&self, begins: bool) {
        if begins {
            threads::wake(&self.0);
        }
    }
}

/// The outcome, if it comes within `limit`.
async fn outcome(
    mut outcome: watch::Receiver<Outcome>,
    limit: Duration,
) -> Option<Result<Arc<[IpAddr]>, Error>> {
    let found = tokio::time::timeout(limit, outcome.wait_for(Option::is_some)).await;
    found.ok()?.ok()?.clone()
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}
