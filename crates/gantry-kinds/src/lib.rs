//! Manifests: their kinds, schema, checks, and the catalogue of providers and prices.
//!
//! The control plane and the command line go by it; the path of a request does not. It is pure: no
//! IO, no tokio, no clock, no randomness.

pub mod catalogue;
mod grant;
pub mod kind;
pub mod kinds;
pub mod manifest;
pub mod price;
pub mod registry;
pub mod roles;
pub mod schema;
pub mod secrets;
pub mod snapshot;
pub mod variables;
