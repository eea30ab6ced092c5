//! What is known of a model holds for requests that need no translation.

use crate::harness::{Harness, json, text};
use gantry_gateway::config::Config;
use gantry_testkit::snapshot::{anthropic, openai, source, virtual_model};
use gantry_testkit::{Answer, MockUpstream, Step};
use http::Method;
use serde_json::{Value, json};

async fn gateway(mock: &MockUpstream, config: Config) -> Harness {
    let target = |target: &str, override_params: Value| {
        let target = json!({"target": target, "priority": 0, "override_params": override_params});
        json!({"type": "priority-based-routing", "load_balance_targets": [target]})
    };
    let strict = json!({
        "type": "priority-based-routing", "strict": true,
        "load_balance_targets": [{"target": "gpt/gpt-5-mini", "priority": 0}],
    });
    let entries = [
        openai("gpt", &mock.url(), &["gpt-5-mini", "new"]).unwrap(),
        anthropic("claude", &mock.url(), &["claude-haiku-4-5"]).unwrap(),
        virtual_model("warm", "m", target("gpt/gpt-5-mini", json!({"temperature": 0.5}))).unwrap(),
        virtual_model("long", "m", target("claude/claude-haiku-4-5", json!({"max_tokens": 90000})))
            .unwrap(),
        virtual_model("strict", "m", strict).unwrap(),
    ];
    Harness::start_with(source(&entries).unwrap(), config).await
}

fn sent(mock: &MockUpstream) -> Value {
    serde_json::from_slice(&mock.last_request().unwrap().body).unwrap()
}

fn chat(model: &str) -> Value {
    json!({
        "model": model, "max_tokens": 200_000, "temperature": 0.2,
        "messages": [{"role": "user", "content": "Hi"}],
    })
}

#[tokio::test]
async fn what_a_caller_says_and_what_a_route_sets_is_fitted_and_reported() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Config::default()).await;
    let (chats, messages) = ("/v1/chat/completions", "/v1/messages");
    for (path, model, field, expected, reported) in [
        (chats, "gpt/gpt-5-mini", "max_completion_tokens", json!(128_000), "max_completion_tokens"),
        (chats, "gpt/gpt-5-mini", "temperature", Value::Null, "temperature"),
        (chats, "gpt/new", "max_tokens", json!(200_000), ""),
        (chats, "warm/m", "temperature", Value::Null, "temperature"),
        (chats, "long/m", "max_tokens", json!(64_000), "max_tokens"),
        (messages, "long/m", "max_tokens", json!(64_000), "max_tokens"),
        (messages, "claude/claude-haiku-4-5", "max_tokens", json!(64_000), "max_tokens"),
        (messages, "warm/m", "temperature", Value::Null, "temperature"),
    ] {
        let answer = gateway.post(path, &chat(model).to_string()).await;
        assert_eq!(answer.status, 200, "{path} {model}: {}", text(&answer));
        assert_eq!(sent(&mock)[field], expected, "{path} {model}");
        let fidelity = answer.headers.get("x-gantry-fidelity");
        let fidelity = fidelity.map_or("", |value| value.to_str().unwrap());
        assert!(fidelity.contains(reported), "{path} {model}: {fidelity}");
    }
    let refused = gateway.post(chats, &chat("strict/m").to_string()).await;
    assert_eq!(refused.status, 400, "{}", text(&refused));
    assert!(json(&refused)["error"]["message"].as_str().unwrap().contains("temperature"));
}

#[tokio::test]
async fn a_header_or_the_configuration_switches_it_off() {
    let mock = MockUpstream::start().await.unwrap();
    for (configured, wished, fitted) in [
        (true, None, true),
        (true, Some("false"), false),
        (false, None, false),
        (false, Some("true"), true),
    ] {
        let config = Config { fit_requests: configured, ..Config::default() };
        let gateway = gateway(&mock, config).await;
        let headers: Vec<_> = wished.map(|wish| ("x-gantry-fit", wish)).into_iter().collect();
        let (path, body) = ("/v1/chat/completions", chat("gpt/gpt-5-mini").to_string());
        let answer = gateway.send(Method::POST, path, &body, &headers).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        assert_eq!(sent(&mock)["temperature"].is_null(), fitted, "{configured} {wished:?}");
    }
}

#[tokio::test]
async fn tools_that_a_vendor_refuses_are_sent_in_its_form_and_called_in_the_callers() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Config::default()).await;
    let list = json!({"type": "array", "items": {"type": "string"}});
    let odd = json!({"type": "object", "properties": {"$filter": {"type": "string"}}});
    let function = |name: &str, schema: &Value| {
        let function = json!({"name": name, "parameters": schema});
        json!({"type": "function", "function": function})
    };
    for stream in [false, true] {
        let body = json!({
            "model": "claude/claude-haiku-4-5", "stream": stream,
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [function("mcp.list/all", &list), function("find", &odd)],
        });
        gateway.post("/v1/chat/completions", &body.to_string()).await;
        let tools = sent(&mock)["tools"].clone();
        assert_eq!(tools[0]["input_schema"]["properties"]["input"], list, "{tools}");
        let names = tools[1]["input_schema"]["properties"].as_object().unwrap();
        let short = names.keys().next().unwrap().clone();
        let mut answer = Answer::tools(&["a", "b"]);
        answer.tool_calls[0].name = tools[0]["name"].as_str().unwrap().to_owned();
        answer.tool_calls[0].arguments = r#"{"input":["x","y"]}"#.to_owned();
        answer.tool_calls[1].name = "find".to_owned();
        answer.tool_calls[1].arguments = json!({&short: "z"}).to_string();
        mock.script(vec![Step::Answer(answer)]);
        let answer = gateway.post("/v1/chat/completions", &body.to_string()).await;
        let said = text(&answer);
        let whole = [r#""mcp.list/all""#, r#"[\"x\",\"y\"]"#, r#"{\"$filter\":\"z\"}"#];
        assert!(whole.iter().all(|part| said.contains(part)), "{stream} {said}");
    }
}
