//! Keeps Gantry alone under one load, so that a profiler can look at it.

use super::machine::Machine;
use super::plan::{CONNECTIONS, Contender, TICKING_STREAMS};
use super::proxies;
use super::rounds::drive;
use super::spec::{Case, Pace, Spec};
use anyhow::Context as _;

/// Length of the load.
const SECONDS: u64 = 60;

/// Starts Gantry and the load, and says how to attach `perf`.
pub(super) fn run(machine: &Machine, case: &str) -> anyhow::Result<()> {
    let case: Case = serde_json::from_value(case.into()).context("read the case")?;
    let mock = proxies::mock(machine)?;
    let proxy = proxies::start(machine, Contender::Gantry, &mock.address, &[])?;
    println!("Gantry is process {} and under load for {SECONDS} s:", proxy.pid);
    println!("  perf record --call-graph dwarf --pid {} -- sleep 20", proxy.pid);
    let connections = match case {
        Case::Plain | Case::ChatToMessages | Case::MessagesToChat => CONNECTIONS,
        Case::Upload => 8,
        Case::Ticks | Case::Slow | Case::ChatToMessagesTicks | Case::MessagesToChatTicks => {
            TICKING_STREAMS
        }
    };
    let spec = Spec {
        target: proxy.address.clone(),
        case,
        connections,
        pace: Pace::Closed,
        warm_ms: 1000,
        measure_ms: SECONDS * 1000,
        watch_pid: Some(proxy.pid),
    };
    println!("{}", serde_json::to_string_pretty(&drive(machine, &spec)?)?);
    Ok(())
}
