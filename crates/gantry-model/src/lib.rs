//! Ids, money, tokens, records, facts about upstreams and REST types of Gantry.
//!
//! Every other crate depends on this one; it depends on none of them. It is pure: no IO, no tokio,
//! no clock, no randomness. Time comes in as milliseconds since the Unix epoch.

pub mod cut;
pub mod estimate;
pub mod facts;
pub mod glob;
pub mod ids;
pub mod money;
pub mod nearest;
pub mod pieces;
pub mod price;
pub mod printable;
pub mod record;
pub mod rest;
pub mod secret;
pub mod snapshot;
pub mod subject;
pub mod trace;
pub mod usage;
