//! What a dialect says of a request that is forwarded in it.
//!
//! The gateway describes the request and splices the edits into the caller's bytes.

use crate::scan::Index;
use bytes::Bytes;
use gantry_model::facts::Quirks;
use gantry_model::record::Loss;
use std::ops::Range;

/// A request whose caller and upstream speak one dialect.
#[derive(Clone, Debug)]
pub struct Forwarded<'a> {
    pub body: &'a Bytes,
    /// Where the body's fields stand.
    pub index: &'a Index,
    pub quirks: &'a Quirks,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Where the value of `stream_options` stands, and whether it asks for usage.
    pub stream_options: Option<Range<usize>>,
    pub include_usage: bool,
}

/// Changes of top-level fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Fields and their new values, one valid JSON value each.
    pub set: Vec<(&'static str, Bytes)>,
    pub removed: Vec<&'static str>,
    /// What the upstream is not told any more.
    pub losses: Vec<Loss>,
    /// The stream's usage event is Gantry's wish, not the caller's, who must not see it.
    pub usage_added: bool,
}
