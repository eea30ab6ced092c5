//! The binary: command line and role dispatch, nothing else.

// `out` is the only door to standard output: `println!` panics when its reader has left.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod boot;
#[cfg(not(feature = "control-plane"))]
mod build;
#[cfg(feature = "control-plane")]
mod cli;
#[cfg(feature = "control-plane")]
mod credentials;
#[cfg(feature = "control-plane")]
mod discover;
mod manifest_files;
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
    #[cfg(feature = "control-plane")]
    Up(roles::up::Arguments),
    /// Run the control plane alone.
    #[cfg(feature = "control-plane")]
    ControlPlane(roles::control_plane::Arguments),
    /// Run a gateway alone, from a control plane or from manifest files.
    Gateway(roles::gateway::Arguments),
    #[cfg(feature = "control-plane")]
    #[command(flatten)]
    Client(cli::Command),
    #[cfg(not(feature = "control-plane"))]
    #[command(external_subcommand)]
    Absent(Vec<String>),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        #[cfg(feature = "control-plane")]
        Command::Up(arguments) => roles::up::run(arguments),
        #[cfg(feature = "control-plane")]
        Command::ControlPlane(arguments) => roles::control_plane::run(arguments),
        Command::Gateway(arguments) => roles::gateway::run(arguments),
        #[cfg(feature = "control-plane")]
        Command::Client(command) => cli::run(&command),
        #[cfg(not(feature = "control-plane"))]
        Command::Absent(words) => Err(build::absent(words.first().map_or("", String::as_str))),
    };
    match out::settled(done) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(all(test, feature = "control-plane"))]
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
