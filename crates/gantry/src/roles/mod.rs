//! The roles: which parts a process is made of, and how it starts and ends.

mod admin;
#[cfg(feature = "control-plane")]
mod analytics;
#[cfg(feature = "control-plane")]
pub(crate) mod control_plane;
#[cfg(feature = "control-plane")]
mod control_threads;
#[cfg(feature = "control-plane")]
mod discovery;
mod files;
pub(crate) mod gateway;
#[cfg(feature = "control-plane")]
mod greeting;
mod handed_over;
#[cfg(feature = "control-plane")]
mod lake;
mod process;
mod serve;
#[cfg(feature = "control-plane")]
mod sink;
mod telemetry;
#[cfg(feature = "control-plane")]
pub(crate) mod up;
