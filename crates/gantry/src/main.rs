//! The binary: command line and role dispatch, nothing else.

mod boot;
mod cli;
mod roles;

use clap::{Parser, Subcommand};
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
    /// Create a token.
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
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry: {}", said(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, in one sentence.
fn said(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A transparent error repeats its cause.
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
