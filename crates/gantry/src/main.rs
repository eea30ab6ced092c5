//! The binary: command line and role dispatch, nothing else.

// `out` is the only door to standard output: `println!` panics when its reader has left.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod boot;
mod cli;
mod credentials;
mod discover;
mod out;
mod roles;

use clap::{Parser, Subcommand};
use gantry_runtime::errors::sentence;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The AI platform that runs inside your own cloud account.
#[derive(Parser)]
#[command(name = "gantry", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in one process: control plane and gateway.
    Up(roles::up::Arguments),
    /// Run the control plane alone.
    ControlPlane(roles::control_plane::Arguments),
    /// Run a gateway alone, from a control plane or from manifest files.
    Gateway(roles::gateway::Arguments),
    /// Create or update what manifests describe, all of them or none.
    Apply(cli::manifests::ApplyArguments),
    /// Show what `apply` would change.
    Diff(cli::manifests::DiffArguments),
    /// Show resources, all or one.
    Get(cli::manifests::GetArguments),
    /// Delete what manifests describe, or one resource by kind and name.
    Delete(cli::manifests::DeleteArguments),
    /// Show requests: what was asked, what answered, why, and what it cost.
    Logs(cli::logs::Arguments),
    /// Sum up requests, tokens and cost.
    Usage(cli::usage::Arguments),
    /// Create, list or end tokens.
    Token(cli::token::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Up(arguments) => roles::up::run(arguments),
        Command::ControlPlane(arguments) => roles::control_plane::run(arguments),
        Command::Gateway(arguments) => roles::gateway::run(arguments),
        Command::Apply(arguments) => cli::manifests::apply(&arguments),
        Command::Diff(arguments) => cli::manifests::diff(&arguments),
        Command::Get(arguments) => cli::manifests::get(&arguments),
        Command::Delete(arguments) => cli::manifests::delete(&arguments),
        Command::Logs(arguments) => cli::logs::run(&arguments),
        Command::Usage(arguments) => cli::usage::run(&arguments),
        Command::Token(arguments) => cli::token::run(&arguments),
    };
    match out::settled(done) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let path = "GANTRY_MASTER_KEY".into();
        let problem = "it holds 3 bytes instead of 32".to_owned();
        let wrong_key = gantry_store::Error::MasterKey { path, problem };
        let text = "cannot use the master key GANTRY_MASTER_KEY: it holds 3 bytes instead of 32";
        assert_eq!(sentence(&gantry_control::Error::from(wrong_key)), text);
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = anyhow::Error::new(refused).context("talk to the control plane");
        assert_eq!(sentence(error.as_ref()), "talk to the control plane: connection refused");
    }
}
