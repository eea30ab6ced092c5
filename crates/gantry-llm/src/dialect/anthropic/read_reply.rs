//! Parses a Messages reply into the neutral form.
//!
//! `translate::reply` calls it. Blocks of tools that ran at Anthropic are left out and reported.

use super::usage::{Usage, Used};
use super::wire_block::{Block, says_something};
use crate::context::Error;
use crate::dialect::read_error;
use crate::dialect::wire::{self, wire};
use crate::finish::{self, Finish};
use crate::neutral::{
    Arguments, Body, Losses, Part, Place, Raw, Reply, Stop, StopReason, Str, Text, ToolCall,
};

wire! {
    struct Message<'a> {
        may content: Vec<Block<'a>>,
        may error: Raw<'a>,
        lax stop_reason: Str<'a>,
        lax stop_sequence: Str<'a>,
        lax stop_details: Raw<'a>,
        lax usage: Usage,
    }

    struct StopDetails<'a> {
        may explanation: Str<'a>,
    }
}

/// Parses a reply body.
pub(crate) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error> {
    let mut wire = Message::default();
    wire::parse_into(&mut wire, body)?;
    if wire.error.is_some_and(|raw| !matches!(raw.get(), "false" | "\"\"")) {
        let view = read_error::read(200, body);
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
    let mut used = Used::default();
    used.take(wire.usage, false);
    let told = Told { reason: wire.stop_reason.as_deref(), said: !parts.is_empty() };
    Ok(Reply {
        parts,
        stop: stop(told, wire.stop_sequence, wire.stop_details, losses)
            .map_err(|message| Error::new("stop_reason", message))?,
        usage: used.usage(),
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
            arguments: block.input.map_or(Arguments::Text(Text::default()), Arguments::Json),
            signature: None,
        }),
        _ => return Err(block.kind),
    })
}

/// The reason to stop, and whether there is an answer before it.
pub(super) struct Told<'r> {
    pub(super) reason: Option<&'r str>,
    pub(super) said: bool,
}

/// Why the answer ended.
///
/// # Errors
/// When the reason says that there is no answer.
pub(super) fn stop<'a>(
    Told { reason, said }: Told<'_>,
    sequence: Option<Str<'a>>,
    details: Option<Raw<'a>>,
    losses: &mut Losses,
) -> Result<Stop<'a>, String> {
    let named = reason.unwrap_or_default();
    let reason = match finish::of(named) {
        Finish::Ends(reason) => reason,
        Finish::GoesOn => StopReason::End,
        Finish::Filtered => StopReason::Refusal,
        Finish::Failed => return Err(finish::sentence(named)),
        Finish::Unknown if !said => return Err(finish::sentence(named)),
        Finish::Unknown => {
            losses.once("reply.stop_reason", &format!("`{named}` is not known"));
            StopReason::End
        }
    };
    let explanation = details
        .and_then(|raw| wire::parse_text::<StopDetails<'a>>(raw.get()).ok())
        .and_then(|details| details.explanation);
    Ok(Stop { reason, sequence, explanation, details })
}
