//! What is known of names, and which look-up is next. No IO, no clock, no threads.

use super::{Error, Outcome};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

const S: u64 = 1_000_000;

/// Addresses so young are used without a look-up. The resolver tells no lifetimes; services that
/// move by their name expect that it is looked at about so often.
const FRESH_US: u64 = 30 * S;

/// Addresses so young are used while a look-up goes on beside.
const REFRESHED_US: u64 = 60 * S;

/// Addresses so old are used when the resolver fails, and no older ones.
const STALE_MAX_US: u64 = 3600 * S;

/// A failure stands for so long.
const FAILED_US: u64 = S;

/// What was queued for longer is not looked up any more: who asked has gone.
const QUEUED_MAX_US: u64 = 5 * S;

/// A look-up that took longer hung.
const SLOW_US: u64 = 2 * S;

/// Names that are remembered: far more than a gateway has upstreams.
const NAMES_MAX: usize = 1024;

/// Threads that may work on names of a standing and on those of the ones behind it. So names that
/// hang never hold up one that was found before, nor one that nobody knows yet.
const THREADS_MAX: [usize; 3] = [16, 12, 8];

/// What is known of a name's look-ups. The order is that in which they are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    #[default]
    Unknown,
    /// The last one failed or hung.
    Bad,
}

/// What can be said at once to who asks for a name.
pub(super) enum Answer {
    Addresses {
        addresses: Vec<IpAddr>,
        begins: bool,
    },
    Failed(Error),
    /// Somebody is finding out. `begins` when that was queued just now.
    Wait {
        flight: Flight,
        stale: Option<Vec<IpAddr>>,
        begins: bool,
    },
}

/// A look-up that goes on.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) since_us: u64,
    pub(super) outcome: watch::Receiver<Outcome>,
}

/// A look-up to be made.
pub(super) struct Job {
    host: Arc<str>,
    standing: Standing,
    queued_us: u64,
    outcome: watch::Sender<Outcome>,
}

impl Job {
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

#[derive(Default)]
pub(super) struct State {
    names: HashMap<Arc<str>, Name>,
    /// By standing.
    queues: [VecDeque<Job>; 3],
    running: [usize; 3],
    threads: usize,
}

#[derive(Default)]
struct Name {
    found: Option<Found>,
    failed: Option<(Error, u64)>,
    flight: Option<Flight>,
    standing: Standing,
    asked_us: u64,
    /// How often it was answered, so that its addresses take turns.
    turn: usize,
}

struct Found {
    addresses: Arc<[IpAddr]>,
    since_us: u64,
}

impl State {
    /// Answers who asks for `host`; queues a look-up if one is due.
    pub(super) fn ask(&mut self, host: &str, now_us: u64) -> Answer {
        if !self.names.contains_key(host) && !self.make_room() {
            return Answer::Failed(Error::Busy);
        }
        let name = self.names.entry(host.into()).or_default();
        name.asked_us = now_us;
        let age = name.found.as_ref().map(|found| now_us.saturating_sub(found.since_us));
        let stale = age.filter(|age| *age < STALE_MAX_US).and_then(|_| name.addresses());
        if let (Some(addresses), Some(..FRESH_US)) = (&stale, age) {
            return Answer::Addresses { addresses: addresses.clone(), begins: false };
        }
        let failed = name.failed.as_ref();
        if let Some((error, _)) = failed.filter(|(_, at)| now_us.saturating_sub(*at) < FAILED_US) {
            return match stale {
                Some(addresses) => Answer::Addresses { addresses, begins: false },
                None => Answer::Failed(error.clone()),
            };
        }
        let begins = name.flight.is_none();
        let (sender, receiver) = watch::channel(None);
        let begun = Flight { since_us: now_us, outcome: receiver };
        let flight = name.flight.get_or_insert(begun).clone();
        if begins {
            let standing = name.standing;
            let job = Job { host: host.into(), standing, queued_us: now_us, outcome: sender };
            self.queue(standing).push_back(job);
        }
        match (stale, age) {
            (Some(addresses), Some(..REFRESHED_US)) => Answer::Addresses { addresses, begins },
            (stale, _) => Answer::Wait { flight, stale, begins },
        }
    }

    /// Whether another name can be taken up; the one that was asked for longest ago goes.
    fn make_room(&mut self) -> bool {
        if self.names.len() < NAMES_MAX {
            return true;
        }
        let free = self.names.iter().filter(|(_, name)| name.flight.is_none());
        let oldest = free.min_by_key(|(_, name)| name.asked_us).map(|(host, _)| host.clone());
        oldest.is_some_and(|host| self.names.remove(&host).is_some())
    }

    /// The next look-up to be made, if a thread may make it now.
    pub(super) fn take(&mut self, now_us: u64) -> Option<Job> {
        self.give_up_old(now_us);
        for standing in [Standing::Good, Standing::Unknown, Standing::Bad] {
            if self.may_run(standing)
                && let Some(job) = self.queue(standing).pop_front()
            {
                *self.running(standing) += 1;
                return Some(job);
            }
        }
        None
    }

    /// Fails what was queued for too long.
    fn give_up_old(&mut self, now_us: u64) {
        for standing in [Standing::Good, Standing::Unknown, Standing::Bad] {
            let old = |job: &mut Job| now_us.saturating_sub(job.queued_us) > QUEUED_MAX_US;
            while let Some(job) = self.queue(standing).pop_front_if(old) {
                if let Some(name) = self.names.get_mut(&job.host) {
                    // Nothing is known against it, so the next who asks may queue it again.
                    name.flight = None;
                }
                job.outcome.send_replace(Some(Err(Error::Busy)));
            }
        }
    }

    fn fail(&mut self, job: &Job, error: Error, now_us: u64) {
        if let Some(name) = self.names.get_mut(&job.host) {
            name.flight = None;
            name.failed = Some((error.clone(), now_us));
        }
        job.outcome.send_replace(Some(Err(error)));
    }

    /// Takes note of what the resolver said between two moments.
    pub(super) fn settle(
        &mut self,
        job: Job,
        found: io::Result<Vec<IpAddr>>,
        (begun_us, now_us): (u64, u64),
    ) {
        let running = self.running(job.standing);
        *running = running.saturating_sub(1);
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let found = found.and_then(|all| if all.is_empty() { Err(none()) } else { Ok(all) });
        let addresses: Arc<[IpAddr]> = match found {
            Ok(addresses) => addresses.into(),
            Err(error) => {
                if let Some(name) = self.names.get_mut(&job.host) {
                    name.standing = Standing::Bad;
                }
                return self.fail(&job, Error::Failed(Arc::new(error)), now_us);
            }
        };
        if let Some(name) = self.names.get_mut(&job.host) {
            let slow = now_us.saturating_sub(begun_us) > SLOW_US;
            name.standing = if slow { Standing::Bad } else { Standing::Good };
            (name.flight, name.failed) = (None, None);
            name.found = Some(Found { addresses: addresses.clone(), since_us: now_us });
        }
        job.outcome.send_replace(Some(Ok(addresses)));
    }

    /// Counts a new thread in when one is needed; its number.
    pub(super) fn hire(&mut self) -> Option<usize> {
        let [most, ..] = THREADS_MAX;
        let busy: usize = self.running.iter().sum();
        let queued: usize = self.queues.iter().map(VecDeque::len).sum();
        // Those that are not busy will each take up one of what is queued.
        if self.threads >= most || self.threads.saturating_sub(busy) >= queued {
            return None;
        }
        self.threads += 1;
        Some(self.threads)
    }

    /// Counts a thread out. Without a last one, `failed` is what became of all that is queued.
    pub(super) fn dismiss(&mut self, failed: Option<(Error, u64)>) {
        self.threads = self.threads.saturating_sub(1);
        let Some((error, now_us)) = failed.filter(|_| self.threads == 0) else { return };
        for standing in [Standing::Good, Standing::Unknown, Standing::Bad] {
            while let Some(job) = self.queue(standing).pop_front() {
                self.fail(&job, error.clone(), now_us);
            }
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether something is queued, for now or for later.
    pub(super) fn has_work(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    fn may_run(&self, standing: Standing) -> bool {
        let [good, unknown, bad] = self.running;
        let [all_max, unknown_max, bad_max] = THREADS_MAX;
        match standing {
            Standing::Good => good + unknown + bad < all_max,
            Standing::Unknown => unknown + bad < unknown_max,
            Standing::Bad => bad < bad_max,
        }
    }

    fn queue(&mut self, standing: Standing) -> &mut VecDeque<Job> {
        let [good, unknown, bad] = &mut self.queues;
        match standing {
            Standing::Good => good,
            Standing::Unknown => unknown,
            Standing::Bad => bad,
        }
    }

    fn running(&mut self, standing: Standing) -> &mut usize {
        let [good, unknown, bad] = &mut self.running;
        match standing {
            Standing::Good => good,
            Standing::Unknown => unknown,
            Standing::Bad => bad,
        }
    }
}

impl Name {
    /// The addresses, those of a family in turn; the resolver's order of families stays.
    fn addresses(&mut self) -> Option<Vec<IpAddr>> {
        let found = self.found.as_ref()?;
        let first = found.addresses.first().is_some_and(IpAddr::is_ipv4);
        let (mut one, mut other): (Vec<_>, Vec<_>) =
            found.addresses.iter().partition(|address| address.is_ipv4() == first);
        for family in [&mut one, &mut other] {
            let by = self.turn.checked_rem(family.len()).unwrap_or_default();
            family.rotate_left(by);
        }
        self.turn = self.turn.wrapping_add(1);
        one.extend(other);
        Some(one)
    }
}
