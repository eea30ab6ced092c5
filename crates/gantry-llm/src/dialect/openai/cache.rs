//! Cache markers of prompts, as upstreams of this dialect take them.
//!
//! The printers of requests ask it at each part that bears a marker, and report what is lost.

use crate::context::RequestContext;
use crate::dialect::json::Json;
use crate::dialect::print_blocks::cache_control;
use crate::neutral::{Cache, Losses, Part};
use gantry_model::facts::Quirks;

/// How a model is told up to where a prompt shall be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
    /// Not at all: the upstream caches on its own.
    None,
    /// Anthropic's `cache_control`, which a router passes on.
    CacheControl,
    /// OpenAI's `prompt_cache_breakpoint`, in parts of messages only.
    Breakpoint,
}

impl Markers {
    pub(super) fn of(ctx: &RequestContext<'_>) -> Self {
        if Quirks::lists(&ctx.quirks.cache_control, ctx.upstream_model) {
            Self::CacheControl
        } else if Quirks::lists(&ctx.quirks.cache_breakpoints, ctx.upstream_model) {
            Self::Breakpoint
        } else {
            Self::None
        }
    }

    /// The marker that is sent for a part, if any; reports what is lost of it.
    pub(super) fn of_part(self, part: &Part<'_>, losses: &mut Losses) -> Option<Marker> {
        let cache = part.cache?;
        match self {
            Self::None => {
                lost(format!("{}.cache_control", part.place), losses);
                return None;
            }
            Self::Breakpoint if cache == Cache::OneHour => {
                let path = format!("{}.cache_control.ttl", part.place);
                losses.approximated(path, "cached for the upstream's default lifetime");
            }
            Self::Breakpoint | Self::CacheControl => {}
        }
        Some(Marker { markers: self, cache })
    }
}

/// A marker on its way into a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marker {
    markers: Markers,
    cache: Cache,
}

impl Marker {
    /// Prints the member of the object that is open.
    pub(super) fn print(self, json: &mut Json<'_>) {
        match self.markers {
            Markers::None => {}
            Markers::CacheControl => cache_control(self.cache, json),
            Markers::Breakpoint => {
                json.member_raw("prompt_cache_breakpoint", r#"{"mode":"explicit"}"#);
            }
        }
    }
}

/// The one report for all cache markers, which most upstreams replace by caching on their own.
pub(super) fn lost(path: String, losses: &mut Losses) {
    losses.dropped_often(path, "the upstream caches prompts on its own");
}
