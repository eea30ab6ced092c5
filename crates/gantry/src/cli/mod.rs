//! The commands that talk to a control plane.

mod changes;
mod connection;
mod follow;
mod logs;
mod manifests;
mod owners;
mod text;
mod token;
mod usage;
mod yaml;

use std::future::Future;

/// All of them.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Create or update what manifests describe, all of them or none.
    Apply(manifests::ApplyArguments),
    /// Show what `apply` would change.
    Diff(manifests::DiffArguments),
    /// Show resources, all or one.
    Get(manifests::GetArguments),
    /// Delete what manifests describe, or one resource by kind and name.
    Delete(manifests::DeleteArguments),
    /// Show requests: what was asked, what answered, why, and what it cost.
    Logs(logs::Arguments),
    /// Sum up requests, tokens and cost.
    Usage(usage::Arguments),
    /// Create, list or end tokens.
    Token(token::Arguments),
}

/// Runs a command to its end.
///
/// # Errors
/// What the command says.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Apply(arguments) => manifests::apply(arguments),
        Command::Diff(arguments) => manifests::diff(arguments),
        Command::Get(arguments) => manifests::get(arguments),
        Command::Delete(arguments) => manifests::delete(arguments),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Usage(arguments) => usage::run(arguments),
        Command::Token(arguments) => token::run(arguments),
    }
}

/// Runs a command's future on a small runtime of its own.
fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}
