//! Kinds, names, money, tokens, records and REST types of Gantry.
//!
//! Every other crate depends on this one; it depends on none of them. It is pure: no IO, no tokio,
//! no clock, no randomness. Time comes in as milliseconds since the Unix epoch.

pub mod catalogue;
pub mod estimate;
mod grant;
pub mod ids;
pub mod kinds;
pub mod manifest;
pub mod money;
pub mod price;
pub mod record;
pub mod rest;
pub mod roles;
pub mod schema;
pub mod secret;
pub mod secrets;
pub mod snapshot;
pub mod subject;
pub mod trace;
pub mod usage;
