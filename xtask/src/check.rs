//! `cargo xtask check`: everything that CI runs on Rust code, in the order that fails soonest.
//!
//! `./dev test` calls it. It stops at the first step that fails and repeats the command of that
//! step, so that it can be run alone.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{codegen, slim, tidy, workspace};

/// Arguments of `cargo xtask check`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the tests out: format, house rules, generated files and lints only.
    #[arg(long)]
    no_tests: bool,
}

const FORMAT: &[&str] = &["fmt", "--all", "--check"];
const LINTS: &[&str] =
    &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
const TESTS: &[&str] = &["test", "--locked", "--workspace"];

/// The tests that need PostgreSQL are ignored by themselves; they lie in the binaries `it`.
const ON_POSTGRES: &[&str] =
    &["test", "--locked", "--workspace", "--test", "it", "--", "--ignored"];

/// Names the folder of PostgreSQL's programs; `./dev test` sets it.
const POSTGRES: &str = "GANTRY_TEST_POSTGRES";

/// Runs all checks.
///
/// # Errors
/// Names the first check that failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    cargo(FORMAT, "run `cargo fmt --all`")?;
    announce("cargo xtask tidy");
    tidy::run(&tidy::Args {})?;
    announce("cargo xtask codegen --check");
    codegen::run(&codegen::Args { check: true })?;
    announce("the build of the gateway alone");
    slim::check()?;
    cargo(LINTS, "mend the lints above")?;
    cargo(&slim_lints(), "mend the lints above, in the build of the gateway alone")?;
    if !args.no_tests {
        cargo(TESTS, "mend the tests above")?;
        return on_postgres();
    }
    Ok(())
}

/// Runs the tests on PostgreSQL, or says aloud that they were not run.
fn on_postgres() -> anyhow::Result<()> {
    if std::env::var_os(POSTGRES).is_some() {
        return cargo(ON_POSTGRES, "mend the tests above");
    }
    println!(
        "== NOT RUN: the tests on PostgreSQL. `./dev test` runs them; or set {POSTGRES} to the \
         folder of initdb, pg_ctl and postgres (such as /usr/lib/postgresql/15/bin)"
    );
    Ok(())
}

/// The lints of the build of the gateway alone, so that it goes on to compile.
fn slim_lints() -> Vec<&'static str> {
    let (before, after) = (["clippy", "--locked"], ["--", "-D", "warnings"]);
    before.into_iter().chain(slim::SELECTION).chain(after).collect()
}

fn cargo(arguments: &[&str], advice: &str) -> anyhow::Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    announce(&line);
    let mut command = Command::new(env!("CARGO"));
    let status = command.args(arguments).current_dir(workspace::root()).status();
    if !status.with_context(|| format!("start `{line}`"))?.success() {
        bail!("`{line}` failed: {advice}");
    }
    Ok(())
}

fn announce(command: &str) {
    println!("== {command}");
}
