//! The port by which one of several processes does something alone, for a time.
//!
//! A lease has an end, so that the death of its holder frees it, and a token that grows with each
//! holder. A holder that was asleep may believe in a lease that is another's by now: whatever the
//! lease protects has to refuse tokens smaller than the largest that it has seen (fencing).

use futures_util::future::BoxFuture;
use gantry_model::ids::UnixMs;
use gantry_runtime::clock::Clock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The right to do something alone until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is done alone, such as `lake/compact`.
    pub name: String,
    /// Who does it; no two processes share a name, nor do two lives of one.
    pub holder: String,
    /// Larger than that of each earlier lease of this name.
    pub token: u64,
    /// From then on somebody else may take it.
    pub until_ms: UnixMs,
}

/// Why a lease was not given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody has it: the usual case for all processes but one.
    #[error("take the lease {name}: {holder} has it until {until_ms}")]
    Held { name: String, holder: String, until_ms: UnixMs },
    /// It has ended, or somebody else has it by now: stop what it allowed.
    #[error("keep the lease {name}: it has ended")]
    Lost { name: String },
    /// Where leases are kept cannot be asked.
    #[error("ask for the lease {name}")]
    Away { name: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Gives leases.
pub trait Leases: Send + Sync {
    /// Takes a lease that nobody has, for the length of `term` from now.
    ///
    /// # Errors
    /// [`Error::Held`], also when `holder` itself has it; [`Error::Away`].
    fn take<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        term: Duration,
    ) -> BoxFuture<'a, Result<Lease, Error>>;

    /// Moves the end to `term` from now; the token stays.
    ///
    /// # Errors
    /// [`Error::Lost`], also when it ended and nobody took it since; [`Error::Away`].
    fn renew<'a>(&'a self, lease: &'a Lease, term: Duration)
    -> BoxFuture<'a, Result<Lease, Error>>;

    /// Ends a lease before its time; one that was lost stays whose it is.
    ///
    /// # Errors
    /// [`Error::Away`]; then it ends with its time.
    fn give_back(&self, lease: Lease) -> BoxFuture<'_, Result<(), Error>>;
}

/// Leases among the parts of one process. With the process its leases end, and tokens begin anew.
#[derive(Debug)]
pub struct InProcess {
    clock: Clock,
    /// The last lease of each name: the token must grow even after it was given back.
    last: Mutex<BTreeMap<String, Lease>>,
}

impl InProcess {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Mutex::default() }
    }

    fn end_ms(&self, term: Duration) -> UnixMs {
        let term_ms = u64::try_from(term.as_millis()).unwrap_or(u64::MAX);
        self.clock.unix_ms().saturating_add(term_ms)
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, Lease>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self, name: &str, holder: &str, term: Duration) -> Result<Lease, Error> {
        let mut all = self.last();
        let last = all.get(name);
        if let Some(held) = last.filter(|last| self.clock.unix_ms() < last.until_ms) {
            let Lease { name, holder, until_ms, .. } = held.clone();
            return Err(Error::Held { name, holder, until_ms });
        }
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let token = last.map_or(1, |last| last.token.saturating_add(1));
        let lease = Lease { name, holder, token, until_ms: self.end_ms(term) };
        all.insert(lease.name.clone(), lease.clone());
        Ok(lease)
    }

    fn renewed(&self, lease: &Lease, term: Duration) -> Result<Lease, Error> {
        let now_ms = self.clock.unix_ms();
        let mut all = self.last();
        let ours = |last: &&mut Lease| last.token == lease.token && now_ms < last.until_ms;
        match all.get_mut(&lease.name).filter(ours) {
            Some(last) => {
                last.until_ms = self.end_ms(term);
                Ok(last.clone())
            }
            None => Err(Error::Lost { name: lease.name.clone() }),
        }
    }

    fn given_back(&self, lease: &Lease) {
        let mut all = self.last();
        if let Some(last) = all.get_mut(&lease.name).filter(|last| last.token == lease.token) {
            last.until_ms = 0;
        }
    }
}

impl Leases for InProcess {
    fn take<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        term: Duration,
    ) -> BoxFuture<'a, Result<Lease, Error>> {
        Box::pin(std::future::ready(self.taken(name, holder, term)))
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        term: Duration,
    ) -> BoxFuture<'a, Result<Lease, Error>> {
        Box::pin(std::future::ready(self.renewed(lease, term)))
    }

    fn give_back(&self, lease: Lease) -> BoxFuture<'_, Result<(), Error>> {
        self.given_back(&lease);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn one_holds_a_lease_until_it_ends_or_is_given_back_and_tokens_grow() {
        let clock = Clock::manual(1_000);
        let leases = InProcess::new(clock.clone());
        let first = leases.take("compact", "a", TERM).await.unwrap();
        assert_eq!((first.token, first.until_ms), (1, 11_000));
        for holder in ["b", "a"] {
            let held = leases.take("compact", holder, TERM).await.unwrap_err();
            assert!(matches!(held, Error::Held { holder, .. } if holder == "a"));
        }
        assert_eq!(leases.take("other", "b", TERM).await.unwrap().token, 1, "names are apart");

        clock.advance(Duration::from_millis(9_999));
        let renewed = leases.renew(&first, TERM).await.unwrap();
        assert_eq!((renewed.token, renewed.until_ms), (1, 20_999));
        clock.advance(TERM);
        assert!(matches!(leases.renew(&renewed, TERM).await, Err(Error::Lost { .. })));
        let second = leases.take("compact", "b", TERM).await.unwrap();
        assert_eq!(second.token, 2);

        leases.give_back(renewed.clone()).await.unwrap();
        assert!(leases.renew(&renewed, TERM).await.is_err());
        assert!(leases.renew(&second, TERM).await.is_ok(), "an old holder ends nobody's lease");
        leases.give_back(second).await.unwrap();
        assert_eq!(leases.take("compact", "c", TERM).await.unwrap().token, 3);
    }
}
