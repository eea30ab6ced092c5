//! A caller that leaves stops the upstream at once and is still accounted, at every stage.

use crate::harness::{Harness, PATIENCE, chat, chat_stream};
use gantry_testkit::snapshot::{ADMIN_TOKEN, openai, source};
use gantry_testkit::{Fault, MockUpstream, Place, Step};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn gateway(mock: &MockUpstream) -> Harness {
    Harness::start(source(&[openai("mock", &mock.url(), &["m"]).unwrap()]).unwrap()).await
}

pub(crate) async fn connect(gateway: &Harness, body: &str, sent: usize) -> TcpStream {
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..sent]).await.unwrap();
    stream
}

#[tokio::test]
async fn while_the_body_is_being_sent() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let body = chat("mock/m");
    let stream = connect(&gateway, &body, 10).await;
    drop(stream);
    let records = gateway.records_until(1).await;
    assert_eq!(records[0].fault, "caller", "{records:#?}");
    assert_eq!(mock.requests().len(), 0);
}

#[tokio::test]
async fn while_the_upstream_thinks() {
    for stream in [true, false] {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        mock.script(vec![Step::Fault(Fault::Pause { at: Place::BeforeHeaders, time: None })]);
        let body = if stream { chat_stream("mock/m") } else { chat("mock/m") };
        let connection = connect(&gateway, &body, body.len()).await;
        let arrived = mock.until(|progress| progress.requests == 1);
        tokio::time::timeout(PATIENCE, arrived).await.unwrap();
        drop(connection);
        let record = gateway.record_of_leaving(&mock).await;
        let [attempt] = record.attempts.as_slice() else { panic!("{record:#?}") };
        assert_eq!((attempt.outcome.as_ref(), attempt.target.as_str()), ("cancelled", "mock/m"));
        assert!(attempt.url.ends_with("/v1/chat/completions"), "{attempt:?}");
        assert!(attempt.started_us + attempt.duration_us <= record.duration_us, "{record:#?}");
        assert!(record.usage.input > 0 && record.usage_estimated, "the upstream bills the prompt");
        assert_eq!((record.usage.output, record.resolved_model.as_str()), (0, "mock/m"));
    }
}

#[tokio::test]
async fn while_the_upstream_is_not_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // TLS begins and is never answered, so that no request goes out.
    let url = format!("https://{}", listener.local_addr().unwrap());
    let gateway = Harness::start(source(&[openai("mock", &url, &["m"]).unwrap()]).unwrap()).await;
    let body = chat("mock/m");
    let connection = connect(&gateway, &body, body.len()).await;
    let _held = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    drop(connection);
    let record = gateway.records_until(1).await.remove(0);
    assert_eq!(record.status, 499, "{record:#?}");
    assert_eq!((record.usage.input, record.resolved_model.as_str()), (0, ""), "{record:#?}");
}

/// A stream whose first words have arrived.
async fn streaming(gateway: &Harness) -> TcpStream {
    let body = chat_stream("mock/m");
    let mut connection = connect(gateway, &body, body.len()).await;
    read_until(&mut connection, "\"content\":").await;
    connection
}

/// What arrives until `mark` is in it.
async fn read_until(connection: &mut TcpStream, mark: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(mark) {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_stream_that_outlives_the_drain_is_not_blamed_on_the_caller() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    mock.script(vec![Step::Fault(Fault::Pause { at: Place::MidStream, time: None })]);
    let mut connection = streaming(&gateway).await;
    gateway.shutdown.begin();
    assert!(gateway.shutdown.drained(Duration::from_millis(20)).await > 0);
    let mut rest = String::new();
    connection.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("\"message\":\"Gantry stopped"), "{rest}");
    assert!(rest.ends_with("0\r\n\r\n"), "an end in good order: {rest}");
    let record = gateway.records_until(1).await.remove(0);
    let found = (record.status, record.refusal.as_ref(), record.fault.as_ref());
    assert_eq!(found, (200, "stopped", "gantry"), "{record:#?}");
    let [attempt] = record.attempts.as_slice() else { panic!("{record:#?}") };
    assert_eq!((attempt.outcome.as_ref(), attempt.error.as_str()), ("cancelled", &*record.error));
    assert!(record.usage.output > 0 && record.usage_estimated, "what came is accounted");
}

#[tokio::test]
async fn a_stream_that_is_whole_is_no_failure_when_the_drain_ends_before_its_framing() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    mock.script(vec![Step::Fault(Fault::Pause { at: Place::AfterEnd, time: None })]);
    let body = chat_stream("mock/m");
    let mut connection = connect(&gateway, &body, body.len()).await;
    let mut seen = read_until(&mut connection, "[DONE]").await;
    gateway.shutdown.begin();
    gateway.shutdown.drained(Duration::from_millis(20)).await;
    connection.read_to_string(&mut seen).await.unwrap();
    assert!(!seen.contains("error") && seen.ends_with("0\r\n\r\n"), "{seen}");
    let record = gateway.records_until(1).await.remove(0);
    assert_eq!((record.status, record.fault.as_ref()), (200, ""), "{record:#?}");
}

#[tokio::test]
async fn an_answer_that_outlives_the_drain_is_not_blamed_on_the_caller() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    mock.script(vec![Step::Fault(Fault::Pause { at: Place::BeforeHeaders, time: None })]);
    let body = chat("mock/m");
    let mut connection = connect(&gateway, &body, body.len()).await;
    let arrived = mock.until(|progress| progress.requests == 1);
    tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    gateway.shutdown.begin();
    assert!(gateway.shutdown.drained(Duration::from_millis(20)).await > 0);
    assert_eq!(connection.read(&mut [0; 100]).await.unwrap_or(0), 0, "nothing was promised");
    let record = gateway.records_until(1).await.remove(0);
    let found = (record.status, record.refusal.as_ref(), record.fault.as_ref());
    assert_eq!(found, (503, "stopped", "gantry"), "{record:#?}");
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    mock.script(vec![Step::Fault(Fault::Pause { at: Place::MidStream, time: None })]);
    let connection = streaming(&gateway).await;
    drop(connection);
    let record = gateway.record_of_leaving(&mock).await;
    assert!(record.usage_estimated);
    assert!(record.usage.output > 0 && record.usage.input > 0, "{record:#?}");
    assert_eq!(record.resolved_model, "mock/m");
    let [attempt] = record.attempts.as_slice() else { panic!("{record:#?}") };
    assert_eq!((attempt.outcome.as_ref(), attempt.status), ("cancelled", 200));
    let first_us = record.first_token_us.unwrap();
    assert!(attempt.started_us + attempt.duration_us >= first_us, "{record:#?}");
}
