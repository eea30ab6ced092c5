//! The step in which an attempt proves who sends it, after its head and body are known.
//!
//! It runs for each attempt anew, since signatures cover the time and tokens end. The simplest case
//! is all there is so far: fields that were printed when the snapshot was compiled.

use crate::route::Hop;
use gantry_http::exchange::RequestHead;
use gantry_model::ids::UnixMs;
use gantry_model::pieces::Pieces;
use http::Method;

/// What a signature may cover. Static fields need none of it.
#[expect(dead_code, reason = "schemes that sign the request read it")]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a Method,
    /// Path and query.
    pub(super) path: &'a str,
    pub(super) body: &'a Pieces,
    /// Wall time of this attempt.
    pub(super) now_ms: UnixMs,
}

/// Adds to the head what proves the sender, the upstream's own fields included (`host` is one).
pub(super) fn sign(hop: &Hop, _unsigned: &Unsigned<'_>, head: &mut RequestHead) {
    head.fields(&hop.model.upstream.lines);
}
