//! Upstreams: where a model is served and how a call proves itself.
//!
//! The catalogue of providers is data in `gantry-kinds`; code exists here per URL style and per
//! auth scheme only. It never decides which upstream to call.

pub mod auth;
pub mod discover;
pub mod upstream;
