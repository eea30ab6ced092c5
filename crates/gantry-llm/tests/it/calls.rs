//! Tool calls of streams: whose piece it is, and that a stream mends what a whole reply mends.

use crate::support::{
    ANTHROPIC, OPENAI, join_chat, join_message, known, reply, stream, stream_context,
};
use gantry_llm::stream::StreamTranslator;
use serde_json::{Value, json};

fn chunk(delta: &Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish() -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
}

/// Name and input of each call that a Messages caller gets of these deltas.
fn calls_of(deltas: &[Value]) -> Vec<(String, Value)> {
    let mut events: Vec<Value> = deltas.iter().map(chunk).collect();
    events.push(finish());
    let message = join_message(&stream(OPENAI, ANTHROPIC, &events).unwrap());
    assert_eq!(message["stop_reason"], "tool_use");
    let content = message["content"].as_array().unwrap();
    let mut ids: Vec<_> = content.iter().map(|block| block["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), content.len(), "an id twice: {message}");
    content
        .iter()
        .map(|block| (block["name"].as_str().unwrap().to_owned(), block["input"].clone()))
        .collect()
}

/// A fragment of a call: index, id, name, arguments.
type Fragment = (Option<u64>, Option<&'static str>, Option<&'static str>, &'static str);

/// What the case is, the fragments of each chunk, and name and `path` of each call.
type Case = (&'static str, &'static [&'static [Fragment]], &'static [(&'static str, &'static str)]);

const A: &str = r#"{"path":"a"}"#;
const B: &str = r#"{"path":"b"}"#;
const BOTH: &[(&str, &str)] = &[("read", "a"), ("write", "b")];
const TWICE: &[(&str, &str)] = &[("read", "a"), ("read", "b")];
const ONCE: &[(&str, &str)] = &[("read", "a")];
const I: Option<u64> = Some(0);
const READ: Option<&str> = Some("read");
const WRITE: Option<&str> = Some("write");
const ONE: Option<&str> = Some("c1");
const TWO: Option<&str> = Some("c2");

const WHOSE: &[Case] = &[
    (
        "one index, empty ids, another name",
        &[&[(I, Some(""), READ, A)], &[(I, Some(""), WRITE, B)]],
        BOTH,
    ),
    ("no index, no id, in one chunk", &[&[(None, None, READ, A), (None, None, WRITE, B)]], BOTH),
    ("no index, no id, one name", &[&[(None, None, READ, A), (None, None, READ, B)]], TWICE),
    ("whole objects, the name once", &[&[(I, ONE, READ, A)], &[(I, None, None, B)]], TWICE),
    (
        "another name in pieces",
        &[
            &[(I, None, READ, "")],
            &[(I, None, None, A)],
            &[(I, None, WRITE, "")],
            &[(I, None, None, "{\"path\"")],
            &[(I, None, None, ":\"b\"}")],
        ],
        BOTH,
    ),
    (
        "one index, fragments by id in turn",
        &[
            &[(I, ONE, READ, "{\"path\"")],
            &[(I, TWO, WRITE, "{\"path\"")],
            &[(I, ONE, None, ":\"a\"}")],
            &[(I, TWO, None, ":\"b\"}")],
        ],
        BOTH,
    ),
    (
        "the name with every fragment",
        &[&[(I, ONE, READ, "{\"path\"")], &[(I, ONE, READ, ":\"a\"}")], &[(I, ONE, READ, "")]],
        ONCE,
    ),
    (
        "an empty object first, which means none yet",
        &[&[(I, ONE, READ, "{}")], &[(I, None, None, "{\"path\"")], &[(I, None, None, ":\"a\"}")]],
        ONCE,
    ),
    ("a whole call sent again", &[&[(I, ONE, READ, A)], &[(I, ONE, READ, A)]], ONCE),
    ("one id for all", &[&[(I, ONE, READ, A)], &[(I, ONE, WRITE, B)]], BOTH),
    ("no index, an id each", &[&[(None, ONE, READ, A)], &[(None, TWO, READ, B)]], TWICE),
    ("the id late", &[&[(I, None, None, "{\"path\"")], &[(I, ONE, READ, ":\"a\"}")]], ONCE),
];

#[test]
fn another_id_name_or_object_begins_another_call() {
    for (what, chunks, expected) in WHOSE {
        let call = |(index, id, name, arguments): &Fragment| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"index": index, "id": id, "function": function})
        };
        let chunk =
            |calls: &&[Fragment]| json!({"tool_calls": calls.iter().map(call).collect::<Vec<_>>()});
        let deltas: Vec<_> = chunks.iter().map(chunk).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, path)| ((*name).to_owned(), json!({"path": path})))
            .collect();
        assert_eq!(calls_of(&deltas), expected, "{what}");
    }
    let old = |name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"function_call": function})
    };
    assert_eq!(calls_of(&[old("read", A), old("write", B)]).len(), 2);
}

/// The block events of a Messages stream, between its start and its end.
fn message(blocks: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({"type": "message_start", "message": {}})];
    events.extend_from_slice(blocks);
    let delta = json!({"stop_reason": "tool_use"});
    events.push(json!({"type": "message_delta", "delta": delta}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn start(index: usize, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, key: &str, text: &str) -> Value {
    let kind = match key {
        "partial_json" => "input_json_delta".to_owned(),
        _ => format!("{key}_delta"),
    };
    json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: text}})
}

fn stop(index: usize) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn tool(id: &str, input: Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": id, "input": input})
}

/// What the case is, its events, and what a chat caller gets: text, thinking, calls.
type OpenAtOnce = (&'static str, Vec<Value>, &'static str, &'static str, Value);

fn tools_at_once() -> Vec<OpenAtOnce> {
    let tools = |stops: &[usize]| {
        let mut events = vec![
            start(0, tool("a", json!({}))),
            start(1, tool("b", json!({}))),
            delta(0, "partial_json", "{\"x\""),
            delta(1, "partial_json", "{\"y\""),
            delta(0, "partial_json", ":1}"),
            delta(1, "partial_json", ":2}"),
        ];
        events.extend(stops.iter().map(|index| stop(*index)));
        events
    };
    let calls = json!([["a", {"x": 1}], ["b", {"y": 2}]]);
    let empty = vec![
        start(0, tool("a", json!({}))),
        start(1, tool("b", json!({}))),
        stop(0),
        delta(1, "partial_json", "{\"y\":2}"),
        stop(1),
    ];
    let one_index = vec![
        start(0, json!({"type": "text", "text": "one "})),
        start(0, tool("a", json!({"x": 1}))),
        start(0, tool("b", json!({}))),
        delta(0, "partial_json", "{\"y\":2}"),
    ];
    vec![
        ("two tools", tools(&[0, 1]), "", "", calls.clone()),
        ("the second ends first", tools(&[1, 0]), "", "", calls.clone()),
        ("neither ends", tools(&[]), "", "", calls.clone()),
        ("one without input", empty, "", "", json!([["a", {}], ["b", {"y": 2}]])),
        ("one index for all, and no ends", one_index, "one ", "", calls),
    ]
}

fn texts_at_once() -> Vec<OpenAtOnce> {
    let text = || json!({"type": "text", "text": ""});
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    let beside_tool = vec![
        start(0, text()),
        start(1, tool("a", json!({}))),
        delta(0, "text", "one "),
        delta(1, "partial_json", "{\"x\""),
        stop(0),
        delta(1, "partial_json", ":1}"),
        stop(1),
    ];
    let beside_text = vec![
        start(0, thinking),
        start(1, text()),
        delta(0, "thinking", "hm "),
        delta(1, "text", "one "),
        stop(1),
        delta(0, "thinking", "hm"),
        delta(0, "signature", "c2ln"),
        stop(0),
    ];
    vec![
        ("text beside a tool", beside_tool, "one ", "", json!([["a", {"x": 1}]])),
        ("thinking beside text", beside_text, "one ", "hm hm", json!([])),
    ]
}

#[test]
fn blocks_that_are_open_at_once_do_not_cross() {
    let cases = tools_at_once().into_iter().chain(texts_at_once());
    for (what, blocks, text, thinking, calls) in cases {
        let joined = join_chat(&stream(ANTHROPIC, OPENAI, &message(&blocks)).unwrap());
        let message = &joined["message"];
        assert_eq!(message["content"], text, "{what}");
        assert_eq!(message["reasoning_content"].as_str().unwrap_or_default(), thinking, "{what}");
        if !thinking.is_empty() {
            let block = json!({"type": "thinking", "thinking": thinking, "signature": "c2ln"});
            assert_eq!(message["thinking_blocks"], json!([block]), "{what}");
        }
        let found = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice).iter();
        let found: Value = found
            .map(|call| {
                let arguments = call["function"]["arguments"].as_str().unwrap();
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                json!([call["function"]["name"], arguments])
            })
            .collect();
        assert_eq!(found, calls, "{what}");
    }
}

/// A streamed completion as a Messages caller gets it, with what was lost.
fn streamed(events: &[Value]) -> (Value, Vec<String>) {
    let ctx = stream_context(false);
    let mut translator = StreamTranslator::new(known(OPENAI), known(ANTHROPIC), ctx);
    let mut out = Vec::new();
    for event in events {
        translator.event(None, event.to_string().as_bytes(), &mut out).unwrap();
    }
    translator.event(None, b"[DONE]", &mut out).unwrap();
    let losses = translator.losses().iter().map(|loss| format!("{loss:?}")).collect();
    (join_message(&String::from_utf8(out).unwrap()), losses)
}

#[test]
fn arguments_are_mended_alike_whole_and_streamed() {
    let texts = [
        "",
        " ",
        "{}",
        "{ }",
        r#"{"a":1}"#,
        " {\"a\": \"ä\\n}\"} ",
        "null",
        "true",
        "12",
        "\"text\"",
        "\"\"",
        "[1,{\"a\":2}]",
        "[]",
        "no json",
        "{'a': 1}",
        "{a:1}",
        "{",
        "{ ",
        "}",
        "nul",
    ];
    let values =
        [json!(null), json!({}), json!({"a": [1]}), json!([1]), json!(12), json!(true), json!([])];
    for arguments in texts.into_iter().map(Value::from).chain(values) {
        let function = json!({"name": "f", "arguments": arguments});
        let call = json!({"id": "c", "type": "function", "function": function});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        let whole = reply(OPENAI, ANTHROPIC, &json!({"choices": [choice]}));
        let body: Value = serde_json::from_slice(&whole.body).unwrap();
        let losses: Vec<_> = whole.losses.iter().map(|loss| format!("{loss:?}")).collect();
        let mut ways = vec![vec![json!({"tool_calls": [call]})]];
        if let Some(text) = arguments.as_str() {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let head = json!({"id": "c", "index": 0, "function": {"name": "f"}});
                let pieces = [&text[..at], &text[at..]].map(
                    |piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
                );
                ways.push([&[json!({"tool_calls": [head]})], &pieces[..]].concat());
            }
        }
        for deltas in ways {
            let mut events: Vec<_> = deltas.iter().map(chunk).collect();
            events.push(finish());
            let (message, lost) = streamed(&events);
            assert_eq!(message["content"], body["content"], "{arguments}: {deltas:?}");
            assert_eq!(lost, losses, "{arguments}: {deltas:?}");
        }
    }
}

/// A begun object has gone out before it is known to break off, and to close it would make a half
/// command a whole one.
#[test]
fn arguments_that_break_off_go_on_as_they_are() {
    let function = json!({"name": "f", "arguments": "{\"command\":\"rm -r /tmp"});
    let call = json!({"index": 0, "id": "c", "function": function});
    let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]});
    let events = [chunk(&json!({"tool_calls": [call]})), finish];
    let out = stream(OPENAI, ANTHROPIC, &events).unwrap();
    assert!(out.contains(r#""partial_json":"{\"command\":\"rm -r /tmp""#), "{out}");
    assert!(out.contains(r#""stop_reason":"max_tokens""#), "{out}");
}

#[test]
fn inputs_reach_a_chat_caller_alike_whole_and_streamed() {
    for input in [
        json!(null),
        json!({}),
        json!({"a": {"b": 1}}),
        json!([]),
        json!([1]),
        json!("text"),
        json!(""),
        json!(1),
        json!(true),
        json!(false),
    ] {
        let block = tool("f", input.clone());
        let body = json!({"type": "message", "content": [block], "stop_reason": "tool_use"});
        let whole = reply(ANTHROPIC, OPENAI, &body);
        let whole: Value = serde_json::from_slice(&whole.body).unwrap();
        let events = message(&[start(0, block), stop(0)]);
        let joined = join_chat(&stream(ANTHROPIC, OPENAI, &events).unwrap());
        let calls = &whole["choices"][0]["message"]["tool_calls"];
        assert_eq!(joined["message"]["tool_calls"], *calls, "{input}");
    }
}

#[test]
fn the_reason_to_stop_is_judged_by_all_that_came() {
    let call = json!({"id": "c", "function": {"name": "f", "arguments": "{}"}});
    let reason = |events: &[Value]| streamed(events).0["stop_reason"].clone();
    let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let calls = chunk(&json!({"tool_calls": [call]}));
    assert_eq!(reason(&[calls.clone(), stop.clone()]), "tool_use");
    assert_eq!(reason(&[stop.clone(), calls.clone()]), "tool_use", "a call behind the reason");
    assert_eq!(reason(&[calls]), "tool_use", "no reason at all");
    assert_eq!(reason(&[chunk(&json!({"refusal": "no"}))]), "refusal", "no reason at all");
}
