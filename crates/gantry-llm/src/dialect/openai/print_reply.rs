//! Prints a neutral reply as a chat completion.
//!
//! `translate::reply` calls it. Thinking is shown as `reasoning_content` and, so that callers can
//! send it back unchanged, as `thinking_blocks`.

use super::print_messages::print_call;
use super::usage;
use crate::context::ReplyContext;
use crate::dialect::json::{Json, Piece};
use crate::dialect::print_blocks;
use crate::neutral::{Body, Part, Reply, Stop, StopReason};

/// Prints a reply body; returns its finish reason.
pub(crate) fn print(reply: &Reply<'_>, ctx: &ReplyContext<'_>, out: &mut Vec<u8>) -> &'static str {
    let mut json = Json::new(out);
    json.open(b'{');
    json.key("id");
    json.concat(["chatcmpl-", ctx.request_id].map(Piece::Str));
    json.run(r#","object":"chat.completion","created":"#);
    json.u64(ctx.created_s);
    json.run(r#","model":"#);
    json.str(ctx.model);
    json.run(r#","choices":[{"index":0,"message":"#);
    message(reply, ctx, &mut json);
    json.run(r#","logprobs":null"#);
    finish(&reply.stop, &mut json);
    json.run("}]");
    if let Some(tokens) = &reply.usage {
        json.key("usage");
        usage::print(tokens, &mut json);
    }
    json.close(b'}');
    finish_reason(reply.stop.reason)
}

fn message(reply: &Reply<'_>, ctx: &ReplyContext<'_>, json: &mut Json<'_>) {
    let parts = &reply.parts;
    let calls = parts.iter().any(|part| matches!(part.body, Body::ToolCall(_)));
    json.run(r#"{"role":"assistant","content":"#);
    if parts.iter().any(|part| matches!(part.body, Body::Text(_))) || !calls {
        json.concat(parts.iter().filter_map(|part| match &part.body {
            Body::Text(text) => Some(Piece::Text(text)),
            _ => None,
        }));
    } else {
        json.raw("null");
    }
    refusal(reply, json);
    thinking(parts, json);
    if calls {
        json.key("tool_calls");
        json.open(b'[');
        let calls = parts.iter().filter_map(|part| match &part.body {
            Body::ToolCall(call) => Some(call),
            _ => None,
        });
        for (index, call) in calls.enumerate() {
            let made_up = call.id.is_empty().then(|| call_id(ctx.request_id, index));
            print_call(call, made_up.as_deref().unwrap_or(&call.id), None, json);
        }
        json.close(b']');
    }
    json.close(b'}');
}

/// An id for a call that came without one, the same each time it is asked for.
pub(super) fn call_id(request_id: &str, index: usize) -> String {
    format!("call_{request_id}_{index}")
}

fn refusal(reply: &Reply<'_>, json: &mut Json<'_>) {
    json.run(r#","refusal":"#);
    let text = reply.parts.iter().find_map(|part| match &part.body {
        Body::Refusal(text) => Some(text),
        _ => None,
    });
    match (text, &reply.stop.explanation) {
        (Some(text), _) => json.text(text),
        (None, Some(text)) => json.str(text),
        (None, None) => json.run("null"),
    }
}

fn thinking(parts: &[Part<'_>], json: &mut Json<'_>) {
    let text = |part: &Part<'_>| matches!(part.body, Body::Thinking { .. });
    let block = |part: &Part<'_>| text(part) || matches!(part.body, Body::RedactedThinking(_));
    if parts.iter().any(text) {
        json.key("reasoning_content");
        json.concat(parts.iter().filter_map(|part| match &part.body {
            Body::Thinking { text, .. } => Some(Piece::Text(text)),
            _ => None,
        }));
    }
    if parts.iter().any(block) {
        json.key("thinking_blocks");
        json.open(b'[');
        for part in parts {
            match &part.body {
                Body::Thinking { text, signature } => {
                    print_blocks::thinking(text, signature.as_ref(), json);
                }
                Body::RedactedThinking(data) => print_blocks::redacted(data, json),
                _ => {}
            }
        }
        json.close(b']');
    }
}

/// `finish_reason`, and what it cannot say: the finer reason and the provider's explanation.
pub(super) fn finish(stop: &Stop<'_>, json: &mut Json<'_>) {
    json.member_str("finish_reason", finish_reason(stop.reason));
    if let Some(native) = native_reason(stop.reason) {
        json.member_str("native_finish_reason", native);
    }
    if let Some(sequence) = &stop.sequence {
        // vLLM's field for the same.
        json.member_str("stop_reason", sequence);
    }
    if let Some(details) = stop.details {
        json.member_raw("stop_details", details.get());
    }
}

/// The name of a reason in this dialect.
pub(super) fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::End | StopReason::StopSequence | StopReason::Pause => "stop",
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
    }
}

/// Reasons that `finish_reason` folds together, under the name OpenRouter gave the field.
fn native_reason(reason: StopReason) -> Option<&'static str> {
    match reason {
        StopReason::StopSequence => Some("stop_sequence"),
        StopReason::Pause => Some("pause_turn"),
        StopReason::ContextWindow => Some("model_context_window_exceeded"),
        StopReason::End | StopReason::MaxTokens | StopReason::ToolUse | StopReason::Refusal => None,
    }
}
