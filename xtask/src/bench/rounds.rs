//! One round: all contenders are started afresh and take turns in every measurement.
//!
//! Turns within a measurement keep the contenders seconds apart, so that a change in the machine's
//! speed hits all of them.

use super::children::{Program, pause};
use super::machine::{CoreTime, Machine};
use super::plan::{
    CPU_CASES, Contender, CpuCase, LATENCY_CASES, LatencyCase, OPEN_STREAMS, Plan, Row,
    SLOW_GAP_MS, TICK_GAP_MS, Wait,
};
use super::process;
use super::proxies::{self, Proxy};
use super::results::Results;
use super::spec::{Case, Outcome, Pace, Spec};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// Share of the due stream events that must arrive, or the proxy was too slow for the load.
const EVENTS_LEAST: f64 = 0.9;
/// Share of the due requests that must be answered within the measurement.
const REQUESTS_LEAST: f64 = 0.98;

/// What was put off is done within this time: Gantry looks for records to store every 5 s.
const PUT_OFF: Duration = Duration::from_secs(6);

/// The share of the cores' time that the host may take during a measurement before it is taken
/// again, and how often one is taken at most.
pub(super) const STOLEN_MOST: f64 = 0.02;
const TRIES_MOST: u32 = 4;

/// The proxies of a round, and what the measurements share.
struct Round<'a> {
    machine: &'a Machine,
    plan: &'a Plan,
    proxies: BTreeMap<Contender, Proxy>,
    results: &'a mut Results,
    /// Answers of Gantry so far.
    gantry_requests: u64,
    /// How often a measurement may still be taken again.
    repetitions_left: u32,
    /// What each contender did under load in the measurement of CPU time that is going on, loads
    /// that do not count included.
    loaded: BTreeMap<Contender, Work>,
}

/// What a proxy answered, and the CPU time that went by.
#[derive(Clone, Copy, Default)]
struct Work {
    requests: u64,
    events: u64,
    cpu_us: u64,
}

impl Work {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.events += more.events;
        self.cpu_us += more.cpu_us;
    }

    /// `cpu_us` of this much work, in µs per request or event.
    fn share(&self, cpu_us: u64, case: &CpuCase) -> f64 {
        let units = if case.per_event { self.events } else { self.requests };
        cpu_us as f64 / units.max(1) as f64
    }
}

/// Measures everything once.
pub(super) fn run(
    machine: &Machine,
    plan: &Plan,
    only: &[Contender],
    results: &mut Results,
) -> anyhow::Result<()> {
    let mock = proxies::mock(machine)?;
    let upstream = mock.address.clone();
    let mut round = Round {
        machine,
        plan,
        proxies: BTreeMap::new(),
        results,
        gantry_requests: 0,
        repetitions_left: plan.repetitions_most,
        loaded: BTreeMap::new(),
    };
    round.proxies.insert(Contender::Direct, mock);
    for contender in [Contender::PassThrough, Contender::Nginx, Contender::Gantry] {
        round.start(contender, &upstream, only)?;
    }
    round.measure_idle()?;
    round.measure_streams()?;
    for case in CPU_CASES {
        round.measure_cpu(case)?;
    }
    round.repetitions_left = plan.repetitions_most;
    for case in LATENCY_CASES {
        round.measure_latency(case)?;
    }
    round.measure_peak()?;
    round.measure_records();
    Ok(())
}

impl Round<'_> {
    fn start(
        &mut self,
        contender: Contender,
        upstream: &str,
        only: &[Contender],
    ) -> anyhow::Result<()> {
        if contender != Contender::PassThrough && !only.contains(&contender) {
            self.results.absent.insert(contender, "not run: left out".to_owned());
            return Ok(());
        }
        match proxies::start(self.machine, contender, upstream, &[]) {
            Ok(proxy) => {
                self.proxies.insert(contender, proxy);
            }
            // Without the yardstick nothing is worth measuring.
            Err(error) if contender == Contender::PassThrough => return Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                eprintln!("{}: {why}", contender.name());
                self.results.absent.insert(contender, why);
            }
        }
        Ok(())
    }

    /// The proxies that run, without the mock upstream.
    fn running(&self) -> Vec<Contender> {
        self.proxies.keys().copied().filter(|one| *one != Contender::Direct).collect()
    }

    fn measure_idle(&mut self) -> anyhow::Result<()> {
        let before = CoreTime::now().busy;
        let time = Duration::from_millis(self.plan.idle_ms);
        pause(time);
        self.results.other_work.push((CoreTime::now().busy - before) / time.as_secs_f64());
        for contender in self.running() {
            let kib = self.sample(contender)?.rss_kib;
            self.results.add(Row::Idle, contender, kib as f64 / 1024.0);
        }
        Ok(())
    }

    fn measure_streams(&mut self) -> anyhow::Result<()> {
        for contender in self.running() {
            let spec = Spec {
                connections: OPEN_STREAMS,
                warm_ms: self.plan.streams_warm_ms,
                measure_ms: self.plan.streams_ms,
                ..self.spec(contender, Case::Slow)
            };
            let due = due_events(&spec, SLOW_GAP_MS);
            // Memory does not depend on the host's time, but on what the proxy did before.
            let outcome = self.load_once(contender, &spec, &due).1;
            let outcome = self.valid(contender, &spec, outcome);
            let kib = outcome.and_then(|outcome| outcome.rss_kib);
            kib.into_iter().for_each(|kib| {
                self.results.add(Row::Streams, contender, kib as f64 / 1024.0);
            });
        }
        Ok(())
    }

    /// The contenders take short turns, so that a change in the machine's speed, which lasts for
    /// seconds, hits all of them. What a proxy puts off, as Gantry does with its records, it does
    /// while others have their turn or after the last one: that counts too, shared among all that
    /// it answered.
    fn measure_cpu(&mut self, case: &CpuCase) -> anyhow::Result<()> {
        let mut contenders = self.running();
        contenders.retain(|contender| !case.only_gantry || *contender == Contender::Gantry);
        self.loaded.clear();
        let mut before = BTreeMap::new();
        for contender in &contenders {
            before.insert(*contender, self.cpu_us(*contender)?);
        }
        let mut found = BTreeMap::<Contender, Work>::new();
        for _ in 0..self.plan.slices {
            for contender in &contenders {
                if let Some(slice) = self.measure_slice(case, *contender) {
                    found.entry(*contender).or_default().add(slice);
                }
            }
            // Nobody always runs behind the same one.
            contenders.reverse();
        }
        pause(PUT_OFF);
        for (contender, slices) in found {
            let before = before.get(&contender).copied().unwrap_or_default();
            let loaded = self.loaded.get(&contender).copied().unwrap_or_default();
            let whole_us = self.cpu_us(contender)?.saturating_sub(before);
            let put_off = loaded.share(whole_us.saturating_sub(loaded.cpu_us), case);
            let under_load = slices.share(slices.cpu_us, case);
            self.results.add(case.row, contender, under_load + put_off);
        }
        Ok(())
    }

    /// One turn under load.
    fn measure_slice(&mut self, case: &CpuCase, contender: Contender) -> Option<Work> {
        let (request_ms, event_ms) = (self.plan.request_slice_ms, self.plan.event_slice_ms);
        let measure_ms = if case.per_event { event_ms } else { request_ms };
        let spec =
            Spec { connections: case.connections, measure_ms, ..self.spec(contender, case.case) };
        let due = if case.per_event { due_events(&spec, TICK_GAP_MS) } else { Due::Any };
        let outcome = self.load(contender, &spec, due)?;
        let cpu_us = outcome.cpu_us.unwrap_or_default();
        Some(Work { requests: outcome.requests, events: outcome.events, cpu_us })
    }

    /// CPU time of a contender since its start.
    fn cpu_us(&self, contender: Contender) -> anyhow::Result<u64> {
        Ok(self.sample(contender)?.cpu_us)
    }

    fn sample(&self, contender: Contender) -> anyhow::Result<process::Sample> {
        let pid = self.proxies.get(&contender).map_or(0, |proxy| proxy.pid);
        process::sample(pid).with_context(|| format!("read what {} uses", contender.name()))
    }

    fn measure_latency(&mut self, case: &LatencyCase) -> anyhow::Result<()> {
        // What is started here ends with this measurement.
        let _awake = match case.wait {
            Wait::Awake => self.machine.keep_awake()?,
            Wait::Asleep | Wait::Polling => Vec::new(),
        };
        if case.wait != Wait::Polling {
            return self.measure_latencies(case);
        }
        let mock = self.proxies.get(&Contender::Direct).map(|mock| mock.address.clone());
        let Some(usual) = self.proxies.remove(&Contender::Gantry) else { return Ok(()) };
        let polling = proxies::polling_gantry(self.machine, &mock.unwrap_or_default())?;
        self.proxies.insert(Contender::Gantry, polling);
        let requests = self.gantry_requests;
        self.measure_latencies(case)?;
        self.gantry_requests = requests;
        self.proxies.insert(Contender::Gantry, usual);
        Ok(())
    }

    fn measure_latencies(&mut self, case: &LatencyCase) -> anyhow::Result<()> {
        let mut direct = None;
        // The map's order puts the mock upstream itself first.
        for contender in self.proxies.keys().copied().collect::<Vec<_>>() {
            if !case.measures(contender) {
                continue;
            }
            let spec = Spec {
                pace: case.pace(),
                measure_ms: self.plan.latency_ms,
                ..self.spec(contender, Case::Plain)
            };
            let seconds = spec.measure_ms as f64 / 1000.0;
            let due = Due::Requests(f64::from(case.per_second) * seconds * REQUESTS_LEAST);
            let Some(outcome) = self.load(contender, &spec, due) else { continue };
            let milliseconds = |us: Option<u64>| us.unwrap_or_default() as f64 / 1000.0;
            let found = (milliseconds(outcome.p50_us), milliseconds(outcome.p99_us));
            if contender == Contender::Direct {
                direct = Some(found);
            }
            let base = if contender == Contender::Direct { Some((0.0, 0.0)) } else { direct };
            let Some(base) = base else { continue };
            self.results.add(case.p50, contender, found.0 - base.0);
            self.results.add(case.p99, contender, found.1 - base.1);
        }
        Ok(())
    }

    fn measure_peak(&mut self) -> anyhow::Result<()> {
        for contender in self.running() {
            let kib = self.sample(contender)?.peak_kib;
            self.results.add(Row::Peak, contender, kib as f64 / 1024.0);
        }
        Ok(())
    }

    /// Looks at what Gantry left on disk after it has stopped.
    fn measure_records(&mut self) {
        let Some(mut gantry) = self.proxies.remove(&Contender::Gantry) else { return };
        gantry.running.stop();
        let bytes = gantry.data.as_deref().map_or(0, proxies::bytes_below);
        let per_request = bytes as f64 / self.gantry_requests.max(1) as f64;
        self.results.record_bytes.push(per_request);
        // A record names caller, route, tokens, cost and times: fewer bytes cannot hold it, even
        // compressed.
        if per_request < 8.0 {
            let text = format!("Gantry: {per_request:.1} bytes of records per request: none kept");
            self.results.invalid.push(text);
        }
    }

    fn spec(&self, contender: Contender, case: Case) -> Spec {
        let proxy = self.proxies.get(&contender);
        Spec {
            target: proxy.map(|proxy| proxy.address.clone()).unwrap_or_default(),
            case,
            connections: super::plan::CONNECTIONS,
            pace: Pace::Closed,
            warm_ms: self.plan.warm_ms,
            measure_ms: self.plan.request_slice_ms,
            watch_pid: proxy.map(|proxy| proxy.pid),
        }
    }

    /// Runs the load; `None` when the measurement is invalid, which is noted. A measurement during
    /// which the host ran others in place of this machine says little of the proxy: it is taken
    /// again, and the least disturbed one counts, whatever it says.
    fn load(&mut self, contender: Contender, spec: &Spec, due: Due) -> Option<Outcome> {
        let mut best = self.load_once(contender, spec, &due);
        let mut tries = 1;
        while best.0 > STOLEN_MOST && tries < TRIES_MOST && self.repetitions_left > 0 {
            tries += 1;
            self.repetitions_left -= 1;
            let again = self.load_once(contender, spec, &due);
            best = if again.0 < best.0 { again } else { best };
        }
        self.results.repetitions += tries - 1;
        self.results.repeated += u32::from(tries > 1);
        let (stolen, outcome) = best;
        let outcome = self.valid(contender, spec, outcome);
        self.results.stolen.extend(outcome.as_ref().map(|_| stolen));
        outcome
    }

    /// The outcome, if it is valid; if not, that is noted.
    fn valid(
        &mut self,
        contender: Contender,
        spec: &Spec,
        outcome: Result<Outcome, String>,
    ) -> Option<Outcome> {
        let note = |wrong| {
            let text = format!("{}, {:?}: {wrong}", contender.name(), spec.case);
            eprintln!("invalid: {text}");
            self.results.invalid.push(text);
        };
        outcome.map_err(note).ok()
    }

    /// The share of time that the host took meanwhile, and the outcome or what is wrong with it.
    fn load_once(
        &mut self,
        contender: Contender,
        spec: &Spec,
        due: &Due,
    ) -> (f64, Result<Outcome, String>) {
        let (before, cpu_before) = (CoreTime::now(), self.cpu_us(contender).unwrap_or_default());
        let outcome = drive(self.machine, spec).map_err(|error| format!("{error:#}"));
        let stolen = CoreTime::now().stolen_since(before);
        let cpu_after = self.cpu_us(contender).unwrap_or_default();
        if let Ok(outcome) = &outcome {
            let (requests, events) = (outcome.all_requests, outcome.all_events);
            let cpu_us = cpu_after.saturating_sub(cpu_before);
            let work = Work { requests, events, cpu_us };
            self.loaded.entry(contender).or_default().add(work);
        }
        if let (Ok(outcome), Contender::Gantry) = (&outcome, contender) {
            self.gantry_requests += outcome.requests;
        }
        let judged = outcome.and_then(|outcome| match due.missed(&outcome) {
            Some(wrong) => Err(wrong),
            None => Ok(outcome),
        });
        (stolen, judged)
    }
}

/// Runs the load driver once.
pub(super) fn drive(machine: &Machine, spec: &Spec) -> anyhow::Result<Outcome> {
    let program = Program {
        cores: &machine.load_core,
        command: vec![
            machine.bench.display().to_string(),
            "load".to_owned(),
            serde_json::to_string(spec)?,
        ],
        environment: Vec::new(),
        log: machine.folder.join("load.log"),
    };
    Ok(serde_json::from_str(&program.output()?)?)
}

/// What a measurement must bring to count.
enum Due {
    Any,
    Events(f64),
    Requests(f64),
}

fn due_events(spec: &Spec, gap_ms: u32) -> Due {
    let streams = f64::from(spec.connections);
    Due::Events(streams * spec.measure_ms as f64 / f64::from(gap_ms) * EVENTS_LEAST)
}

impl Due {
    /// Why the outcome does not count.
    fn missed(&self, outcome: &Outcome) -> Option<String> {
        if outcome.errors > 0 {
            let first = outcome.first_error.as_deref().unwrap_or("unknown");
            return Some(format!("{} wrong answers, first: {first}", outcome.errors));
        }
        let (found, least, of) = match self {
            Self::Any => (outcome.requests, 1.0, "answers"),
            Self::Events(least) => (outcome.events, *least, "events"),
            Self::Requests(least) => (outcome.requests, *least, "answers"),
        };
        let short = (found as f64) < least;
        short.then(|| format!("{found} {of} instead of at least {least:.0}"))
    }
}
