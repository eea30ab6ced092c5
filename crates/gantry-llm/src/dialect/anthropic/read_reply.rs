//! Parses a Messages reply into the neutral form.
//!
//! `translate::reply` calls it. Blocks of tools that ran at Anthropic are left out and reported.

use super::usage::Usage;
use super::wire_block::{Block, says_something};
use crate::dialect::wire;
use crate::neutral::{
    Arguments, Body, Losses, Part, Place, Reply, Stop, StopReason, Str, ToolCall,
};
use crate::translate::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow)]
    stop_sequence: Option<Str<'a>>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StopDetails<'a> {
    #[serde(borrow)]
    explanation: Option<Str<'a>>,
}

/// Parses a reply body.
pub(crate) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error> {
    let wire: Message<'a> = wire::parse(body)?;
    if wire.error.is_some() {
        let view = crate::errors::parse_value(body, 200);
        return Err(Error::new("error", format!("the upstream answered: {}", view.message)));
    }
    let blocks =
        wire.content.ok_or_else(|| Error::new("content", "the upstream sent no content"))?;
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, each) in blocks.into_iter().enumerate() {
        if says_something(each.citations) {
            losses.dropped_often(format!("reply.content[{index}].citations"), "has no counterpart");
        }
        match body_of(each) {
            Ok(body) => {
                parts.push(Part { place: Place::top("content").at(index), cache: None, body });
            }
            Err(kind) => losses.dropped(
                format!("reply.content[{index}]"),
                &format!("blocks of type `{}` have no counterpart", &*kind),
            ),
        }
    }
    Ok(Reply {
        parts,
        stop: stop(wire.stop_reason.as_deref(), wire.stop_sequence, wire.stop_details, losses),
        usage: wire.usage.map(|usage| usage.read()),
    })
}

/// The neutral form of a block; its type if there is none.
fn body_of(block: Block<'_>) -> Result<Body<'_>, Str<'_>> {
    Ok(match &*block.kind {
        "text" => Body::Text(block.text.unwrap_or_default()),
        "thinking" => {
            Body::Thinking { text: block.thinking.unwrap_or_default(), signature: block.signature }
        }
        "redacted_thinking" => Body::RedactedThinking(block.data.unwrap_or_default()),
        "tool_use" => Body::ToolCall(ToolCall {
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            arguments: block.input.map_or(Arguments::Text("".into()), Arguments::Json),
        }),
        _ => return Err(block.kind),
    })
}

/// Why the answer ended.
pub(super) fn stop<'a>(
    reason: Option<&str>,
    sequence: Option<Str<'a>>,
    details: Option<&'a RawValue>,
    losses: &mut Losses,
) -> Stop<'a> {
    let reason = match reason {
        Some("end_turn") | None => StopReason::End,
        Some("stop_sequence") => StopReason::StopSequence,
        Some("max_tokens") => StopReason::MaxTokens,
        Some("tool_use") => StopReason::ToolUse,
        Some("pause_turn") => StopReason::Pause,
        Some("refusal") => StopReason::Refusal,
        Some("model_context_window_exceeded") => StopReason::ContextWindow,
        Some(other) => {
            losses.once("reply.stop_reason", &format!("`{other}` is not known"));
            StopReason::End
        }
    };
    let explanation = details
        .and_then(|raw| serde_json::from_str::<StopDetails<'a>>(raw.get()).ok())
        .and_then(|details| details.explanation);
    Stop { reason, sequence, explanation, details }
}
