//! The commands that talk to a control plane.

mod changes;
mod connection;
mod follow;
pub(crate) mod logs;
pub(crate) mod manifests;
mod text;
pub(crate) mod token;
pub(crate) mod usage;
mod yaml;

use std::future::Future;

/// Runs a command's future on a small runtime of its own.
fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}
