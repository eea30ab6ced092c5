//! Prints a neutral reply as a Messages reply.
//!
//! `translate::reply` calls it.

use super::usage;
use crate::context::ReplyContext;
use crate::dialect::json::{Json, Piece};
use crate::dialect::print_blocks::{input, redacted, thinking};
use crate::marks::{OF_CALL, UNSIGNED, spelled_id};
use crate::neutral::{Body, Losses, Reply, StopReason, Text, ToolCall};

/// Prints a reply body; returns its stop reason.
pub(crate) fn print(
    reply: &Reply<'_>,
    ctx: &ReplyContext<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> &'static str {
    let mut json = Json::new(out);
    json.open(b'{');
    head(ctx.request_id, ctx.model, &mut json);
    json.run(r#","content":["#);
    let mut calls = 0;
    for part in &reply.parts {
        match &part.body {
            Body::Text(text) | Body::Refusal(text) => {
                json.open(b'{');
                json.run(r#""type":"text","text":"#);
                json.text(text);
                json.close(b'}');
            }
            Body::Thinking { text, signature } => {
                let signature = signature.as_ref().unwrap_or(&Text::Plain(UNSIGNED));
                thinking(text, Some(signature), &mut json);
            }
            Body::RedactedThinking(data) => redacted(data, &mut json),
            Body::ToolCall(call) => {
                if let Some(signature) = &call.signature {
                    call_signature(signature, &mut json);
                }
                tool_use(call, (ctx.request_id, calls), losses, &mut json);
                calls += 1;
            }
            // No dialect answers with these.
            Body::Image(_) | Body::Document(_) | Body::ToolResult(_) => {
                losses.dropped(part.place, "has no counterpart");
            }
        }
    }
    json.close(b']');
    json.member_str("stop_reason", stop_reason(reply.stop.reason));
    stop_sequence(reply.stop.sequence.as_deref(), &mut json);
    json.run(r#","usage":"#);
    usage::print(&reply.usage.unwrap_or_default(), &mut json);
    json.close(b'}');
    stop_reason(reply.stop.reason)
}

/// The signature of the call behind it, in a thinking block, because callers send these back.
fn call_signature(signature: &Text<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.run(r#""type":"thinking","thinking":"","signature":"#);
    json.concat([Piece::Str(OF_CALL), Piece::Text(signature)]);
    json.close(b'}');
}

/// The members from `id` to `model`.
pub(super) fn head(request_id: &str, model: &str, json: &mut Json<'_>) {
    json.key("id");
    json.concat(["msg_", request_id].map(Piece::Str));
    json.run(r#","type":"message","role":"assistant","model":"#);
    json.str(model);
}

fn tool_use(
    call: &ToolCall<'_>,
    (request_id, index): (&str, usize),
    losses: &mut Losses,
    json: &mut Json<'_>,
) {
    json.open(b'{');
    json.member_str("type", "tool_use");
    let made_up = call.id.is_empty().then(|| call_id(request_id, index));
    json.member_str("id", &spelled_id(made_up.as_deref().unwrap_or(&call.id)));
    json.member_str("name", &call.name);
    if input(call, json) {
        losses.approximated(arguments_of(index), NO_OBJECT);
    }
    json.close(b'}');
}

/// Where the arguments of a call stand.
pub(super) fn arguments_of(call: usize) -> String {
    format!("reply.tool_calls[{call}].function.arguments")
}

/// What is told of arguments that are no object.
pub(super) const NO_OBJECT: &str = "no JSON object, so sent as {\"arguments\": text}";

/// An id for a call that came without one, the same each time it is asked for.
pub(super) fn call_id(request_id: &str, index: usize) -> String {
    format!("toolu_{request_id}_{index}")
}

/// The `stop_sequence` member, which is null for all other reasons.
pub(super) fn stop_sequence(sequence: Option<&str>, json: &mut Json<'_>) {
    json.run(r#","stop_sequence":"#);
    match sequence {
        Some(text) => json.str(text),
        None => json.run("null"),
    }
}

/// The name of a reason in this dialect.
pub(super) fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::End => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::ToolUse => "tool_use",
        StopReason::Pause => "pause_turn",
        StopReason::Refusal => "refusal",
    }
}
