//! Chat callers at Anthropic upstreams and Messages callers at OpenAI upstreams.

use crate::harness::{Harness, chat, chat_stream, json, messages, text};
use gantry_testkit::snapshot::{anthropic, openai, source, virtual_model};
use gantry_testkit::{Answer, Fault, MockUpstream, Place, Step};
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
