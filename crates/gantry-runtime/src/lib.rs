//! The process kit: clock, ids, tasks, shutdown, background work, boot configuration, logs,
//! digests, private files and errors in words.
//!
//! Every crate that runs something uses it, so that time, randomness and tasks have one door each
//! (`clippy.toml` bans the others). It knows nothing of gateways or control planes.

pub mod boot;
pub mod clock;
pub mod digest;
pub mod errors;
pub mod files;
pub mod ids;
pub mod logging;
pub mod reconcile;
pub mod tasks;
