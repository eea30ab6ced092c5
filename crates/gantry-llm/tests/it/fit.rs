//! Requests that are in their upstream's dialect already: what the catalogue knows of the model
//! holds for them, and what it says nothing about stays byte for byte.

use crate::support::{ANTHROPIC, OPENAI, known};
use bytes::Bytes;
use gantry_kinds::catalogue;
use gantry_llm::neutral::Losses;
use gantry_llm::scan::Index;
use gantry_llm::splice::Draft;
use gantry_llm::translate::RequestContext;
use serde_json::{Value, json};

/// The fitted body, and the fields that are reported.
pub(crate) fn fit(provider: &str, model: &str, body: &str) -> (String, Vec<String>) {
    let row = catalogue::provider(provider).unwrap();
    let ctx = RequestContext {
        upstream_model: model,
        quirks: &row.quirks,
        traits: row.quirks.model(model),
        claude: catalogue::claude(model),
        version: "2023-06-01",
        stream: None,
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let index = Index::of(&body).unwrap();
    let mut draft = Draft::new(&body, &index);
    let mut losses = Losses::default();
    known(row.dialect.as_str()).fit(&mut draft, &ctx, &mut losses).unwrap();
    let mut fields: Vec<String> =
        losses.take_added().into_iter().map(|added| format!("+{}", added.field)).collect();
    fields.extend(losses.into_vec().into_iter().map(|loss| loss.field));
    let body = draft.finish().into_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), fields)
}

const TURNS: &str = r#""messages": [{"role":"user","content":"Hi"}]"#;

/// `fields` before and after, beside a conversation; `reported`: space between fields.
#[track_caller]
fn check(at: &str, fields: &str, expected: &str, reported: &str) {
    let (provider, model) = at.split_once('/').unwrap();
    let gap = |fields: &str| if fields.is_empty() { String::new() } else { format!(", {fields}") };
    let (body, found) = fit(provider, model, &format!("{{{TURNS}{}}}", gap(fields)));
    let expected = format!("{{{TURNS}{}}}", gap(expected));
    // A comma goes with the field before it.
    let plain = |text: &str| text.replace("}], \"", "}],\"");
    assert_eq!(plain(&body), plain(&expected), "{at} {fields}");
    assert_eq!(found.join(" "), reported, "{at} {fields}");
}

/// Provider and model, fields before and after, what is reported.
type Row = (&'static str, &'static str, &'static str, &'static str);

const CHATS: &[Row] = &[
    ("openai/gpt-4o", r#""max_tokens": 5"#, r#""max_tokens": 5"#, ""),
    ("openai/gpt-4o", r#""max_tokens": 90000"#, r#""max_tokens": 16384"#, "max_tokens"),
    ("openai/gpt-4o", r#""reasoning_effort":"low""#, "", "reasoning_effort"),
    (
        "openai/gpt-4o",
        r#""temperature":0.2, "logprobs":true"#,
        r#""temperature":0.2, "logprobs":true"#,
        "",
    ),
    ("openai/gpt-5-mini", r#""max_tokens": 5"#, r#""max_completion_tokens": 5"#, "+max_tokens"),
    ("azure-foundry/gpt-5", r#""max_tokens": 5"#, r#""max_completion_tokens": 5"#, "+max_tokens"),
    (
        "openai/gpt-5-mini",
        r#""max_tokens": 1, "max_completion_tokens": 900000"#,
        r#""max_completion_tokens": 128000"#,
        "max_completion_tokens",
    ),
    (
        "openai/gpt-5-mini",
        r#""temperature":0.2, "top_p":1, "n":1, "presence_penalty":0, "frequency_penalty":0.5"#,
        r#""top_p":1, "n":1, "presence_penalty":0"#,
        "temperature frequency_penalty",
    ),
    (
        "openai/gpt-5-mini",
        r#""temperature":1.0, "stop":null"#,
        r#""temperature":1.0, "stop":null"#,
        "",
    ),
    (
        "openai/gpt-5-mini",
        r#""reasoning_effort":"none""#,
        r#""reasoning_effort":"minimal""#,
        "reasoning_effort",
    ),
    ("openai/gpt-5-mini", r#""reasoning_effort":"huge""#, r#""reasoning_effort":"huge""#, ""),
    ("openai/gpt-5.2", r#""temperature":0.2"#, r#""temperature":0.2"#, ""),
    (
        "openai/gpt-5.2",
        r#""temperature":0.2, "reasoning_effort":"high""#,
        r#""reasoning_effort":"high""#,
        "temperature",
    ),
    ("openai/o3", r#""parallel_tool_calls":true"#, "", ""),
    ("openai/o3", r#""parallel_tool_calls":false"#, "", "parallel_tool_calls"),
    (
        "openai/gpt-5.5",
        r#""tools":[{}]"#,
        r#""tools":[{}], "reasoning_effort":"none""#,
        "+reasoning_effort",
    ),
    ("openai/gpt-5.4", r#""tools":[{}]"#, r#""tools":[{}]"#, ""),
    ("openai/gpt-5.5", r#""tools":[]"#, r#""tools":[]"#, ""),
    (
        "openai/gpt-9",
        r#""max_tokens":999999999,"temperature":2"#,
        r#""max_tokens":999999999,"temperature":2"#,
        "",
    ),
    (
        "openai/gpt-9",
        r#""stop":["a","b","c","d", "e","f"]"#,
        r#""stop":["a","b","c","d"]"#,
        "stop[4] stop[5]",
    ),
    (
        "self-hosted-model/x",
        r#""stop":["a","b","c","d", "e","f"]"#,
        r#""stop":["a","b","c","d", "e","f"]"#,
        "",
    ),
];

#[test]
fn chats_get_what_their_model_takes() {
    for (at, fields, expected, reported) in CHATS {
        check(at, fields, expected, reported);
    }
}

#[test]
fn a_developer_speaks_as_system_where_only_that_is_known() {
    let body = r#"{"messages":[ {"role" : "developer","content":"\"developer\""},
        {"content":[{"role":"developer"}],"role":"user"}, 7 ],"x":1}"#;
    let (fitted, reported) = fit("self-hosted-model", "qwen", body);
    assert_eq!(fitted, body.replacen(r#""developer""#, r#""system""#, 1));
    assert_eq!(reported, ["+messages"]);
    assert_eq!(fit("openai", "gpt-4o", body), (body.to_owned(), Vec::new()));
}

/// The same by model.
const MESSAGES: &[Row] = &[
    ("claude-opus-4-8", r#""max_tokens":9"#, r#""max_tokens":9"#, ""),
    ("claude-sonnet-4-5", r#""max_tokens":128000"#, r#""max_tokens":64000"#, "max_tokens"),
    ("my-deployment", r#""max_tokens":128000"#, r#""max_tokens":128000"#, ""),
    (
        "claude-sonnet-4-5",
        r#""thinking":{"type":"adaptive"},"max_tokens":9000"#,
        r#""thinking":{"type":"enabled","budget_tokens":4096},"max_tokens":9000"#,
        "thinking",
    ),
    (
        "claude-sonnet-4-5",
        r#""thinking":{"type":"adaptive","display":"omitted"},"max_tokens":500"#,
        r#""max_tokens":500"#,
        "thinking thinking",
    ),
    (
        "claude-sonnet-4-5",
        r#""output_config":{"effort":"high"},"max_tokens":9000"#,
        r#""max_tokens":9000"#,
        "output_config.effort",
    ),
    (
        "claude-opus-4-5",
        r#""output_config":{"effort":"high"},"max_tokens":9000"#,
        r#""output_config":{"effort":"high"},"max_tokens":9000"#,
        "",
    ),
    (
        "claude-opus-4-8",
        r#""thinking":{"type":"enabled","budget_tokens":3000},"max_tokens":9000"#,
        r#""thinking":{"type":"adaptive"},"max_tokens":9000,"output_config":{"effort":"medium"}"#,
        "thinking",
    ),
    (
        "claude-opus-4-6",
        r#""output_config":{"effort":"xhigh", "task_budget":1}"#,
        r#""output_config":{"effort":"high", "task_budget":1}"#,
        "output_config.effort",
    ),
    ("claude-opus-4-7", r#""thinking":{"type":"between_tools"}"#, "", "thinking"),
    (
        "claude-sonnet-5-5",
        r#""thinking":{"type":"between_tools"}"#,
        r#""thinking":{"type":"between_tools"}"#,
        "",
    ),
    (
        "claude-opus-4-7",
        r#""thinking":{"type":"disabled"},"temperature":1"#,
        r#""thinking":{"type":"disabled"},"temperature":1"#,
        "",
    ),
    ("claude-opus-4-7", r#""temperature":0.3,"top_k":5"#, "", "temperature top_k"),
    ("claude-sonnet-4-5", r#""temperature":0.3,"top_p":0.5"#, r#""temperature":0.3"#, "top_p"),
    ("claude-sonnet-4-0", r#""temperature":1.3"#, r#""temperature":1"#, "temperature"),
    (
        "claude-opus-5-5",
        r#""tool_choice":{"type":"any","disable_parallel_tool_use":true}"#,
        r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
        "tool_choice",
    ),
    (
        "claude-haiku-4-5",
        r#""stop_sequences":["a","\n"]"#,
        r#""stop_sequences":["a"]"#,
        "stop_sequences[1]",
    ),
    (
        "my-deployment",
        r#""thinking":{"type":"between_tools","x":1},"temperature":0.1,"top_p":0.2"#,
        r#""thinking":{"type":"between_tools","x":1},"temperature":0.1,"top_p":0.2"#,
        "",
    ),
];

#[test]
fn messages_get_what_their_model_takes() {
    for (model, fields, expected, reported) in MESSAGES {
        check(&format!("anthropic/{model}"), fields, expected, reported);
    }
}

#[test]
fn a_converted_budget_needs_signed_thinking_before_the_last_calls() {
    let body = |signed: bool| {
        let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
        let content = if signed { json!([thinking, call]) } else { json!([call]) };
        json!({
            "thinking": {"type": "adaptive"}, "max_tokens": 9000,
            "messages": [
                {"role": "assistant", "content": content}, {"role": "user", "content": "x"},
            ],
        })
    };
    for signed in [true, false] {
        let (fitted, _) = fit("anthropic", "claude-haiku-4-5", &body(signed).to_string());
        let fitted: Value = serde_json::from_str(&fitted).unwrap();
        assert_eq!(fitted["thinking"]["type"] == "enabled", signed, "{fitted}");
    }
}

#[test]
fn what_is_no_conversation_is_left_alone() {
    for (dialect, provider, model) in [(OPENAI, "openai", "gpt-5"), (ANTHROPIC, "anthropic", "x")] {
        let body = r#"{"input":"developer","temperature":0.1,"max_tokens":9999999}"#;
        assert_eq!(fit(provider, model, body), (body.to_owned(), Vec::new()), "{dialect}");
    }
}

#[test]
fn ids_are_cut_alike_in_calls_and_results() {
    let id = |length: usize| "c".repeat(length);
    for (provider, model, length, changed) in [
        ("openai", "gpt-4o", 40, false),
        ("openai", "gpt-4o", 41, true),
        ("azure-openai", "gpt-4o", 300, true),
        ("self-hosted-model", "qwen", 300, false),
        ("mistral-ai", "mistral-small-latest", 9, false),
        ("mistral-ai", "mistral-small-latest", 24, true),
    ] {
        let id = id(length);
        let call =
            json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let body = json!({"messages": [
            {"role": "user", "content": format!("\"{id}\"")},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": id, "content": "x"},
        ]});
        let (fitted, reported) = fit(provider, model, &body.to_string());
        let fitted: Value = serde_json::from_str(&fitted).unwrap();
        let sent = &fitted["messages"][1]["tool_calls"][0]["id"];
        assert_eq!(*sent != json!(id), changed, "{provider} {length}: {sent}");
        assert_eq!(*sent, fitted["messages"][2]["tool_call_id"]);
        assert_eq!(fitted["messages"][0], body["messages"][0]);
        assert_eq!(!reported.is_empty(), changed, "{reported:?}");
    }
    let id = "functions.read:0";
    let body = json!({"messages": [
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "x"}]},
    ]});
    let (fitted, _) = fit("anthropic", "claude-haiku-4-5", &body.to_string());
    let fitted: Value = serde_json::from_str(&fitted).unwrap();
    let sent = &fitted["messages"][0]["content"][0]["id"];
    assert!(sent.as_str().unwrap().starts_with("functions_read_0_"), "{sent}");
    assert_eq!(*sent, fitted["messages"][1]["content"][0]["tool_use_id"]);
}

#[test]
fn users_and_metadata_are_kept_within_limits() {
    let long = "u".repeat(300);
    for (at, field, value, changed) in [
        ("openai/gpt-4o", "user", json!("u".repeat(64)), false),
        ("openai/gpt-4o", "user", json!(long), true),
        ("self-hosted-model/x", "user", json!(long), false),
        ("anthropic/claude-haiku-4-5", "metadata", json!({"user_id": "jane"}), false),
        ("anthropic/claude-haiku-4-5", "metadata", json!({"user_id": long}), true),
        (
            "anthropic/claude-haiku-4-5",
            "metadata",
            json!({"user_id": "jane.doe@example.com"}),
            true,
        ),
        ("openai/gpt-4o", "metadata", json!({"a": "b"}), false),
        ("openai/gpt-4o", "metadata", json!({(long.clone()): "b"}), true),
        ("openai/gpt-4o", "metadata", json!({"a": "b".repeat(513)}), true),
    ] {
        let (provider, model) = at.split_once('/').unwrap();
        let body = json!({"messages": [], field: value});
        let (fitted, reported) = fit(provider, model, &body.to_string());
        let fitted: Value = serde_json::from_str(&fitted).unwrap();
        assert_eq!(fitted[field] != value, changed, "{at} {value}");
        assert_eq!(reported.len(), usize::from(changed), "{at} {reported:?}");
        assert!(!fitted.to_string().contains("jane.doe"), "{fitted}");
    }
}
