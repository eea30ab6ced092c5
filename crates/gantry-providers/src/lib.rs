//! Upstreams: where a model is served and how a call proves itself.
//!
//! What is known of them comes with the snapshot. It never decides which upstream to call.

pub mod auth;
pub mod upstream;
