//! Request bodies that arrive in many pieces and go on in a few.

use crate::harness::{Harness, PATIENCE, chat, text};
use gantry_testkit::snapshot::{ADMIN_TOKEN, anthropic, one_account, openai, source};
use gantry_testkit::{Fault, MockUpstream, Retry, Step};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough to come in several pieces, and of another length for each `n`.
fn long_chat(model: &str, n: usize) -> String {
    let line = format!("line {n} with a \\\"quote\\\", an é and a 狐狸.\\n");
    let prompt = line.repeat(20_000 + 1000 * n);
    format!(
        r#"{{"messages":[{{"role":"user","content":"{prompt}"}}],"model":"{model}","seed":{n}}}"#
    )
}

#[tokio::test]
async fn a_long_prompt_arrives_whole_with_its_length_time_after_time() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    for n in [3, 0, 5, 3] {
        let answer = gateway.post("/v1/chat/completions", &long_chat("mock/gpt", n)).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let sent = mock.last_request().unwrap();
        let expected = long_chat("gpt", n);
        assert!(sent.body == expected.as_bytes(), "body {n} differs");
        let length = expected.len().to_string();
        assert_eq!(sent.header("content-length"), Some(length.as_str()));
    }
}

#[tokio::test]
async fn every_try_sends_the_same_long_prompt() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let busy = || Step::Fault(Fault::Status { code: 503, retry: Retry::Unsaid });
    mock.script(vec![busy(), busy()]);
    let headers = [("x-tfy-retry-config", r#"{"attempts":2,"onStatusCodes":[503]}"#)];
    let body = long_chat("mock/gpt", 1);
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let requests = mock.requests();
    assert_eq!(requests.len(), 3);
    let expected = long_chat("gpt", 1);
    assert!(requests.iter().all(|sent| sent.body == expected.as_bytes()), "a body differs");
}

#[tokio::test]
async fn a_long_prompt_of_undeclared_length_is_sent_with_its_length() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let mut stream =
        TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in long_chat("mock/gpt", 2).as_bytes().chunks(50_000) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        stream.write_all(chunk).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let sent = mock.last_request().unwrap();
    let expected = long_chat("gpt", 2);
    assert!(sent.body == expected.as_bytes(), "the body differs");
    let length = expected.len().to_string();
    assert_eq!(sent.header("content-length"), Some(length.as_str()));
}

#[tokio::test]
async fn long_work_on_one_body_does_not_hold_up_the_other_requests_of_its_worker() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [
        openai("gpt", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let turn = r#"{"role":"user","content":"hi"},{"role":"assistant","content":"ho"},"#;
    let turns = turn.repeat(40_000);
    let long =
        format!(r#"{{"model":"claude/m","messages":[{turns}{{"role":"user","content":"?"}}]}}"#);
    // Both travel to the one worker; the short one is answered while the long one is translated.
    let brief = chat("gpt/m");
    let (long, short) = tokio::join!(
        gateway.post("/v1/chat/completions", &long),
        gateway.post("/v1/chat/completions", &brief),
    );
    assert!(long.status == 200 && short.status == 200, "{} {}", text(&long), text(&short));
    assert_eq!(gateway.gateway.body_bytes(), 0);
    let records = gateway.records();
    assert_eq!(records[0].model, "gpt/m", "it was answered first");
}
