//! Prints a neutral reply as a Messages reply.
//!
//! `translate::reply` calls it.

use super::print_messages::input;
use super::usage;
use crate::dialect::json::Json;
use crate::neutral::{Body, Losses, Reply, StopReason, ToolCall};
use crate::translate::ReplyContext;

/// Prints a reply body.
pub(crate) fn print(
    reply: &Reply<'_>,
    ctx: &ReplyContext<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let mut json = Json::new(out);
    json.open(b'{');
    head(ctx.request_id, ctx.model, &mut json);
    json.key("content");
    json.open(b'[');
    let mut calls = 0;
    for part in &reply.parts {
        match &part.body {
            Body::Text(text) | Body::Refusal(text) => {
                json.open(b'{');
                json.member_str("type", "text");
                json.member_str("text", text);
                json.close(b'}');
            }
            Body::Thinking { text, signature } => {
                json.open(b'{');
                json.member_str("type", "thinking");
                json.member_str("thinking", text);
                json.member_str("signature", signature.as_deref().unwrap_or_default());
                json.close(b'}');
            }
            Body::RedactedThinking(data) => {
                json.open(b'{');
                json.member_str("type", "redacted_thinking");
                json.member_str("data", data);
                json.close(b'}');
            }
            Body::ToolCall(call) => {
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
    json.key("usage");
    usage::print(&reply.usage.unwrap_or_default(), &mut json);
    json.close(b'}');
}

/// The members from `id` to `model`.
pub(super) fn head(request_id: &str, model: &str, json: &mut Json<'_>) {
    json.key("id");
    json.concat(["msg_", request_id]);
    json.member_str("type", "message");
    json.member_str("role", "assistant");
    json.member_str("model", model);
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
    json.member_str("id", made_up.as_deref().unwrap_or(&call.id));
    json.member_str("name", &call.name);
    if input(call, json) {
        let path = format!("reply.tool_calls[{index}].function.arguments");
        losses.approximated(path, "no JSON object, so sent as {\"arguments\": text}");
    }
    json.close(b'}');
}

/// An id for a call that came without one, the same each time it is asked for.
pub(super) fn call_id(request_id: &str, index: usize) -> String {
    format!("toolu_{request_id}_{index}")
}

/// The `stop_sequence` member, which is null for all other reasons.
pub(super) fn stop_sequence(sequence: Option<&str>, json: &mut Json<'_>) {
    json.key("stop_sequence");
    match sequence {
        Some(text) => json.str(text),
        None => json.raw("null"),
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
