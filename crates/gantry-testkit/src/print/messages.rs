//! Anthropic's messages, whole and as named events, for the plans of the mock.

use super::openai::halves;
use crate::call::Call;
use crate::step::{Answer, ToolCall};
use bytes::Bytes;
use gantry_model::usage::TokenUsage;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

pub(super) fn message(call: &Call, answer: &Answer) -> String {
    let mut content = Vec::new();
    if let Some(thinking) = &answer.thinking {
        content.push(json!({
            "type": "thinking", "thinking": thinking.text, "signature": thinking.signature,
        }));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text.concat()}));
    }
    content.extend(answer.tool_calls.iter().map(|call| {
        let input = RawValue::from_string(call.arguments.clone()).ok();
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    }));
    let mut reply = json!({
        "id": "msg_mock", "type": "message", "role": "assistant", "model": call.model,
        "content": content, "stop_reason": stop_reason(answer), "stop_sequence": null,
    });
    if let Some(usage) = answer.usage {
        set!(reply, "usage", json!(Usage::from(usage)));
    }
    reply.to_string()
}

pub(super) fn events(call: &Call, answer: &Answer) -> Vec<Bytes> {
    let mut message = json!({
        "id": "msg_mock", "type": "message", "role": "assistant", "model": call.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
    });
    if let Some(usage) = answer.usage {
        set!(message, "usage", json!(Usage::from(TokenUsage { output: 1, ..usage })));
    }
    let mut events = vec![
        event("message_start", json!({"type": "message_start", "message": message})),
        event("ping", json!({"type": "ping"})),
    ];
    let mut index = 0;
    if let Some(thinking) = &answer.thinking {
        let start = json!({"type": "thinking", "thinking": "", "signature": ""});
        let deltas = [
            json!({"type": "thinking_delta", "thinking": thinking.text}),
            json!({"type": "signature_delta", "signature": thinking.signature}),
        ];
        block(&mut events, &mut index, start, deltas);
    }
    if !answer.text.is_empty() {
        let deltas = answer.text.iter().map(|text| json!({"type": "text_delta", "text": text}));
        block(&mut events, &mut index, json!({"type": "text", "text": ""}), deltas);
    }
    for call in &answer.tool_calls {
        tool_use(&mut events, &mut index, call);
    }
    let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let mut last = json!({"type": "message_delta", "delta": delta});
    if let Some(usage) = answer.usage {
        let mut counts = json!({"output_tokens": usage.output});
        if usage.reasoning > 0 {
            let details = json!({"thinking_tokens": usage.reasoning});
            set!(counts, "output_tokens_details", details);
        }
        set!(last, "usage", counts);
    }
    events.push(event("message_delta", last));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}

/// One text delta.
pub(super) fn text_event(index: usize, text: &str) -> Bytes {
    let delta = json!({"type": "text_delta", "text": text});
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    event("content_block_delta", data)
}

pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn tool_use(events: &mut Vec<Bytes>, index: &mut usize, call: &ToolCall) {
    let start = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
    // The first fragment is empty at Anthropic too.
    let [left, right] = halves(&call.arguments);
    let deltas =
        ["", left, right].map(|part| json!({"type": "input_json_delta", "partial_json": part}));
    block(events, index, start, deltas);
}

fn block(
    events: &mut Vec<Bytes>,
    index: &mut usize,
    start: impl Serialize,
    deltas: impl IntoIterator<Item = impl Serialize>,
) {
    let start = json!({
        "type": "content_block_start", "index": *index, "content_block": json!(start),
    });
    events.push(event("content_block_start", start));
    events.extend(deltas.into_iter().map(|delta| {
        let delta = json!({"type": "content_block_delta", "index": *index, "delta": json!(delta)});
        event("content_block_delta", delta)
    }));
    let stop = json!({"type": "content_block_stop", "index": *index});
    events.push(event("content_block_stop", stop));
    *index += 1;
}

fn event(name: &str, data: impl Serialize) -> Bytes {
    format!("event: {name}\ndata: {}\n\n", json!(data)).into()
}

fn stop_reason(answer: &Answer) -> &str {
    match answer.finish_reason() {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    }
}

/// The `usage` of a message: the input without what concerns the cache.
#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    service_tier: &'static str,
}

#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        let cached = usage.cache_read + usage.cache_write;
        Self {
            input_tokens: usage.input.saturating_sub(cached),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write.saturating_sub(usage.cache_write_1h),
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails {
                thinking_tokens: usage.reasoning.min(usage.output),
            },
            service_tier: "standard",
        }
    }
}
