//! Connections that leave HTTP: WebSockets by a client that nobody here wrote, and raw bytes.

use crate::ports::{Certificate, PATIENCE, Server, ask, until};
use futures_util::{SinkExt as _, StreamExt as _};
use gantry_http::server::Port;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

async fn echoes(stream: impl AsyncRead + AsyncWrite + Unpin, url: &str) {
    let (mut socket, answer) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert_eq!(answer.status().as_u16(), 101);
    for size in [0, 1, 125, 126, 70_000, 1 << 20] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, socket.next()).await.expect("no echo");
        assert!(answer.unwrap().unwrap() == message, "{size}");
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        assert!(message.unwrap().is_close());
    }
}

#[tokio::test]
async fn a_websocket_is_opened_and_used_over_plain_and_tls() {
    let server = Server::start(Port::default()).await;
    echoes(server.connect().await, "ws://localhost/websocket").await;
    server.shutdown.begin();
    assert_eq!(server.shutdown.drained(PATIENCE).await, 0);

    let certificate = Certificate::new();
    let server = Server::start(certificate.port()).await;
    let stream = certificate.connect(&server, &["http/1.1"]).await.unwrap();
    echoes(stream, "wss://localhost/websocket").await;
}

const UPGRADE: &str = "GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\n\
                       upgrade: echo\r\n\r\n";

#[tokio::test]
async fn what_was_sent_ahead_belongs_to_the_new_protocol() {
    let server = Server::start(Port::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(format!("{UPGRADE}ahead").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.unwrap();
    let (head, echo) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(echo, "ahead");
}

#[tokio::test]
async fn an_upgrade_behind_another_request_works_and_nobody_gets_one_unasked() {
    let server = Server::start(Port::default()).await;
    let mut stream = server.connect().await;
    let first = "GET /host HTTP/1.1\r\nhost: first\r\n\r\n";
    stream.write_all(format!("{first}{UPGRADE}x").as_bytes()).await.unwrap();
    until(&mut stream, "\r\n\r\nx").await;
    let unasked = "GET /upgrade HTTP/1.1\r\nhost: x\r\nupgrade: echo\r\nconnection: close\r\n\r\n";
    let answer = ask(server.connect().await, unasked).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    // A body that is still to come would be taken for the new protocol.
    let with_body = UPGRADE.replace("host: x", "host: x\r\ncontent-length: 9");
    assert_eq!(ask(server.connect().await, &with_body).await, "");
}

#[tokio::test]
async fn the_drain_waits_for_an_upgraded_connection_and_ends_it_when_its_time_is_over() {
    let server = Server::start(Port::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    server.shutdown.begin();
    stream.write_all(b"still").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still");
    assert_eq!(server.shutdown.drained(std::time::Duration::ZERO).await, 1);
}
