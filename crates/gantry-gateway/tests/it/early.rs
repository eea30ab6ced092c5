//! A stream whose first token is long in coming: head and comments go out, fallbacks stay unseen,
//! a failure is an error event, and the record tells how it ended.

use crate::harness::{Harness, chat_stream};
use crate::held::{self, ask, until};
use gantry_gateway::Config;
use gantry_model::record::RequestRecord;
use gantry_testkit::snapshot::{anthropic, openai, source, virtual_model};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const COMMENT: &str = ": keep-alive\n\n";

/// A gateway whose `route/chat` goes to `one/m`, then to `two/m`, and its upstream's replies.
async fn gateway(family: &str) -> (Harness, Sender<Option<String>>) {
    let (url, pieces) = held::upstream().await;
    let account = |name| match family {
        "openai" => openai(name, &url, &["m"]).unwrap(),
        _ => anthropic(name, &url, &["m"]).unwrap(),
    };
    let once = json!({"attempts": 0, "delay": 1, "on_status_codes": []});
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "one/m", "priority": 0, "retry_config": once},
            {"target": "two/m", "priority": 1, "retry_config": once},
        ],
    });
    let route = virtual_model("route", "chat", routing).unwrap();
    let source = source(&[account("one"), account("two"), route]).unwrap();
    let config = Config { stream_head_wait_ms: 20, ..Config::default() };
    (Harness::start_with(source, config).await, pieces)
}

/// A caller that has got the head and two comments.
async fn waiting(gateway: &Harness, path: &str) -> (TcpStream, String) {
    let mut connection = ask(gateway, path, "route/chat", "").await;
    let early = until(&mut connection, COMMENT, 2).await;
    let head = early.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{early}");
    for line in ["content-type: text/event-stream", "cache-control: no-cache", "x-request-id: "] {
        assert!(head.contains(line), "{line}: {early}");
    }
    assert!(!early.contains("data:"), "{early}");
    (connection, early)
}

/// What the caller gets in the end when the upstream answers with these.
async fn told(family: &str, path: &str, replies: &[String]) -> (String, RequestRecord) {
    let (gateway, upstream) = gateway(family).await;
    let (mut connection, _) = waiting(&gateway, path).await;
    for reply in replies {
        if !reply.is_empty() {
            upstream.send(Some(reply.clone())).await.unwrap();
        }
        upstream.send(None).await.unwrap();
    }
    let text = until(&mut connection, "\r\n0\r\n\r\n", 1).await;
    (text, gateway.record())
}

fn ok(family: &str) -> String {
    let events = match family {
        "openai" => concat!(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"late\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n"
        ),
        _ => concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"late\"}}\n\n",
            "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
            "\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
        ),
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    format!("{head}{events}")
}

fn status(code: u16) -> String {
    let body = r#"{"error":{"message":"overheated","type":"server_error"}}"#;
    format!(
        "HTTP/1.1 {code} No\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_comes_late_follows_the_comments_and_the_record_tells_how_it_ended() {
    for (family, path) in
        [("openai", CHAT), ("openai", MESSAGES), ("anthropic", CHAT), ("anthropic", MESSAGES)]
    {
        let failed = "upstream_failed";
        let event = match path {
            CHAT => "data: {\"error\":",
            _ => "event: error\ndata: {",
        };
        let end = match path {
            CHAT => "data: [DONE]\n\n",
            _ => "{\"type\":\"message_stop\"}\n\n",
        };
        // Replies, outcomes of the attempts, what the caller sees, and the record's refusal.
        let cases: [(Vec<String>, &[&str], &[&str], &str); 6] = [
            (vec![ok(family)], &["ok"], &["late", end], ""),
            (vec![status(503), ok(family)], &["status", "ok"], &["late", end], ""),
            (vec![String::new(), ok(family)], &["reset", "ok"], &["late", end], ""),
            (vec![status(400)], &["status"], &[event, "overheated"], "stream_error"),
            (vec![status(503); 2], &["status"; 2], &[event, "overheated"], "stream_error"),
            (vec![String::new(); 2], &["reset"; 2], &[event, failed], failed),
        ];
        for (replies, outcomes, seen, refusal) in cases {
            let what = format!("{family} {path} {replies:?}");
            let (text, record) = told(family, path, &replies).await;
            for part in seen {
                // The code of an error stands in OpenAI's envelope only.
                let is_code = *part == failed && path == MESSAGES;
                assert!(is_code || text.contains(part), "{what}: {part}: {text}");
            }
            assert!(!text.contains(end) || refusal.is_empty(), "{what}: {text}");
            let found: Vec<_> = record.attempts.iter().map(|each| each.outcome.as_ref()).collect();
            assert_eq!(found, outcomes, "{what}: {record:#?}");
            assert_eq!((record.status, record.refusal.as_ref()), (200, refusal), "{what}");
            assert_eq!(record.error.is_empty(), refusal.is_empty(), "{what}: {record:#?}");
            assert_eq!(record.first_token_us.is_some(), refusal.is_empty(), "{what}: {record:#?}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_waits_is_recorded() {
    let (gateway, _upstream) = gateway("openai").await;
    let (connection, _) = waiting(&gateway, CHAT).await;
    drop(connection);
    let record = gateway.records_until(1).await.remove(0);
    assert_eq!((record.status, record.fault.as_ref()), (499, "caller"), "{record:#?}");
    assert_eq!(record.attempts[0].outcome, "cancelled", "{record:#?}");
    assert!(record.usage.input > 0, "the upstream bills the prompt");
}

#[tokio::test]
async fn the_end_of_a_drain_is_said_to_who_waits() {
    let (gateway, _upstream) = gateway("openai").await;
    let (mut connection, _) = waiting(&gateway, CHAT).await;
    gateway.shutdown.begin();
    assert!(gateway.shutdown.drained(Duration::from_millis(20)).await > 0);
    let text = until(&mut connection, "\r\n0\r\n\r\n", 1).await;
    assert!(text.contains("data: {\"error\":") && text.contains("stopped"), "{text}");
    let record = gateway.records_until(1).await.remove(0);
    assert_eq!((record.status, record.refusal.as_ref()), (503, "stopped"), "{record:#?}");
}

#[tokio::test]
async fn without_a_wait_nothing_goes_out_before_the_first_token() {
    let (url, _pieces) = held::upstream().await;
    let config = Config { stream_head_wait_ms: 0, ..Config::default() };
    let config = Config { first_token_timeout_ms: 200, ..config };
    let source = source(&[openai("one", &url, &["m"]).unwrap()]).unwrap();
    let gateway = Harness::start_with(source, config).await;
    let answer = gateway.post(CHAT, &chat_stream("one/m")).await;
    assert_eq!(answer.status, 408);
}
