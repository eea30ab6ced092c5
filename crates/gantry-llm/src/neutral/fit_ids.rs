//! Ids of calls and of the end user within the limits of the upstream.
//!
//! `translate` calls it. A call and its result get the same id.

use super::fitted::fitted;
use super::{Body, Losses, Request, Str};
use gantry_model::facts::{Limit, Limits};

const NOTE: &str = "changed, because the upstream takes no such string";

/// Changes ids that the upstream does not take.
pub(crate) fn fit_ids(request: &mut Request<'_>, limits: &Limits, losses: &mut Losses) {
    if let (Some(limit), Some(user)) = (&limits.user, &mut request.user)
        && fit(user, limit)
    {
        losses.approximated(request.names.user, NOTE);
    }
    let Some(limit) = &limits.call_id else { return };
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let id = match &mut part.body {
            Body::ToolCall(call) => &mut call.id,
            Body::ToolResult(result) => &mut result.id,
            _ => continue,
        };
        if fit(id, limit) {
            // Calls and results stay together, so that nothing is lost.
            losses.added("messages", "ids of calls that the upstream does not take are changed");
        }
    }
}

fn fit(text: &mut Str<'_>, limit: &Limit) -> bool {
    let Some(short) = fitted(text, limit) else { return false };
    *text = short.into();
    true
}
