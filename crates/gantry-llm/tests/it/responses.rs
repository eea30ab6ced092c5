//! Responses whose tools take text: the upstream sees functions, the caller its own tools.

use crate::support::{ANTHROPIC, OPENAI, REQUEST_ID, events, known, request, stream_context};
use gantry_llm::stream::{StreamContext, StreamTranslator};
use gantry_llm::translate::{self, Carried, ReplyContext};
use serde_json::{Value, json};

const RESPONSES: &str = "openai-responses";

/// What a request with one custom tool and one function gives its reply.
fn carried(to: &str) -> Carried {
    let body = json!({"model": "m", "input": "Hi", "tools": [
        {"type": "custom", "name": "patch"},
        {"type": "function", "name": "read", "parameters": {"type": "object"}}]});
    request(RESPONSES, to, &body).carried
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"id": name, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn whole(calls: &[Value]) -> Vec<Value> {
    let body = json!({"choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": calls}}]});
    let carried = &carried(OPENAI);
    let ctx = ReplyContext { model: "m", request_id: REQUEST_ID, carried, created_s: 0 };
    let body = body.to_string();
    let done = translate::reply(known(OPENAI), known(RESPONSES), body.as_bytes(), &ctx).unwrap();
    let response: Value = serde_json::from_slice(&done.body).unwrap();
    response["output"].as_array().unwrap().clone()
}

fn streamed(calls: &[Value]) -> Vec<(String, Value)> {
    let ctx = StreamContext { carried: carried(OPENAI), ..stream_context(false) };
    let mut translator = StreamTranslator::new(known(OPENAI), known(RESPONSES), ctx);
    let mut out = Vec::new();
    let mut chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"choices": [choice]}).to_string();
        translator.event(None, chunk.as_bytes(), &mut out).unwrap();
    };
    for (index, call) in calls.iter().enumerate() {
        let mut call = call.clone();
        call["index"] = index.into();
        chunk(json!({"tool_calls": [call]}), Value::Null);
    }
    chunk(json!({}), json!("tool_calls"));
    translator.event(None, b"[DONE]", &mut out).unwrap();
    translator.end(&mut out).unwrap();
    let read = |(name, data): (Option<String>, String)| {
        (name.unwrap(), serde_json::from_str(&data).unwrap())
    };
    events(std::str::from_utf8(&out).unwrap()).into_iter().map(read).collect()
}

#[test]
fn calls_of_a_tool_that_takes_text_come_back_as_such() {
    for (arguments, input) in [
        (r#"{"input":"*** Begin\n\"x\" ä"}"#, "*** Begin\n\"x\" ä"),
        (r#" {"input": ""} "#, ""),
        ("*** Begin", "*** Begin"),
        (r#"{"patch":"x"}"#, r#"{"patch":"x"}"#),
        (r#"{"input":7}"#, r#"{"input":7}"#),
    ] {
        let calls = [call("patch", arguments), call("read", r#"{"input":"a"}"#)];
        let output = whole(&calls);
        assert_eq!(
            (&output[0]["type"], &output[0]["input"]),
            (&json!("custom_tool_call"), &json!(input))
        );
        assert_eq!(output[0]["call_id"], "patch");
        assert_eq!(output[1]["type"], "function_call");
        assert_eq!(output[1]["arguments"], r#"{"input":"a"}"#);
        let events = streamed(&calls);
        let last = &events.last().unwrap().1;
        assert_eq!(last["response"]["output"], Value::from(output), "{arguments}");
        let told = |name: &str, field: &str| -> String {
            let of = events.iter().filter(|(event, _)| event == name);
            of.map(|(_, data)| data[field].as_str().unwrap()).collect()
        };
        assert_eq!(told("response.custom_tool_call_input.delta", "delta"), input);
        assert_eq!(told("response.custom_tool_call_input.done", "input"), input);
    }
}

#[test]
fn what_is_repeated_of_a_request_is_whole_or_left_out() {
    let long = "x".repeat(5000);
    let body = json!({"model": "m", "input": "Hi", "instructions": long, "temperature": 0.25,
        "metadata": {"a": "b"}, "tools": [{"type": "function", "name": "read"}]});
    for to in [OPENAI, ANTHROPIC] {
        let carried = &request(RESPONSES, to, &body).carried;
        let ctx = ReplyContext { model: "m", request_id: REQUEST_ID, carried, created_s: 0 };
        let reply = match to {
            OPENAI => json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}),
            _ => json!({"type": "message", "role": "assistant", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 1,
                "output_tokens": 1}}),
        };
        let reply = reply.to_string();
        let done = translate::reply(known(to), known(RESPONSES), reply.as_bytes(), &ctx).unwrap();
        let response: Value = serde_json::from_slice(&done.body).unwrap();
        assert_eq!(response["instructions"], Value::Null, "longer than is repeated");
        assert_eq!(response["temperature"], 0.25);
        assert_eq!(response["metadata"], json!({"a": "b"}));
        assert_eq!(response["tools"], json!([{"type": "function", "name": "read"}]));
        assert_eq!(response["tool_choice"], "auto", "a default");
    }
}
