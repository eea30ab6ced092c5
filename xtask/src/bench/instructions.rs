//! Instructions per request under callgrind: repeatable on a machine that others use as well.
//!
//! Each proxy runs twice, with few and with many requests; the difference leaves start and stop
//! out. Instructions of the kernel are not in it, so the ratio is not that of CPU time.

use super::machine::Machine;
use super::plan::Contender;
use super::proxies;
use super::rounds::drive;
use super::spec::{Case, Pace, Spec};
use anyhow::{Context as _, ensure};
use std::fmt::Write as _;
use std::fs::read_to_string;

/// Requests of the two runs. With streams, one request has 200 events.
const FEW: u64 = 100;
const MANY: u64 = 1100;

/// Cases, what is counted, and how many units one request has.
const CASES: [(Case, &str, f64, f64); 4] = [
    (Case::Plain, "plain request", 1.0, 1.0),
    (Case::ChatToMessages, "request, chat to messages", 1.0, 1.0),
    (Case::Ticks, "stream event", 200.0, 0.2),
    (Case::Upload, "1 MiB prompt", 1.0, 0.1),
];

/// Measures and prints a table.
pub(super) fn run(machine: &Machine, only: &[Contender]) -> anyhow::Result<String> {
    ensure!(super::children::find("valgrind").is_some(), "`valgrind` is missing: install it");
    let mut text = String::from(
        "| instructions per | pass-through | Gantry | Gantry : pass-through |\n|---|--:|--:|--:|\n",
    );
    let mut plain = None;
    for (case, label, units, share) in CASES {
        let requests = ((FEW as f64 * share) as u64, (MANY as f64 * share) as u64);
        let each = |contender| per_request(machine, contender, case, requests);
        let theirs = match case {
            Case::ChatToMessages => plain,
            _ => Some(each(Contender::PassThrough)? / units),
        };
        plain = plain.or(theirs);
        let ours = if only.contains(&Contender::Gantry) && machine.gantry.is_ok() {
            Some(each(Contender::Gantry)? / units)
        } else {
            None
        };
        let show = |figure: Option<f64>| figure.map_or("-".to_owned(), |n| format!("{n:.0}"));
        let ratio = ours.zip(theirs).map_or("-".to_owned(), |(a, b)| format!("{:.2}", a / b));
        writeln!(text, "| {label} | {} | {} | {ratio} |", show(theirs), show(ours))?;
    }
    if let Err(why) = &machine.gantry {
        writeln!(text, "\n**Gantry: {why}.**")?;
    }
    writeln!(text, "\nUser instructions, by callgrind. {}.", machine.describe())?;
    Ok(text)
}

fn per_request(
    machine: &Machine,
    contender: Contender,
    case: Case,
    (few, many): (u64, u64),
) -> anyhow::Result<f64> {
    let less = count(machine, contender, case, few)?;
    let more = count(machine, contender, case, many)?;
    Ok((more.saturating_sub(less)) as f64 / (many - few) as f64)
}

/// Instructions of a whole process that answers `requests`.
fn count(
    machine: &Machine,
    contender: Contender,
    case: Case,
    requests: u64,
) -> anyhow::Result<u64> {
    let file = machine.folder.join("callgrind.out");
    let _ = std::fs::remove_file(&file);
    let wrapper = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", file.display()),
    ];
    let mock = proxies::mock(machine)?;
    let mut proxy = proxies::start(machine, contender, &mock.address, &wrapper)?;
    let spec = Spec {
        target: proxy.address.clone(),
        case,
        connections: 8,
        pace: Pace::Count(requests),
        warm_ms: 0,
        measure_ms: 0,
        watch_pid: None,
    };
    let outcome = drive(machine, &spec)?;
    ensure!(
        outcome.errors == 0 && outcome.requests == requests,
        "{}: {:?}",
        contender.name(),
        outcome.first_error
    );
    proxy.running.stop();
    let text = read_to_string(&file).context("read what callgrind wrote")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("find callgrind's totals")?.trim().parse()?)
}
