//! Dialects: from bytes to one neutral form and back, with a report of what did not fit.
//!
//! The gateway calls it; it is pure: no IO, no tokio, no clock, no randomness.

mod context;
pub mod dialect;
pub mod errors;
mod finish;
mod marks;
pub mod neutral;
pub mod observe;
pub mod operation;
pub mod scan;
pub mod screen;
pub mod shape;
pub mod splice;
pub mod sse;
pub mod stream;
pub mod translate;
mod whole;
