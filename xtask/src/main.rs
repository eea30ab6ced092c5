//! The tools of the house: `cargo xtask tidy | check | codegen | bench | prices`.
//!
//! Developers, `./dev` and CI call it. It never reaches the network and never changes a file
//! outside the repository and the cargo target directory.

mod bench;
mod check;
mod codegen;
mod prices;
mod records_page;
mod slim;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tools for those who work on Gantry.
#[derive(Parser)]
#[command(name = "xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the house rules that neither rustc nor clippy can see.
    Tidy(tidy::Args),
    /// Run what CI runs on Rust code: format, house rules, generated files, lints, tests.
    Check(check::Args),
    /// Write the files that are generated from code (schemas/).
    Codegen(codegen::Args),
    /// Measure Gantry against a plain proxy.
    Bench(bench::Args),
    /// Work on the price catalogue.
    Prices(prices::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Tidy(args) => tidy::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Codegen(args) => codegen::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Prices(args) => prices::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
