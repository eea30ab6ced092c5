//! Upstreams: where a model is served, how a call proves itself, and how it is sent.
//!
//! The catalogue of providers is data in `gantry-model`; code exists here per URL style, per auth
//! scheme and per transport only. It never decides which upstream to call.
//!
//! [`sign`] has the signatures that clouds ask for, [`credentials`] finds what to sign with.

pub mod auth;
pub mod client;
pub mod connect;
pub mod credentials;
pub mod discover;
pub mod endpoint;
pub mod http1;
pub mod pool;
pub mod sign;
mod tcp;
pub mod tls;
pub mod upstream;
pub mod xml;
