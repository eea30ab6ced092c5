//! The usual replies of every operation.

use crate::client::post;
use gantry_testkit::MockUpstream;
use serde_json::{Value, json};

#[tokio::test]
async fn answers_every_operation_in_its_dialect() {
    let mock = MockUpstream::start().await.unwrap();
    let text = "Hello from the mock.";
    let cases = [
        ("/v1/chat/completions", json!({}), "/choices/0/message/content", json!(text)),
        ("/v1/chat/completions", json!({}), "/usage/prompt_tokens", json!(11)),
        ("/v1/chat/completions", json!({"model": "m"}), "/model", json!("m")),
        ("/v1/completions", json!({}), "/choices/0/text", json!(text)),
        ("/v1/embeddings", json!({"input": "a"}), "/data/0/embedding/0", json!(0.5)),
        ("/v1/embeddings", json!({"input": [1, 2]}), "/data/1", Value::Null),
        ("/v1/embeddings", json!({"input": ["a", "b"]}), "/data/1/index", json!(1)),
        ("/v1/embeddings", json!({"input": [[1], [2]]}), "/data/1/index", json!(1)),
        (
            "/v1/embeddings",
            json!({"input": "a", "encoding_format": "base64"}),
            "/data/0/embedding",
            json!("AAAAPwAAAL8AAIA+"),
        ),
        ("/v1/models", json!({}), "/data/0/id", json!("mock-chat")),
        ("/v1/messages?beta=true", json!({}), "/content/0/text", json!(text)),
        ("/v1/messages", json!({}), "/usage/output_tokens", json!(4)),
        ("/anthropic/v1/messages/count_tokens", json!({}), "/input_tokens", json!(11)),
        (
            "/openai/deployments/d1/chat/completions?api-version=2024-10-21",
            json!({"model": "other"}),
            "/model",
            json!("d1"),
        ),
        ("/openai/v1/chat/completions", json!({}), "/choices/0/finish_reason", json!("stop")),
        ("/v1/messages", json!({"model": "answer-cached"}), "/usage/input_tokens", json!(20)),
        (
            "/v1/messages",
            json!({"model": "answer-parallel-tools"}),
            "/content/1/input/city",
            json!("Rome"),
        ),
        ("/v1/chat/completions", json!({"model": "answer-no-usage"}), "/usage", Value::Null),
    ];
    for (path, body, pointer, expected) in cases {
        let reply = post(&mock, path, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{path} {body}");
        let json = reply.json();
        assert_eq!(json.pointer(pointer).unwrap_or(&Value::Null), &expected, "{path} {json}");
    }
}

#[tokio::test]
async fn refuses_as_the_vendors_do() {
    let mock = MockUpstream::start().await.unwrap();
    let cases = [
        ("/openai/deployments/d1/chat/completions", json!({}), 404, "/error/message"),
        ("/v2/nothing", json!({}), 404, "/error/message"),
        ("/v1/chat/completions", json!("no object"), 400, "/error/code"),
        ("/v1/messages", json!({"model": "fault-no-such"}), 404, "/error/type"),
    ];
    for (path, body, status, pointer) in cases {
        let reply = post(&mock, path, &body).await.unwrap();
        assert_eq!(reply.status, status, "{path} {body}");
        assert!(reply.json().pointer(pointer).is_some(), "{path} {}", reply.text());
    }
}

#[tokio::test]
async fn streams_chat_with_usage_only_when_asked() {
    let mock = MockUpstream::start().await.unwrap();
    let plain = json!({"model": "m", "stream": true});
    let events = post(&mock, "/v1/chat/completions", &plain).await.unwrap().events();
    assert_eq!(events.len(), 7);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[5]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[6], Value::Null);
    assert!(events.iter().all(|event| event.get("usage").is_none()));

    let asked = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}});
    let reply = post(&mock, "/v1/chat/completions", &asked).await.unwrap();
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = reply.events();
    assert_eq!(events[0].get("usage"), Some(&Value::Null));
    assert_eq!(events[6]["choices"], json!([]));
    assert_eq!(events[6]["usage"]["total_tokens"], 15);
}

#[tokio::test]
async fn streams_tool_calls_and_thinking() {
    let mock = MockUpstream::start().await.unwrap();
    let chat = json!({"model": "answer-parallel-tools", "stream": true});
    let events = post(&mock, "/v1/chat/completions", &chat).await.unwrap().events();
    let mut arguments = [String::new(), String::new()];
    for event in &events {
        let call = &event["choices"][0]["delta"]["tool_calls"][0];
        if let (Some(at), Some(part)) =
            (call["index"].as_u64(), call["function"]["arguments"].as_str())
        {
            arguments[usize::try_from(at).unwrap()] += part;
        }
    }
    assert_eq!(arguments, [r#"{"city": "Paris"}"#, r#"{"city": "Rome"}"#]);

    let messages = json!({"model": "answer-thinking", "stream": true});
    let events = post(&mock, "/v1/messages", &messages).await.unwrap().events();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(&types[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(types.last(), Some(&"message_stop"));
    assert_eq!(events[3]["delta"]["type"], "thinking_delta");
    assert_eq!(events[4]["delta"]["signature"], "c2ln");
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "end_turn");
    assert_eq!(last["usage"]["output_tokens"], 9);
}
