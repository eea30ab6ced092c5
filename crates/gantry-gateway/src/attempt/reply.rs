//! What an attempt ends with: a reply that was judged and may go out.
//!
//! The attempt makes it, `reply` prints its head, and `relay` sends its frames.

use super::pump::{Pump, Told};
use crate::snapshot::Model;
use bytes::Bytes;
use gantry_http::http1::Fields;
use gantry_model::record::Loss;
use std::sync::Arc;

/// A reply, good or bad; boxed, since it is handed up through several futures.
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) frames: Frames,
}

pub(crate) struct Head {
    pub(crate) model: Arc<Model>,
    pub(crate) status: u16,
    /// The upstream's.
    pub(crate) fields: Fields,
    /// The body's bytes may not be the upstream's.
    pub(crate) altered: bool,
    pub(crate) losses: Vec<Loss>,
    /// How many of them are the request's; the others are the reply's so far.
    pub(crate) request_losses: usize,
    /// When the attempt began, on the monotonic clock; 0 where no attempt is measured.
    pub(crate) started_us: u64,
}

impl Head {
    /// Of a reply that Gantry itself makes for `model`.
    pub(super) fn of(model: &Arc<Model>) -> Self {
        Self {
            model: model.clone(),
            status: 200,
            fields: Fields::default(),
            altered: true,
            losses: Vec::new(),
            request_losses: 0,
            started_us: 0,
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "the reply is boxed as a whole")]
pub(crate) enum Frames {
    /// A body that no meter and no screen looks at: Gantry's own count, an upstream's error.
    Said {
        body: Bytes,
        /// The upstream's error, when it is one.
        error: Option<String>,
    },
    Gated(Gated),
}

/// What the gate let through, and the pump that brings the rest.
pub(crate) struct Gated {
    pub(crate) pump: Pump,
    /// Whether the caller asked for a stream.
    pub(crate) stream: bool,
    /// What was held back, in the caller's dialect. Empty frames are none.
    pub(crate) first: Bytes,
    pub(crate) more: Vec<Bytes>,
    pub(crate) tokens: u32,
    pub(crate) end: End,
}

/// How far a reply has come when the gate opens.
pub(crate) enum End {
    /// More comes.
    Open,
    /// It was all.
    Ended,
    /// The upstream's own error came behind the first token.
    Error(Told),
    /// A screen stopped it, and says why.
    Blocked(String),
}
