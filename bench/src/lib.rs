//! The programs around the proxy under test: mock upstream, minimal pass-through, load driver.
//!
//! `cargo xtask bench` starts them pinned to cores and compares what they report. They are lean on
//! purpose: mock and driver share cores with each other, and the pass-through is the yardstick.
//! They never parse JSON, never log, and never stand in for Gantry in a test.

mod cases;
pub mod load;
pub mod mock;
pub mod passthrough;
mod spec;

use std::future::Future;

/// Starts a task without the name and the panic guard of `gantry_runtime::tasks`: the yardstick
/// must not pay for what only Gantry needs, and these programs may simply die.
fn detach<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    drop(tokio::runtime::Handle::current().spawn(task));
}

/// Runs `program` on a runtime of this one thread.
///
/// # Errors
/// When the runtime cannot start, or what `program` returns.
pub fn on_one_thread<F, T>(program: F) -> std::io::Result<T>
where
    F: Future<Output = std::io::Result<T>>,
{
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(program)
}
