//! What the tests share: contexts, an SSE reader, and readers that put streams together again.

use gantry_kinds::catalogue;
use gantry_llm::dialect::{Dialect, Dialects};
use gantry_llm::stream::{StreamContext, StreamTranslator};
use gantry_llm::translate::{
    Carried, Error, ReplyContext, RequestContext, Translated, TranslatedReply,
};
use gantry_model::facts::Quirks;
use serde_json::{Map, Value, json};

pub(crate) const REQUEST_ID: &str = "0197";
pub(crate) const CREATED_S: u64 = 1_790_000_000;

pub(crate) const OPENAI: &str = "openai";
pub(crate) const ANTHROPIC: &str = "anthropic";

/// The dialect of a name.
pub(crate) fn known(name: &str) -> &'static dyn Dialect {
    Dialects::standard().by_name(name).unwrap_or_else(|| panic!("no dialect {name}"))
}

pub(crate) fn request(from: &str, to: &str, body: &Value) -> Translated {
    let quirks = Quirks::default();
    let ctx = RequestContext {
        upstream_model: "upstream-model",
        quirks: &quirks,
        traits: None,
        claude: catalogue::claude("upstream-model"),
        version: "2023-06-01",
        stream: None,
    };
    gantry_llm::translate::request(known(from), known(to), body.to_string().as_bytes(), &ctx)
        .unwrap()
}

pub(crate) fn reply(from: &str, to: &str, body: &Value) -> TranslatedReply {
    let ctx = ReplyContext {
        model: "shown-model",
        request_id: REQUEST_ID,
        carried: &Carried::default(),
        created_s: CREATED_S,
    };
    gantry_llm::translate::reply(known(from), known(to), body.to_string().as_bytes(), &ctx).unwrap()
}

pub(crate) fn stream_context(include_usage: bool) -> StreamContext {
    StreamContext {
        model: "shown-model".to_owned(),
        request_id: REQUEST_ID.to_owned(),
        created_s: CREATED_S,
        include_usage,
        carried: Carried::default(),
    }
}

/// Translates a whole stream of events.
pub(crate) fn stream(from: &str, to: &str, events: &[Value]) -> Result<String, Error> {
    let ctx = stream_context(true);
    let mut translator = StreamTranslator::new(known(from), known(to), ctx);
    let mut out = Vec::new();
    for event in events {
        translator.event(event["type"].as_str(), event.to_string().as_bytes(), &mut out)?;
    }
    if from == OPENAI {
        translator.event(None, b"[DONE]", &mut out)?;
    }
    translator.end(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Name and data of each event of a stream that has one `data` line per event.
pub(crate) fn events(stream: &str) -> Vec<(Option<String>, String)> {
    let mut list = Vec::new();
    for block in stream.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let field = |name: &str| {
            block.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned())
        };
        if let Some(data) = field("data:") {
            list.push((field("event:"), data));
        }
    }
    list
}

fn append(into: &mut Map<String, Value>, key: &str, text: &Value) {
    let Some(text) = text.as_str() else { return };
    match into.get_mut(key) {
        Some(Value::String(known)) => known.push_str(text),
        _ => drop(into.insert(key.to_owned(), text.into())),
    }
}

/// Puts a streamed chat completion together as OpenAI's clients do, into the message, the finish
/// reason and the usage of a whole one.
pub(crate) fn join_chat(stream: &str) -> Value {
    let mut message = Map::new();
    let (mut finish, mut usage, mut id) = (Value::Null, Value::Null, None);
    let list = events(stream);
    assert_eq!(list.last().unwrap().1, "[DONE]");
    for (_, data) in &list[..list.len() - 1] {
        let chunk: Value = serde_json::from_str(data).unwrap();
        let first = id.get_or_insert_with(|| chunk["id"].clone());
        assert_eq!(chunk["id"], *first, "ids differ between chunks");
        if !chunk["usage"].is_null() {
            assert_eq!(chunk["choices"], json!([]));
            usage = chunk["usage"].clone();
        }
        let Some(choice) = chunk["choices"].get(0) else { continue };
        join_delta(&mut message, &choice["delta"]);
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
    }
    json!({"message": message, "finish_reason": finish, "usage": usage})
}

fn join_delta(message: &mut Map<String, Value>, delta: &Value) {
    for key in ["role", "content", "refusal", "reasoning_content"] {
        append(message, key, &delta[key]);
    }
    if let Some(blocks) = delta["thinking_blocks"].as_array() {
        let list = message.entry("thinking_blocks").or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().extend(blocks.iter().cloned());
    }
    for call in delta["tool_calls"].as_array().unwrap_or(&Vec::new()) {
        let list = message.entry("tool_calls").or_insert_with(|| json!([]));
        let list = list.as_array_mut().unwrap();
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        if index == list.len() {
            let function = &call["function"];
            list.push(json!({"id": call["id"], "type": call["type"], "function": function}));
        } else {
            let function = list[index]["function"].as_object_mut().unwrap();
            append(function, "arguments", &call["function"]["arguments"]);
        }
    }
}

/// The same for a streamed message, as Anthropic's clients do.
pub(crate) fn join_message(stream: &str) -> Value {
    let mut message = Value::Null;
    let mut input = String::new();
    let mut open = None;
    let list = events(stream);
    assert_eq!(list.last().unwrap().0.as_deref(), Some("message_stop"));
    for (name, data) in &list {
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.as_deref(), event["type"].as_str());
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(open, None, "a block begins inside another");
                open = event["index"].as_u64();
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(open, Some(blocks.len() as u64));
                blocks.push(event["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                assert_eq!(open, event["index"].as_u64());
                let block = message["content"].as_array_mut().unwrap().last_mut().unwrap();
                let block = block.as_object_mut().unwrap();
                for key in ["text", "thinking", "signature"] {
                    append(block, key, &event["delta"][key]);
                }
                input.push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                assert_eq!(open.take(), event["index"].as_u64());
                let block = message["content"].as_array_mut().unwrap().last_mut().unwrap();
                if !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).unwrap();
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => {}
            other => panic!("unexpected {other}"),
        }
    }
    assert_eq!(open, None, "a block was left open");
    message
}
