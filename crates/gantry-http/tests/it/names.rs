//! Look-ups of names while resolvers hang, drop and fail.

use crate::ports::PATIENCE;
use futures_util::future::join_all;
use gantry_http::names::{Error, Names, Resolve};
use gantry_runtime::clock::Clock;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Most threads that look names up.
const THREADS_MAX: usize = 16;

/// A resolver that says what a test wants.
#[derive(Clone, Default)]
struct Fake(Arc<(Mutex<World>, Condvar)>);

#[derive(Default)]
struct World {
    /// Names without an address here hang until they have one; an empty list fails.
    addresses: HashMap<String, Vec<IpAddr>>,
    calls: HashMap<String, usize>,
    running: usize,
    most: usize,
}

impl Resolve for Fake {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (world, changed) = &*self.0;
        let mut world = world.lock().unwrap();
        *world.calls.entry(host.to_owned()).or_default() += 1;
        world.running += 1;
        world.most = world.most.max(world.running);
        let mut world =
            changed.wait_while(world, |world| !world.addresses.contains_key(host)).unwrap();
        world.running -= 1;
        match world.addresses[host].as_slice() {
            [] => Err(io::Error::other("no such name")),
            addresses => Ok(addresses.to_vec()),
        }
    }
}

impl Fake {
    fn names(&self) -> (Names, Clock) {
        let clock = Clock::manual(1_000);
        (Names::new(self.clone(), clock.clone()), clock)
    }

    fn says(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.0.0.lock().unwrap().addresses.insert(host.to_owned(), addresses);
        self.0.1.notify_all();
    }

    fn hangs(&self, host: &str) {
        self.0.0.lock().unwrap().addresses.remove(host);
    }

    fn calls(&self, host: &str) -> usize {
        self.0.0.lock().unwrap().calls.get(host).copied().unwrap_or_default()
    }

    fn most(&self) -> usize {
        self.0.0.lock().unwrap().most
    }
}

async fn found(names: &Names, host: &str) -> Result<String, String> {
    let found = tokio::time::timeout(PATIENCE, names.lookup(host)).await.expect("it hangs");
    let shown =
        |all: Vec<IpAddr>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    found.map(shown).map_err(|error| error.to_string())
}

fn ok(addresses: &str) -> Result<String, String> {
    Ok(addresses.to_owned())
}

#[tokio::test]
async fn an_address_is_looked_up_by_nobody() {
    let fake = Fake::default();
    let (names, _) = fake.names();
    assert_eq!(found(&names, "127.0.0.1").await, ok("127.0.0.1"));
    assert_eq!(found(&names, "::1").await, ok("::1"));
    assert_eq!(names.threads(), 0);
}

#[tokio::test]
async fn the_machines_resolver_knows_this_machine() {
    let found = found(&Names::system(), "localhost").await.unwrap();
    assert!(found.contains("127.0.0.1") || found.contains("::1"), "{found}");
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_lookup_and_what_it_found() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    let asking = join_all((0..500).map(|_| found(&names, "a")));
    let (answers, ()) = tokio::join!(asking, async { fake.says("a", &["1.1.1.1"]) });
    assert!(answers.iter().all(|answer| *answer == ok("1.1.1.1")));
    clock.advance(Duration::from_secs(29));
    fake.says("a", &["2.2.2.2"]);
    assert_eq!(found(&names, "a").await, ok("1.1.1.1"));
    assert_eq!(fake.calls("a"), 1);
    clock.advance(Duration::from_secs(60));
    assert_eq!(found(&names, "a").await, ok("2.2.2.2"));
    assert_eq!(fake.calls("a"), 2);
}

#[tokio::test]
async fn addresses_take_turns_within_their_family() {
    let fake = Fake::default();
    let (names, _) = fake.names();
    fake.says("a", &["::1", "1.1.1.1", "::2", "2.2.2.2"]);
    found(&names, "a").await.unwrap();
    let first = found(&names, "a").await.unwrap();
    let second = found(&names, "a").await.unwrap();
    let both = ["::1 ::2 1.1.1.1 2.2.2.2", "::2 ::1 2.2.2.2 1.1.1.1"];
    assert!(first != second && both.contains(&&*first) && both.contains(&&*second), "{first}");
}

#[tokio::test]
async fn a_failure_is_not_asked_for_again_at_once() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    fake.says("a", &[]);
    for _ in 0..5 {
        assert_eq!(found(&names, "a").await, Err("no such name".to_owned()));
    }
    assert_eq!(fake.calls("a"), 1);
    clock.advance(Duration::from_secs(2));
    fake.says("a", &["1.1.1.1"]);
    assert_eq!(found(&names, "a").await, ok("1.1.1.1"));
}

#[tokio::test]
async fn addresses_from_before_are_better_than_a_failing_resolver() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    fake.says("a", &["1.1.1.1"]);
    found(&names, "a").await.unwrap();
    fake.says("a", &[]);
    for _ in 0..5 {
        clock.advance(Duration::from_secs(600));
        assert_eq!(found(&names, "a").await, ok("1.1.1.1"));
    }
    assert_eq!(fake.calls("a"), 6);
    clock.advance(Duration::from_secs(601));
    assert_eq!(found(&names, "a").await, Err("no such name".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_costs_who_has_addresses_a_moment_and_others_the_limit() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    fake.says("a", &["1.1.1.1"]);
    // On paused time the limit may pass before the thread has answered.
    while names.lookup("a").await.is_err() {}
    fake.hangs("a");
    clock.advance(Duration::from_secs(120));
    let begun = tokio::time::Instant::now();
    assert_eq!(found(&names, "a").await, ok("1.1.1.1"));
    assert_eq!(begun.elapsed().as_millis(), 500);
    clock.advance(Duration::from_secs(1));
    assert_eq!(found(&names, "a").await, ok("1.1.1.1"));
    assert_eq!(begun.elapsed().as_millis(), 500, "nobody waits for it again");

    let begun = tokio::time::Instant::now();
    let error = names.lookup("new").await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 5);
    clock.advance(Duration::from_secs(6));
    assert!(names.lookup("new").await.is_err());
    assert_eq!(begun.elapsed().as_secs(), 5, "who comes late is told at once");
    for host in ["a", "new"] {
        fake.says(host, &["2.2.2.2"]);
        while names.lookup(host).await.ok() != Some(vec![[2, 2, 2, 2].into()]) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((fake.calls("a"), fake.calls("new")), (2, 1));
}

#[tokio::test]
async fn many_names_that_hang_hold_up_neither_known_ones_nor_new_ones() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    let hung: Vec<String> = (0..100).map(|at| format!("hung-{at}")).collect();
    // They fail once, as with a server that drops packets; then they hang.
    for host in &hung {
        fake.says(host, &[]);
        found(&names, host).await.unwrap_err();
        fake.hangs(host);
    }
    fake.says("known", &["1.1.1.1"]);
    found(&names, "known").await.unwrap();
    // Too long ago to be of use.
    clock.advance(Duration::from_secs(2 * 3600));
    let load = join_all(hung.iter().flat_map(|host| [host; 10]).map(|host| found(&names, host)));
    let healthy = async {
        let known = found(&names, "known").await;
        fake.says("new", &["2.2.2.2"]);
        let new = found(&names, "new").await;
        (known, new)
    };
    let mut healthy = std::pin::pin!(healthy);
    tokio::select! {
        biased;
        _ = load => panic!("the load ended"),
        found = &mut healthy => assert_eq!(found, (ok("1.1.1.1"), ok("2.2.2.2"))),
    }
    assert!(fake.most() <= THREADS_MAX && names.threads() <= THREADS_MAX, "{}", fake.most());
    for host in &hung {
        fake.says(host, &["3.3.3.3"]);
    }
}

#[tokio::test]
async fn names_that_nobody_knows_yet_leave_room_for_those_that_were_found() {
    let fake = Fake::default();
    let (names, clock) = fake.names();
    fake.says("known", &["1.1.1.1"]);
    found(&names, "known").await.unwrap();
    clock.advance(Duration::from_secs(2 * 3600));
    let hung: Vec<String> = (0..1_000).map(|at| format!("hung-{at}")).collect();
    let load = join_all(hung.iter().map(|host| found(&names, host)));
    tokio::select! {
        biased;
        _ = load => panic!("the load ended"),
        found = found(&names, "known") => assert_eq!(found, ok("1.1.1.1")),
    }
    assert!(fake.most() <= THREADS_MAX && names.threads() <= THREADS_MAX, "{}", fake.most());
    // When they have ended, what still waits is not looked up for nobody.
    clock.advance(Duration::from_secs(10));
    for host in &hung {
        fake.says(host, &[]);
    }
    fake.says("late", &["2.2.2.2"]);
    assert_eq!(found(&names, "late").await, ok("2.2.2.2"));
    let asked = hung.iter().filter(|host| fake.calls(host) > 0).count();
    assert!(asked < hung.len(), "{asked}");
}
