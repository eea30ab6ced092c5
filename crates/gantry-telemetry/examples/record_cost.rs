//! Measures what one `Recorder::record` costs the thread that calls it.
//!
//! `cargo run --release -p gantry-telemetry --example record_cost -- <threads> <per second>`

use gantry_model::ids::RequestId;
use gantry_model::record::{Attempt, RequestRecord, RouteStep};
use gantry_runtime::clock::Clock;
use gantry_telemetry::journal;
use gantry_telemetry::metrics::Metrics;
use gantry_telemetry::names::DropReason;
use gantry_telemetry::recorder::{Options, Recorder};
use std::sync::Arc;
use std::time::Duration;

/// Records are prepared outside the measured time, in bursts of this many.
const BURST: u64 = 50;

fn record(id: u64) -> Box<RequestRecord> {
    Box::new(RequestRecord {
        id: Some(RequestId(u128::from(id))),
        tenant: "acme".into(),
        subject: "user:ann@acme.example".into(),
        operation: "chat".into(),
        model: "fast".into(),
        resolved_model: "openai/gpt-5-mini".into(),
        status: 200,
        route: vec![RouteStep {
            target: "openai/gpt-5-mini".into(),
            verdict: "chosen".into(),
            reason: "weight 70 of 100".into(),
            ..RouteStep::default()
        }],
        attempts: vec![Attempt { target: "openai/gpt-5-mini".into(), ..Attempt::default() }],
        ..RequestRecord::default()
    })
}

/// Median and largest mean cost of a call in a burst, in nanoseconds.
fn measure(recorder: &Recorder, clock: &Clock, rate: u64) -> (u64, u64) {
    let mut costs = Vec::new();
    let began = clock.monotonic_us();
    for burst in 0..2_000u64 {
        let records: Vec<_> = (0..BURST).map(|number| record(burst * BURST + number)).collect();
        let start = clock.monotonic_us();
        for record in records {
            recorder.record(record);
        }
        costs.push((clock.monotonic_us() - start) * 1_000 / BURST);
        let due = began + (burst + 1) * BURST * 1_000_000 / rate;
        std::thread::sleep(Duration::from_micros(due.saturating_sub(clock.monotonic_us())));
    }
    costs.sort_unstable();
    (costs.get(costs.len() / 2).copied().unwrap_or(0), costs.last().copied().unwrap_or(0))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let rate = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::default());
    let journal = Some(journal::Options::new(dir.path().to_owned()));
    let options = Options { journal, ..Options::new(metrics.clone(), clock.clone()) };
    let recorder = Recorder::start(options)?;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (recorder, clock) = (recorder.clone(), clock.clone());
            scope.spawn(move || {
                let (median, worst) = measure(&recorder, &clock, rate);
                println!("thread {thread}: median {median} ns, worst burst {worst} ns a call");
            });
        }
    });
    println!("flushed: {}", recorder.close(Duration::from_secs(20)));
    println!("dropped, queue full: {}", metrics.dropped_so_far(DropReason::QueueFull));
    Ok(())
}
