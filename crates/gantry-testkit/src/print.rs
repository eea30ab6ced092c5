//! Answers and errors as upstreams print them.

/// Adds a member to a JSON object.
macro_rules! set {
    ($object:expr, $key:literal, $value:expr) => {
        if let Some(members) = $object.as_object_mut() {
            members.insert($key.to_owned(), $value);
        }
    };
}

mod messages;
mod openai;

use crate::call::{Call, Operation};
use crate::step::Answer;
use bytes::Bytes;
use serde_json::json;

/// The events of a streamed reply, or the one body of a whole reply.
pub(crate) fn answer(call: &Call, answer: &Answer) -> Vec<Bytes> {
    let body = match call.operation {
        Operation::Chat if call.streams => return openai::chat_events(call, answer),
        Operation::Completion if call.streams => return openai::text_events(call, answer),
        Operation::Messages if call.streams => return messages::events(call, answer),
        Operation::Chat => openai::chat(call, answer),
        Operation::Completion => openai::text(call, answer),
        Operation::Embeddings => openai::embeddings(call, answer),
        Operation::Models => openai::models(),
        Operation::Messages => messages::message(call, answer),
        Operation::CountTokens => {
            let usage = answer.usage.unwrap_or_default();
            json!({"input_tokens": usage.input}).to_string()
        }
        Operation::Root => "{}".to_owned(),
        Operation::Unknown => String::new(),
    };
    vec![body.into()]
}

/// Whether the reply is a stream of events.
pub(crate) fn streams(call: &Call) -> bool {
    let can =
        matches!(call.operation, Operation::Chat | Operation::Completion | Operation::Messages);
    can && call.streams
}

/// An error's body in the envelope of the path.
pub(crate) fn error(operation: Operation, status: u16, message: &str) -> String {
    if operation.is_anthropic() {
        let kind = messages::error_type(status);
        let error = json!({"type": kind, "message": message});
        return json!({"type": "error", "error": error, "request_id": "req_mock"}).to_string();
    }
    let (kind, code) = openai::error_type(status);
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    json!({"error": error}).to_string()
}

/// An error as an event of a stream.
pub(crate) fn error_event(operation: Operation) -> Bytes {
    let body = error(operation, 500, "the mock fails on purpose");
    if operation.is_anthropic() {
        return format!("event: error\ndata: {body}\n\n").into();
    }
    format!("data: {body}\n\n").into()
}

/// An event with `len` bytes of text.
pub(crate) fn huge_event(call: &Call, len: usize) -> Bytes {
    let text = "x".repeat(len);
    match call.operation {
        Operation::Messages => messages::text_event(0, &text),
        _ => openai::text_event(call, &text),
    }
}
