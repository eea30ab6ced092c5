//! Half a character costs nobody a request, a reply or a stream, translated or not.

use crate::harness::{Harness, json, text};
use bytes::Bytes;
use gantry_testkit::snapshot::one_account;
use gantry_testkit::{Act, MockUpstream, Raw, Step};

const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

fn raw(body: &[&str]) -> Step {
    let send = |piece: &&str| Act::Send(Bytes::copy_from_slice(piece.as_bytes()));
    let body = body.iter().map(send).collect();
    Step::Raw(Raw { before: Vec::new(), status: 200, headers: Vec::new(), body })
}

async fn gateway(mock: &MockUpstream) -> Harness {
    Harness::start(one_account(&mock.url(), &["m"]).unwrap()).await
}

fn request(text: &str, stream: bool) -> String {
    let messages = format!(r#"[{{"role":"user","content":"{text}"}}]"#);
    format!(r#"{{"model":"mock/m","max_tokens":9,"stream":{stream},"messages":{messages}}}"#)
}

#[tokio::test]
async fn halves_in_requests_and_whole_replies_become_unknown_characters() {
    for path in PATHS {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        let function = r#"{"name":"f","arguments":"{\"a\":\"\\ud83d\"}"}"#;
        mock.script(vec![raw(&[&format!(
            "{{\"choices\":[{{\"message\":{{\"role\":\"assistant\",\"content\":\"a\\ud83d b\",\
             \"tool_calls\":[{{\"id\":\"c\",\"function\":{function}}}]}},\
             \"finish_reason\":\"tool_calls\"}}]}}"
        )])]);
        let answer = gateway.post(path, &request(r"x\ude42\ud83d\ude42", false)).await;
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        let body = json(&answer);
        let said = match path {
            "/v1/messages" => &body["content"][0]["text"],
            _ => &body["choices"][0]["message"]["content"],
        };
        assert_eq!(said, "a\u{fffd} b", "{path}: {body}");
        if path == "/v1/messages" {
            assert_eq!(body["content"][1]["input"]["a"], "\u{fffd}", "{body}");
        }
        let sent: serde_json::Value = serde_json::from_slice(&mock.requests()[0].body).unwrap();
        assert_eq!(sent["messages"][0]["content"], "x\u{fffd}\u{1f642}", "{path}: {sent}");
    }
}

/// The text of a stream.
fn said(path: &str, stream: &str) -> String {
    let piece = |event: gantry_llm::sse::Event<'_>| {
        let data = serde_json::from_slice(&event.data).unwrap_or(serde_json::Value::Null);
        let piece = match path {
            "/v1/messages" => &data["delta"]["text"],
            _ => &data["choices"][0]["delta"]["content"],
        };
        piece.as_str().unwrap_or_default().to_owned()
    };
    gantry_llm::sse::events(stream.as_bytes()).map(piece).collect()
}

#[tokio::test]
async fn halves_in_two_pieces_of_a_stream_are_joined() {
    let chunk = |text: &str| {
        let delta = format!(r#"{{"content":"{text}"}}"#);
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
    };
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let end = format!("{stop}data: [DONE]\n\n");
    for path in PATHS {
        let cases = [((r"a\ud83d", r"\ude42b"), "a🙂b"), ((r"a\ud83d", "b"), "a\u{fffd}b")];
        for ((first, second), expected) in cases {
            let mock = MockUpstream::start().await.unwrap();
            let gateway = gateway(&mock).await;
            mock.script(vec![raw(&[&chunk(first), &chunk(second), &end])]);
            let answer = gateway.post(path, &request("x", true)).await;
            assert_eq!(said(path, &text(&answer)), expected, "{path}: {}", text(&answer));
            assert_eq!(gateway.record().refusal, "", "{path}");
        }
    }
}
