//! The gateway in process against the fault-injecting mock upstream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod access;
mod billing;
mod bodies;
mod bounds;
mod cors;
mod deadline;
mod early;
mod fallback;
mod fit;
mod forwarding;
mod harness;
mod held;
mod keep_alive;
mod last_event;
mod leaving;
mod limits;
mod long_bodies;
mod outcomes;
mod privacy;
mod records;
mod routing;
mod screens;
mod secrets;
mod toy;
#[path = "../../../gantry-llm/tests/it/toy_dialect.rs"]
mod toy_dialect;
mod traces;
mod translation;
