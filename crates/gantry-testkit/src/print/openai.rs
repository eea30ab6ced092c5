//! OpenAI's chat completions, legacy completions, embeddings and models.

use crate::call::{Call, Operation};
use crate::step::{Answer, ToolCall};
use bytes::Bytes;
use gantry_model::usage::TokenUsage;
use serde_json::json;

const CREATED: u64 = 1_700_000_000;

pub(super) fn chat(call: &Call, answer: &Answer) -> String {
    let text = answer.text.concat();
    let mut message = json!({
        "role": "assistant",
        "content": if answer.text.is_empty() { None } else { Some(text) },
        "refusal": null,
    });
    if let Some(thinking) = &answer.thinking {
        set!(message, "reasoning_content", json!(thinking.text));
    }
    if !answer.tool_calls.is_empty() {
        let calls: Vec<_> = answer.tool_calls.iter().map(tool_call).collect();
        set!(message, "tool_calls", json!(calls));
    }
    let choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": answer.finish_reason(),
    });
    let mut reply = json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": CREATED,
        "model": call.model, "choices": [choice], "system_fingerprint": "fp_mock",
    });
    if let Some(usage) = answer.usage {
        set!(reply, "usage", json!(Usage::from(usage)));
    }
    reply.to_string()
}

pub(super) fn chat_events(call: &Call, answer: &Answer) -> Vec<Bytes> {
    let chunk = |delta, finish| chat_chunk(call, answer, delta, finish);
    let mut events =
        vec![chunk(json!({"role": "assistant", "content": "", "refusal": null}), None)];
    if let Some(thinking) = &answer.thinking {
        events.push(chunk(json!({"reasoning_content": thinking.text}), None));
    }
    events.extend(answer.text.iter().map(|text| chunk(json!({"content": text}), None)));
    for (index, call) in answer.tool_calls.iter().enumerate() {
        let start = json!({
            "index": index, "id": call.id, "type": "function",
            "function": {"name": call.name, "arguments": ""},
        });
        events.push(chunk(json!({"tool_calls": [start]}), None));
        for part in halves(&call.arguments) {
            let part = json!({"index": index, "function": {"arguments": part}});
            events.push(chunk(json!({"tool_calls": [part]}), None));
        }
    }
    events.push(chunk(json!({}), Some(answer.finish_reason())));
    finish_stream(call, answer, events)
}

pub(super) fn text(call: &Call, answer: &Answer) -> String {
    let choice = json!({
        "index": 0, "text": answer.text.concat(), "logprobs": null,
        "finish_reason": answer.finish_reason(),
    });
    let mut reply = json!({
        "id": "cmpl-mock", "object": "text_completion", "created": CREATED,
        "model": call.model, "choices": [choice],
    });
    if let Some(usage) = answer.usage {
        set!(reply, "usage", json!(Usage::from(usage)));
    }
    reply.to_string()
}

pub(super) fn text_events(call: &Call, answer: &Answer) -> Vec<Bytes> {
    let mut events: Vec<_> =
        answer.text.iter().map(|text| text_chunk(call, answer, text, None)).collect();
    events.push(text_chunk(call, answer, "", Some(answer.finish_reason())));
    finish_stream(call, answer, events)
}

/// One content event outside any answer.
pub(super) fn text_event(call: &Call, text: &str) -> Bytes {
    let answer = Answer::default();
    match call.operation {
        Operation::Completion => text_chunk(call, &answer, text, None),
        _ => chat_chunk(call, &answer, json!({"content": text}), None),
    }
}

pub(super) fn embeddings(call: &Call, answer: &Answer) -> String {
    // 0.5, -0.5, 0.25, as numbers or as little-endian 32-bit floats in base64.
    let vector = if call.base64 { json!("AAAAPwAAAL8AAIA+") } else { json!([0.5, -0.5, 0.25]) };
    let data: Vec<_> = (0..call.inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let mut reply = json!({"object": "list", "data": data, "model": call.model});
    if let Some(usage) = answer.usage {
        set!(reply, "usage", json!({"prompt_tokens": usage.input, "total_tokens": usage.input}));
    }
    reply.to_string()
}

pub(super) fn models() -> String {
    let model = |id| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"});
    json!({"object": "list", "data": [model("mock-chat"), model("mock-embedding")]}).to_string()
}

/// `type` and `code` of an error.
pub(super) fn error_type(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    }
}

fn finish_stream(call: &Call, answer: &Answer, mut events: Vec<Bytes>) -> Vec<Bytes> {
    if let Some(usage) = answer.usage.filter(|_| call.include_usage) {
        let kind = object(call);
        let chunk = json!({
            "id": "chatcmpl-mock", "object": kind, "created": CREATED, "model": call.model,
            "choices": [], "usage": json!(Usage::from(usage)),
        });
        events.push(format!("data: {chunk}\n\n").into());
    }
    events.push("data: [DONE]\n\n".into());
    events
}

fn object(call: &Call) -> &'static str {
    match call.operation {
        Operation::Completion => "text_completion",
        _ => "chat.completion.chunk",
    }
}

fn chat_chunk(
    call: &Call,
    answer: &Answer,
    delta: impl serde::Serialize,
    finish: Option<&str>,
) -> Bytes {
    let choice =
        json!({"index": 0, "delta": json!(delta), "logprobs": null, "finish_reason": finish});
    chunk(call, answer, choice)
}

fn text_chunk(call: &Call, answer: &Answer, text: &str, finish: Option<&str>) -> Bytes {
    let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
    chunk(call, answer, choice)
}

fn chunk(call: &Call, answer: &Answer, choice: impl serde::Serialize) -> Bytes {
    let mut chunk = json!({
        "id": "chatcmpl-mock", "object": object(call), "created": CREATED, "model": call.model,
        "choices": [json!(choice)],
    });
    if call.include_usage && answer.usage.is_some() {
        set!(chunk, "usage", json!(null));
    }
    format!("data: {chunk}\n\n").into()
}

fn tool_call(call: &ToolCall) -> impl serde::Serialize {
    json!({
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

/// The `usage` of a reply.
#[derive(serde::Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(serde::Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(serde::Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input + usage.output,
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
            },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning },
        }
    }
}

pub(super) fn halves(text: &str) -> [&str; 2] {
    let middle = text.ceil_char_boundary(text.len() / 2);
    text.split_at_checked(middle).map_or([text, ""], |(left, right)| [left, right])
}
