//! Chat callers at Anthropic upstreams and Messages callers at OpenAI upstreams.

use crate::harness::{Harness, chat, chat_stream, json, messages, text};
use bytes::Bytes;
use gantry_testkit::snapshot::{account, anthropic, openai, source, virtual_model};
use gantry_testkit::{Act, Answer, Fault, MockUpstream, Place, Raw, Step};
use http::Method;
use serde_json::json;

async fn gateway(mock: &MockUpstream) -> Harness {
    let strict = json!({
        "type": "priority-based-routing", "strict": true,
        "load_balance_targets": [{"target": "claude/m", "priority": 0}],
    });
    let entries = [
        openai("gpt", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
        virtual_model("strict", "m", strict).unwrap(),
    ];
    Harness::start(source(&entries).unwrap()).await
}

#[tokio::test]
async fn a_chat_caller_gets_chat_from_an_anthropic_upstream() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let answer = gateway.post("/v1/chat/completions", &chat("claude/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(json(&answer)["object"], "chat.completion");
    let sent = mock.last_request().unwrap();
    assert_eq!(sent.path(), "/v1/messages");
    assert!(sent.header("anthropic-version").is_some());
    let answer = gateway.post("/v1/chat/completions", &chat_stream("claude/m")).await;
    assert!(text(&answer).ends_with("data: [DONE]\n\n"), "{}", text(&answer));
    assert!(text(&answer).contains("chat.completion.chunk"));
    for record in gateway.records() {
        assert_eq!(record.finish_reason, "stop", "{record:#?}");
        assert!(record.usage.output > 0 && !record.usage_estimated, "{record:#?}");
    }
}

#[tokio::test]
async fn a_fast_chat_names_the_beta_that_fast_mode_needs() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    for (tier, expected) in [("fast", Some("fast-mode-2026-02-01")), ("auto", None)] {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let body = json!({"model": "claude/m", "messages": messages, "service_tier": tier});
        let answer = gateway.post("/v1/chat/completions", &body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let sent = mock.last_request().unwrap();
        assert_eq!(sent.header("anthropic-beta"), expected, "{tier}");
    }
}

#[tokio::test]
async fn a_messages_caller_gets_messages_from_an_openai_upstream() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let answer = gateway.post("/v1/messages", &messages("gpt/m", false)).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(json(&answer)["type"], "message");
    assert_eq!(json(&answer)["stop_reason"], "end_turn");
    mock.script(vec![Step::Answer(Answer::tools(&["Berlin", "Paris"]))]);
    let answer = gateway.post("/v1/messages", &messages("gpt/m", true)).await;
    let stream = text(&answer);
    assert_eq!(
        stream.matches("\"tool_use\",\"id\"").count().max(stream.matches("tool_use").count() / 2),
        2,
        "{stream}"
    );
    assert!(stream.trim_end().ends_with("{\"type\":\"message_stop\"}"), "{stream}");
}

#[tokio::test]
async fn a_tool_whose_name_the_upstream_finds_too_long_is_called_by_it_all_the_same() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let whole = format!("mcp__plugin_documentation_search__{}", "find_related_".repeat(4));
    for stream in [false, true] {
        let body = json!({
            "model": "gpt/m", "max_tokens": 100, "stream": stream,
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"name": &whole, "input_schema": {"type": "object"}}],
        });
        gateway.post("/v1/messages", &body.to_string()).await;
        let sent: serde_json::Value =
            serde_json::from_slice(&mock.last_request().unwrap().body).unwrap();
        let short = sent["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
        assert_eq!(short.len(), 64, "{short}");
        let mut answer = Answer::tools(&["Berlin"]);
        answer.tool_calls[0].name = short;
        mock.script(vec![Step::Answer(answer)]);
        let answer = gateway.post("/v1/messages", &body.to_string()).await;
        let named = format!("\"name\":\"{whole}\"");
        assert!(text(&answer).contains(&named), "{}", text(&answer));
        let lost = answer.headers["x-gantry-fidelity"].to_str().unwrap();
        assert!(lost.contains("tools[0].name"), "{lost}");
    }
    let undeclared = json!({
        "model": "gpt/m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}],
        "tool_choice": {"type": "tool", "name": &whole},
    });
    let refused = gateway.post("/v1/messages", &undeclared.to_string()).await;
    assert!(refused.status == 400 && text(&refused).contains(&whole), "{}", text(&refused));
}

/// The SDK's tool runner reads these, and sends the whole conversation again.
#[tokio::test]
async fn a_conversation_that_the_upstream_would_have_to_keep_is_refused_as_clients_expect() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let kept = json!({"type": "continue", "previous_message_id": "msg_1"});
    for (thread, status, kind, code) in [
        (json!({"type": "create"}), 400, "invalid_request_error", "thread_unsupported_request"),
        (kept, 404, "not_found_error", "thread_not_found"),
    ] {
        let body = json!({
            "model": "gpt/m", "max_tokens": 100, "thread": thread,
            "messages": [{"role": "user", "content": "Hi"}],
        });
        let refused = gateway.post("/v1/messages", &body.to_string()).await;
        assert_eq!(refused.status, status, "{}", text(&refused));
        let error = &json(&refused)["error"];
        assert_eq!(error["type"], kind);
        assert_eq!(error["details"]["error_code"], code);
    }
    assert!(mock.last_request().is_none());
}

/// A reply of a server that adds to OpenAI's schema.
const REASONING_REPLY: &str = concat!(
    r#"{"id":"1", "object":"chat.completion","model":"m","provider":"Their Own","choices":[{"#,
    r#""index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"hi"},"#,
    r#""finish_reason":"stop"}]}"#
);

#[tokio::test]
async fn a_caller_may_ask_for_openais_schema_alone_or_for_all_there_is() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let path = "/v1/chat/completions";
    for strict in [None, Some("true"), Some("false")] {
        let headers = strict.map(|strict| ("x-tfy-strict-openai", strict));
        let headers = headers.as_slice();
        let thinking: Step = "answer-thinking".parse().unwrap();
        let own = Raw {
            before: Vec::new(),
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: vec![Act::Send(Bytes::from_static(REASONING_REPLY.as_bytes()))],
        };
        mock.script(vec![thinking.clone(), thinking, Step::Raw(own)]);
        let answer = gateway.send(Method::POST, path, &chat("claude/m"), headers).await;
        let stream = gateway.send(Method::POST, path, &chat_stream("claude/m"), headers).await;
        let same = gateway.send(Method::POST, path, &chat("gpt/m"), headers).await;
        let (whole, stream) = (json(&answer), text(&stream));
        let (thinks, names) = (strict != Some("true"), strict == Some("false"));
        let message = &whole["choices"][0]["message"];
        assert_eq!(message.get("reasoning_content").is_some(), thinks, "{whole}");
        assert_eq!(message.get("thinking_blocks").is_some(), thinks, "{whole}");
        assert_eq!(whole.get("provider"), names.then(|| json!("anthropic")).as_ref(), "{whole}");
        assert_eq!(stream.contains("reasoning_content"), thinks, "{stream}");
        let chunks = if names { stream.matches("data: {").count() } else { 0 };
        let named = stream.matches(r#""provider":"anthropic"}"#).count();
        assert_eq!(named, chunks, "{stream}");
        assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
        if strict.is_none() {
            assert_eq!(text(&same), REASONING_REPLY, "the original bytes go on");
        } else if thinks {
            assert_eq!(json(&same)["provider"], "Their Own");
        } else {
            let own = json(&same);
            assert_eq!(own.get("provider"), None, "{own}");
            assert_eq!(own["choices"][0]["message"], json!({"role": "assistant", "content": "hi"}));
        }
    }
}

#[tokio::test]
async fn what_is_lost_is_listed_or_refused_when_the_route_is_strict() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let lossy = |model: &str| chat(model).replacen('{', "{\"logprobs\":true,\"seed\":1,", 1);
    let answer = gateway.post("/v1/chat/completions", &lossy("claude/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let fidelity = answer.headers["x-gantry-fidelity"].to_str().unwrap().to_owned();
    assert!(fidelity.contains("dropped logprobs"), "{fidelity}");
    assert!(fidelity.contains("dropped seed"), "{fidelity}");
    let answer = gateway.post("/v1/chat/completions", &lossy("strict/m")).await;
    assert_eq!(answer.status, 400, "{}", text(&answer));
    let message = json(&answer)["error"]["message"].to_string();
    assert!(message.contains("the route is strict") && message.contains("logprobs"), "{message}");
    let headers = [("x-gantry-strict", "true")];
    let body = lossy("claude/m");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 400);
    let records = gateway.records();
    assert!(records[0].fidelity.iter().any(|loss| loss.field == "logprobs"), "{records:#?}");
    assert_eq!(records[1].fault, "caller");
}

#[tokio::test]
async fn a_strict_route_refuses_what_is_lost_anywhere_but_no_default_of_gantrys() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let strict = [("x-gantry-strict", "True")];
    let plain = chat("claude/m");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &plain, &strict).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(answer.headers["x-gantry-fidelity"], "approximated max_completion_tokens");
    let lossy = plain.replace("\"role\"", "\"m\u{fc}\\nde\":1,\"role\"");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &lossy, &strict).await;
    assert_eq!(answer.status, 400, "{}", text(&answer));
    assert!(text(&answer).contains("messages[0].m"), "{}", text(&answer));
    let answer = gateway.post("/v1/chat/completions", &lossy).await;
    let listed = answer.headers["x-gantry-fidelity"].to_str().unwrap();
    assert!(listed.starts_with("dropped messages[0].m?\\nde; approximated"), "{listed}");
    let beta = [("x-gantry-strict", "true"), ("anthropic-beta", "files-2025")];
    let body = messages("gpt/m", false);
    let answer = gateway.send(Method::POST, "/v1/messages", &body, &beta).await;
    assert!(text(&answer).contains("would lose anthropic-beta"), "{}", text(&answer));
    let body = messages("claude/m", false);
    let answer = gateway.send(Method::POST, "/v1/messages", &body, &beta).await;
    assert_eq!(answer.status, 200, "the upstream knows it: {}", text(&answer));
}

#[tokio::test]
async fn an_upstreams_quirks_are_met_by_translated_calls_too() {
    let mock = MockUpstream::start().await.unwrap();
    let mistral = json!({
        "type": "provider-account/mistral-ai", "name": "mistral",
        "base_url": format!("{}/v1", mock.url()),
        "auth_data": {"type": "api-key", "api_key": "sk-x"},
        "integrations": [
            {"type": "integration/model/mistral-ai", "name": "m", "model_id": "m"},
        ],
    });
    let seeded = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "mistral/m", "priority": 0, "override_params": {"seed": 7}},
        ],
    });
    let entries = [account(mistral).unwrap(), virtual_model("seeded", "m", seeded).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let body = |model: &str| {
        messages(model, false).replacen('{', "{\"metadata\":{\"user_id\":\"user_ab\"},", 1)
    };
    let answer = gateway.post("/v1/messages", &body("seeded/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(answer.headers["x-gantry-fidelity"], "dropped user");
    let sent: serde_json::Value = mock.last_request().unwrap().json().unwrap();
    assert_eq!((&sent["user"], &sent["seed"]), (&json!(null), &json!(null)), "{sent}");
    assert_eq!((&sent["random_seed"], &sent["max_tokens"]), (&json!(7), &json!(64)), "{sent}");
    let strict = [("x-gantry-strict", "true")];
    let answer = gateway.send(Method::POST, "/v1/messages", &body("mistral/m"), &strict).await;
    assert_eq!(answer.status, 400, "{}", text(&answer));
    assert!(text(&answer).contains("would lose user"), "{}", text(&answer));
}

#[tokio::test]
async fn a_route_or_manifest_says_for_which_version_a_call_is_translated() {
    let mock = MockUpstream::start().await.unwrap();
    let versioned = |target: &str, edits: serde_json::Value| {
        let routing = json!({
            "type": "priority-based-routing",
            "load_balance_targets":
                [{"target": target, "priority": 0, "headers_override": edits}],
        });
        virtual_model(&target.replace('/', "-"), "m", routing).unwrap()
    };
    let set = json!({"set": {"Anthropic-Version": "2026-10-21"}});
    let own = json!({
        "type": "provider-account/anthropic", "name": "own", "base_url": mock.url(),
        "auth_data": {"type": "api-key", "api_key": "sk-x"},
        "integrations": [{"type": "integration/model/anthropic", "name": "m", "model_id": "m",
            "headers": {"anthropic-version": "2026-10-21"}}],
    });
    let entries = [
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
        account(own).unwrap(),
        versioned("claude/m", set),
        versioned("claude-m/m", json!({"set": {"x-more": "1"}})),
        versioned("claude-m-m/m", json!({"set": {"anthropic-version": "2023-06-01"}})),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let cases = [
        ("claude/m", "2023-06-01", true),
        ("own/m", "2026-10-21", false),
        ("claude-m/m", "2026-10-21", false),
        ("claude-m-m/m", "2026-10-21", false),
        ("claude-m-m-m/m", "2023-06-01", true),
    ];
    for (model, version, knows_temperature) in cases {
        let body = chat(model).replacen('{', "{\"temperature\":0.5,", 1);
        let answer = gateway.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", text(&answer));
        let sent = mock.last_request().unwrap();
        assert_eq!(sent.header("anthropic-version"), Some(version), "{model}");
        let sent: serde_json::Value = sent.json().unwrap();
        assert_eq!(sent.get("temperature").is_some(), knows_temperature, "{model}: {sent}");
    }
}

/// A Messages stream whose losses come behind its first text.
const LOSSY_STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[tokio::test]
async fn what_a_stream_loses_after_its_first_token_is_in_the_record() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let events = LOSSY_STREAM.split_inclusive("\n\n");
    mock.always(Step::Raw(Raw {
        before: Vec::new(),
        status: 200,
        headers: Vec::new(),
        body: events.map(|event| Act::Send(Bytes::from(event))).collect(),
    }));
    let body = chat_stream("claude/m").replacen('{', "{\"max_tokens\":9,\"seed\":1,", 1);
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert!(text(&answer).ends_with("data: [DONE]\n\n"), "{}", text(&answer));
    let record = gateway.record();
    let fields: Vec<&str> = record.fidelity.iter().map(|loss| loss.field.as_str()).collect();
    assert_eq!(fields, ["seed", "reply.content.citations", "reply.content"], "{record:#?}");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_of_the_callers_dialect() {
    let faults = [Fault::Cut { at: Place::MidStream, reset: true }, Fault::Error { later: true }];
    for fault in faults {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        mock.script(vec![Step::Fault(fault), Step::Fault(fault)]);
        let answer = gateway.post("/v1/messages", &messages("gpt/m", true)).await;
        let stream = text(&answer);
        assert!(stream.contains("event: error"), "{fault:?}: {stream}");
        assert!(!stream.contains("message_stop"), "{fault:?}: {stream}");
        let answer = gateway.post("/v1/chat/completions", &chat_stream("claude/m")).await;
        let stream = text(&answer);
        assert!(stream.contains("data: {\"error\":"), "{fault:?}: {stream}");
        assert!(!stream.contains("[DONE]"), "{fault:?}: {stream}");
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_upstream_or_estimated() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let body =
        r#"{"model":"MODEL","messages":[{"role":"user","content":"how many tokens is this"}]}"#;
    for (model, estimated) in [("claude/m", false), ("gpt/m", true)] {
        let body = body.replace("MODEL", model);
        let answer = gateway.post("/v1/messages/count_tokens", &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", text(&answer));
        assert!(json(&answer)["input_tokens"].as_u64().unwrap() > 0, "{model}");
        assert_eq!(answer.headers.contains_key("x-gantry-fidelity"), estimated, "{model}");
    }
    assert_eq!(mock.requests().len(), 1);
}
