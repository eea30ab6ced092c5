//! `cargo xtask bench`: what Gantry costs, against nginx and a minimal pass-through, in one run.
//!
//! Called by `main`. The proxy under test runs alone on one core; mock upstream and load driver run
//! on the others. A figure is measured here or it is not printed: a missing program is named, a
//! measurement with a wrong answer is invalid.

mod children;
mod instructions;
mod machine;
mod plan;
mod probe;
#[path = "../../bench/src/load/process.rs"]
mod process;
mod profile;
mod proxies;
mod results;
mod rounds;
#[path = "../../bench/src/spec.rs"]
mod spec;
mod table;

use anyhow::Context as _;
use machine::Machine;
use plan::{Contender, Plan};
use results::Results;
use std::path::PathBuf;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One short round, about a minute: for a first look, not for the README.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; the medians count. Default 3, with --quick 1.
    #[arg(long)]
    rounds: Option<u32>,
    /// Write the table to this file as well.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// This Gantry instead of a `dist` build of the working tree, which takes half an hour when
    /// nothing is built yet.
    #[arg(long, value_name = "PATH")]
    gantry: Option<PathBuf>,
    /// The proxies to measure beside the pass-through.
    #[arg(long, value_delimiter = ',', default_value = "nginx,gantry")]
    only: Vec<Contender>,
    /// The core of the proxy under test.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Count instructions under valgrind instead: slow, but repeatable on a busy machine.
    #[arg(long, conflicts_with = "profile")]
    instructions: bool,
    /// Only keep Gantry under this load for 60 s, for a profiler, such as `plain` or `ticks`.
    #[arg(long, value_name = "CASE")]
    profile: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When a needed program is missing or a measurement was invalid. A missed target is no error.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let machine = Machine::prepare(args)?;
    if let Some(case) = &args.profile {
        return profile::run(&machine, case);
    }
    if args.instructions {
        let text = instructions::run(&machine, &args.only)?;
        return publish(args, &text);
    }
    let plan = Plan::new(args.quick, args.rounds);
    let mut results = Results::default();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        rounds::run(&machine, &plan, &args.only, &mut results)?;
    }
    publish(args, &table::print(&machine, &plan, &results)?)?;
    anyhow::ensure!(results.invalid.is_empty(), "the run is invalid: see the end of the table");
    let wanted = args.only.contains(&Contender::Gantry);
    let absent = results.absent.get(&Contender::Gantry).filter(|_| wanted);
    anyhow::ensure!(absent.is_none(), "Gantry was not measured: see the end of the table");
    Ok(())
}

fn publish(args: &Args, text: &str) -> anyhow::Result<()> {
    println!("{text}");
    if let Some(file) = &args.out {
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}
