//! The kit on paused time: what it runs, when, and what it says about it.

use super::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

const PLAN: Plan = Plan {
    name: "test",
    period: Duration::from_secs(10),
    backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(3) },
    at_shutdown: AtShutdown::Drop,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Work that ends its passes as it is told, and reports when each began.
struct Work {
    ends: VecDeque<Result<Next, &'static str>>,
    began: mpsc::Sender<Instant>,
    /// A pass ends when this lets it.
    gate: Option<Arc<Semaphore>>,
}

impl Reconcile for Work {
    async fn pass(&mut self) -> Result<Next, Failure> {
        self.began.send(Instant::now()).await?;
        if let Some(gate) = &self.gate {
            gate.acquire().await?.forget();
        }
        Ok(self.ends.pop_front().unwrap_or(Ok(Next::Rest))?)
    }

    fn trouble(&self) -> &'static str {
        "trouble began"
    }

    fn relief(&self) -> &'static str {
        "trouble ended"
    }
}

/// A kit with its shutdown, and work that ends as told.
struct Case {
    shutdown: Shutdown,
    kit: Kit,
    began: mpsc::Receiver<Instant>,
    gate: Arc<Semaphore>,
    start: Instant,
}

impl Case {
    fn new(seed: u64) -> (Self, Work) {
        let shutdown = Shutdown::default();
        let kit = Kit::new(Clock::manual(1_000), shutdown.clone(), seed);
        let (sender, began) = mpsc::channel(1);
        let gate = Arc::new(Semaphore::new(0));
        let work = Work { ends: VecDeque::new(), began: sender, gate: None };
        (Self { shutdown, kit, began, gate, start: Instant::now() }, work)
    }

    fn gated(seed: u64) -> (Self, Work) {
        let (case, mut work) = Self::new(seed);
        work.gate = Some(case.gate.clone());
        (case, work)
    }

    /// Milliseconds from the start to the begin of the next pass.
    async fn next_ms(&mut self) -> u128 {
        let began = self.began.recv().await.unwrap();
        (began - self.start).as_millis()
    }

    fn status(&self) -> Status {
        self.kit.board().statuses().remove(0)
    }
}

#[tokio::test(start_paused = true)]
async fn passes_follow_the_period_and_pauses_after_failures_grow_up_to_a_limit() {
    let mut firsts = Vec::new();
    for seed in [1, 2] {
        let (mut case, mut work) = Case::new(seed);
        let fails = Err("no");
        work.ends = VecDeque::from([Ok(Next::Rest), fails, fails, fails, fails, Ok(Next::Again)]);
        case.kit.start(PLAN, work);
        let mut last = case.next_ms().await;
        assert_eq!(last, 0, "the first pass is at once");
        for (shortest, longest) in [(10_000, 10_000), (500, 1_000), (1_000, 2_000), (1_500, 3_000)]
            .into_iter()
            .chain([(1_500, 3_000), (0, 0), (10_000, 10_000)])
        {
            let next = case.next_ms().await;
            let pause = next - last;
            // Timers have a millisecond's grain.
            assert!((shortest..=longest + 1).contains(&pause), "{pause}: {shortest} {longest}");
            if longest == 1_000 {
                firsts.push(pause);
            }
            last = next;
        }
    }
    assert_ne!(firsts[0], firsts[1], "another seed, another pause");
}

#[tokio::test(start_paused = true)]
async fn activations_during_a_pass_make_one_more_and_none_is_lost() {
    let (mut case, work) = Case::gated(1);
    let activator = case.kit.start(PLAN, work);
    assert_eq!(case.next_ms().await, 0);
    for _ in 0..3 {
        activator.activate();
    }
    case.gate.add_permits(1);
    assert_eq!(case.next_ms().await, 0, "at once, not after the period");
    case.gate.add_permits(1);
    assert_eq!(case.next_ms().await, 10_000, "the three counted as one");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_watched_value_activates_until_nobody_can_change_it() {
    let (mut case, work) = Case::new(1);
    let (value, watched) = watch::channel(0);
    case.kit.start_on(PLAN, watched, work);
    assert_eq!(case.next_ms().await, 0);
    value.send_replace(1);
    assert_eq!(case.next_ms().await, 0);
    drop(value);
    assert_eq!(case.next_ms().await, 10_000);
}

#[tokio::test(start_paused = true)]
async fn the_process_waits_for_what_a_plan_asks_it_to_wait_for() {
    for (at_shutdown, ended) in
        [(AtShutdown::Drop, 0), (AtShutdown::Finish, 1), (AtShutdown::LastPass, 2)]
    {
        let (mut case, work) = Case::gated(1);
        case.kit.start(Plan { at_shutdown, ..PLAN }, work);
        case.next_ms().await;
        case.shutdown.begin();
        let gate = case.gate.clone();
        let opens = async {
            case.shutdown.wait().await;
            gate.add_permits(ended);
        };
        let (left, ()) = tokio::join!(case.shutdown.drained(HOUR), opens);
        assert_eq!((left, case.status().runs), (0, ended as u64), "{at_shutdown:?}");
        while case.began.recv().await.is_some() {}
        let status = case.status();
        assert_eq!((status.state, status.runs), (State::Ended, ended as u64), "{at_shutdown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_pass_is_repeated_until_it_succeeds_or_time_is_up() {
    let plan = Plan { at_shutdown: AtShutdown::LastPass, ..PLAN };
    for (failures, left, runs) in [(2, 0, 4), (1_000, 1, 4)] {
        let (mut case, mut work) = Case::new(1);
        work.ends.push_back(Ok(Next::Rest));
        work.ends.extend(std::iter::repeat_n(Err("away"), failures));
        case.kit.start(plan, work);
        case.next_ms().await;
        tokio::task::yield_now().await;
        case.shutdown.begin();
        let drained = case.shutdown.drained(Duration::from_secs(4));
        let passes = async { while case.began.recv().await.is_some() {} };
        let (found, ()) = tokio::join!(drained, passes);
        assert_eq!(found, left, "{failures}");
        assert!(case.kit.board().statuses()[0].runs >= runs, "{failures}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_says_how_the_work_does() {
    let (mut case, mut work) = Case::gated(1);
    work.ends = VecDeque::from([Ok(Next::Rest), Err("away"), Ok(Next::Rest)]);
    case.kit.start(PLAN, work);
    let mut seen = Vec::new();
    for _ in 0..4 {
        case.next_ms().await;
        let status = case.status();
        assert_eq!((status.state, status.period_ms), (State::Running, 10_000));
        let error = status.last_error;
        seen.push((status.runs, status.failures, status.failures_in_a_row, error));
        case.kit.clock.advance(Duration::from_secs(1));
        case.gate.add_permits(1);
    }
    let away = || Some("away".to_owned());
    assert_eq!(seen, [(0, 0, 0, None), (1, 0, 0, None), (2, 1, 1, away()), (3, 1, 0, away())]);
    let status = case.status();
    let times = (status.last_run_ms, status.last_success_ms, status.last_error_ms);
    assert_eq!(times, (Some(4_000), Some(4_000), Some(3_000)));
}

#[tokio::test(start_paused = true)]
async fn trouble_is_said_once_and_its_end_is_said() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_ansi(false).without_time();
    let subscriber = lines.with_writer(move || writer.clone()).finish();
    // While there is but one subscriber, a line of the log that another test comes by first is
    // switched off for all threads when that thread has none. Of two, both are asked.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _here = tracing::subscriber::set_default(subscriber);
    let (mut case, mut work) = Case::new(1);
    work.ends = VecDeque::from([Err("away"), Err("away"), Err("refused"), Ok(Next::Rest)]);
    case.kit.start(PLAN, work);
    for _ in 0..6 {
        case.next_ms().await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let said: Vec<_> = text.lines().filter(|line| line.contains("trouble")).collect();
    let expected = ["trouble began task=\"test\" error=away", "error=refused", "trouble ended"];
    assert_eq!(said.len(), expected.len(), "{text}");
    for (line, expected) in said.iter().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
