//! The roles: which parts a process is made of, and how it starts and ends.

mod admin;
mod analytics;
pub(crate) mod control_plane;
mod discovery;
mod files;
mod follow;
pub(crate) mod gateway;
mod greeting;
mod process;
mod serve;
mod ship;
mod shipped;
mod snapshot_file;
mod telemetry;
pub(crate) mod up;
