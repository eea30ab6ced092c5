//! Slow and greedy clients: what is refused, what is cut off, and what the record says of it.

use crate::harness::{Harness, PATIENCE, Setup, chat, chat_stream, json, text};
use gantry_gateway::Config;
use gantry_http::server::Limits;
use gantry_testkit::snapshot::{ADMIN_TOKEN, one_account};
use gantry_testkit::{Act, MockUpstream, Raw, Step};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A limit of the tests that wait for it.
const SHORT: Duration = Duration::from_millis(100);

async fn gateway(mock: &MockUpstream, config: Config, limits: Limits) -> Harness {
    let setup = Setup { config, limits, ..Setup::default() };
    Harness::set_up(one_account(&mock.url(), &["m"]).unwrap(), setup).await
}

async fn connect(gateway: &Harness) -> TcpStream {
    TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// The head of a chat request up to its empty line, with `more` fields in it.
fn head(path: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         content-type: application/json\r\n{more}\r\n"
    )
}

/// Everything that comes until the gateway closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let read = stream.read_to_end(&mut seen);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection stayed open").unwrap();
    String::from_utf8(seen).unwrap()
}

/// A plain request still gets its answer.
async fn serves_on(gateway: &Harness) {
    let answer = gateway.post("/v1/chat/completions", &chat("mock/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_refused_and_the_connection_closed() {
    let mock = MockUpstream::start().await.unwrap();
    let limits = Limits { head_bytes_max: 16 * 1024, headers_max: 32, ..Limits::default() };
    let gateway = gateway(&mock, Config::default(), limits).await;
    let many: String = (0..64).map(|at| format!("x-{at}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(32 * 1024));
    let cases = [
        ("/v1/chat/completions", many, r#""code":"request_head_too_large""#),
        ("/v1/messages", long, r#""type":"invalid_request_error""#),
    ];
    for (path, more, expected) in cases {
        let mut stream = connect(&gateway).await;
        stream.write_all(head(path, &more).as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(answer.contains(expected), "{answer}");
        let record = gateway.records().pop().unwrap();
        assert_eq!((record.status, record.refusal.as_ref()), (431, "request_head_too_large"));
        assert_eq!(record.fault, "caller");
    }
    serves_on(&gateway).await;
    assert_eq!(gateway.records().len(), 3);
}

#[tokio::test]
async fn what_is_no_request_is_told_so_and_recorded() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Config::default(), Limits::default()).await;
    let cases = [
        (&b"\x16\x03\x01\x02\x00\x01\x00"[..], 400, "speaks HTTP without TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "only HTTP/1.1"),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 400, "there is no host field"),
        (
            b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            501,
            "only the transfer coding `chunked`",
        ),
        (b"GET /v1/models HTTP/1.1\r\nbad name: 1\r\n\r\n", 400, "invalid header name"),
    ];
    for (sent, status, expected) in cases {
        let mut stream = connect(&gateway).await;
        stream.write_all(sent).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(expected) && answer.contains("x-request-id: "), "{answer}");
        assert_eq!(gateway.records().pop().unwrap().status, status);
    }
    assert_eq!(gateway.records().len(), cases.len());
}

#[tokio::test]
async fn a_head_within_its_limits_is_served() {
    let mock = MockUpstream::start().await.unwrap();
    let limits = Limits { head_bytes_max: 16 * 1024, headers_max: 32, ..Limits::default() };
    let gateway = gateway(&mock, Config::default(), limits).await;
    let body = chat("mock/m");
    let long = "x".repeat(12 * 1024);
    let length = body.len();
    let more = format!("x-long: {long}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    let mut stream = connect(&gateway).await;
    stream.write_all(head("/v1/chat/completions", &more).as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_closes_the_connection() {
    let mock = MockUpstream::start().await.unwrap();
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let gateway = gateway(&mock, Config::default(), limits).await;
    for sent in ["", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = connect(&gateway).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(until_closed(&mut stream).await, "", "{sent}");
    }
    serves_on(&gateway).await;
    assert_eq!(gateway.records().len(), 1);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_refused_and_recorded_once() {
    let mock = MockUpstream::start().await.unwrap();
    let config = Config { request_idle_timeout_ms: 100, ..Config::default() };
    let gateway = gateway(&mock, config, Limits::default()).await;
    let body = chat("mock/m");
    let cases = [
        ("/v1/chat/completions", r#""code":"request_timeout""#),
        ("/v1/messages", r#""type":"timeout_error""#),
    ];
    for (path, expected) in cases {
        let mut stream = connect(&gateway).await;
        let more = format!("content-length: {}\r\n", body.len());
        stream.write_all(head(path, &more).as_bytes()).await.unwrap();
        stream.write_all(&body.as_bytes()[..10]).await.unwrap();
        // The rest may still come, so the connection is of no more use.
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains(expected), "{answer}");
        let record = gateway.records().pop().unwrap();
        assert_eq!((record.status, record.refusal.as_ref()), (408, "request_timeout"));
        assert_eq!(record.fault, "caller");
    }
    assert_eq!(gateway.records().len(), cases.len());
    assert_eq!(mock.requests().len(), 0);
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused_in_the_callers_envelope() {
    let mock = MockUpstream::start().await.unwrap();
    let config = Config { request_bytes_max: 1000, ..Config::default() };
    let gateway = gateway(&mock, config, Limits::default()).await;
    let body = format!("{}{}", chat("mock/m"), " ".repeat(1000));
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(json(&answer)["error"]["code"], "request_too_large");
    let answer = gateway.post("/v1/messages", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(json(&answer)["error"]["type"], "request_too_large");
    let records = gateway.records();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!((record.status, record.refusal.as_ref()), (413, "request_too_large"));
        assert_eq!(record.fault, "caller");
    }
    assert_eq!(mock.requests().len(), 0);
}

#[tokio::test]
async fn a_body_without_a_declared_length_has_the_same_limit() {
    let mock = MockUpstream::start().await.unwrap();
    let config = Config { request_bytes_max: 1000, ..Config::default() };
    let gateway = gateway(&mock, config, Limits::default()).await;
    for (bytes, status) in [(1000, 200), (1001, 413)] {
        let body = chat("mock/m");
        let body = format!("{body}{}", " ".repeat(bytes - body.len()));
        let more = "transfer-encoding: chunked\r\nconnection: close\r\n";
        let sent =
            format!("{}{bytes:x}\r\n{body}\r\n0\r\n\r\n", head("/v1/chat/completions", more));
        let mut stream = connect(&gateway).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

/// The refusal comes while the client still writes; a connection that is reset then would take it
/// away again.
#[tokio::test]
async fn a_client_that_writes_on_still_reads_the_refusal() {
    const MIB: usize = 1024 * 1024;
    let mock = MockUpstream::start().await.unwrap();
    let config = Config { request_bytes_max: 1000, ..Config::default() };
    let gateway = gateway(&mock, config, Limits::default()).await;
    let declared = format!("content-length: {}\r\n", 8 * MIB);
    let chunked = "transfer-encoding: chunked\r\n".to_owned();
    for (more, frame) in [(declared, ""), (chunked, "800000\r\n")] {
        let mut stream = connect(&gateway).await;
        let begun = format!("{}{frame}", head("/v1/chat/completions", &more));
        stream.write_all(begun.as_bytes()).await.unwrap();
        let body = vec![b' '; 8 * MIB];
        let write = stream.write_all(&body);
        let written = tokio::time::timeout(PATIENCE, write).await.expect("the body was not taken");
        assert!(written.is_ok(), "{more}: {written:?}");
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{more}: {answer}");
        assert!(answer.contains("request_too_large"), "{more}: {answer}");
    }
    assert_eq!(gateway.records().len(), 2);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_the_upstream_left() {
    let mock = MockUpstream::start().await.unwrap();
    let limits = Limits { stalled_client_timeout: SHORT, ..Limits::default() };
    let gateway = gateway(&mock, Config::default(), limits).await;
    // More than the socket buffers on the way can hold.
    let content = "x".repeat(1024 * 1024);
    let event = format!(
        "data: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n"
    );
    let event = bytes::Bytes::from(event);
    mock.script(vec![Step::Raw(Raw {
        before: Vec::new(),
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        body: (0..64).map(|_| Act::Send(event.clone())).chain([Act::Stall]).collect(),
    })]);
    let body = chat_stream("mock/m");
    let mut stream = connect(&gateway).await;
    let more = format!("content-length: {}\r\n", body.len());
    stream.write_all(head("/v1/chat/completions", &more).as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200 "));
    let record = gateway.record_of_leaving(&mock).await;
    assert!(record.usage_estimated && record.usage.output > 0, "{record:#?}");
    drop(stream);
}
