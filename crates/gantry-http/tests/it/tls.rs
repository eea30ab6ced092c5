//! TLS on a listener.

use crate::ports::{Certificate, FLOOD, PATIENCE, Server, ask, get};
use gantry_http::server::{Limits, PortConfig};
use gantry_runtime::errors::sentence;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn requests_come_over_tls_with_the_name_that_was_asked_for() {
    let certificate = Certificate::new();
    let server = Server::start(certificate.port()).await;
    let stream = certificate.connect(&server, &["http/1.1"]).await.unwrap();
    let peer = stream.get_ref().0.local_addr().unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = get(stream, "/who").await;
    assert!(answer.ends_with(&format!("Some({peer}) Some(\"localhost\")")), "{answer}");
    // One that knows no ALPN is served too.
    let answer = get(certificate.connect(&server, &[]).await.unwrap(), "/who").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn http2_is_offered_only_where_it_is_asked_for() {
    let certificate = Certificate::new();
    for (http2, expected) in [(true, "h2"), (false, "http/1.1")] {
        let port = PortConfig { http2, ..certificate.config() }.open().unwrap();
        let server = Server::start(port).await;
        let stream = certificate.connect(&server, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(expected.as_bytes()));
    }
    let server = Server::start(certificate.port()).await;
    let error = certificate.connect(&server, &["h2"]).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn large_bodies_go_both_ways_whole() {
    let certificate = Certificate::new();
    let server = Server::start(certificate.port()).await;
    let stream = certificate.connect(&server, &["http/1.1"]).await.unwrap();
    let body: String = (0..700_000).map(|at| format!("{at},")).collect();
    let head = "PUT /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length:";
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        write.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut seen = String::new();
    let (read, ()) = tokio::join!(read.read_to_string(&mut seen), sending);
    read.unwrap();
    assert!(seen.ends_with(&format!("\r\n\r\n{body}")), "{}", seen.len());
}

#[tokio::test]
async fn a_body_whose_end_is_the_connections_ends_with_a_farewell() {
    let certificate = Certificate::new();
    let server = Server::start(certificate.port()).await;
    let stream = certificate.connect(&server, &["http/1.1"]).await.unwrap();
    // The client's TLS would fail the read if the server just hung up.
    let answer = ask(stream, "GET /flood HTTP/1.0\r\n\r\n").await;
    assert!(answer.len() > FLOOD.0 * FLOOD.1, "{}", answer.len());
}

#[tokio::test]
async fn who_speaks_without_tls_is_told() {
    let certificate = Certificate::new();
    let server = Server::start(certificate.port()).await;
    let answer = ask(server.connect().await, "GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("with TLS only; use https:// in the address"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_holds_up_nobody_and_is_cut_off() {
    let certificate = Certificate::new();
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Server::limited(certificate.port(), limits).await;
    let (mut silent, mut stuck) = (server.connect().await, server.connect().await);
    stuck.write_all(&[0x16, 3, 1]).await.unwrap();
    let answer = get(certificate.connect(&server, &[]).await.unwrap(), "/who").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for stream in [&mut silent, &mut stuck] {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await;
        assert!(!read.expect("it stayed open").is_ok_and(|read| read > 0));
    }
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_a_broken_one_nobody() {
    let mut certificate = Certificate::new();
    let port = certificate.port();
    let tls = port.tls.clone().unwrap();
    let server = Server::start(port).await;
    let mut open = certificate.connect(&server, &[]).await.unwrap();
    let serves = async |certificate: &Certificate| certificate.connect(&server, &[]).await.is_ok();
    assert!(serves(&certificate).await && !tls.reload().unwrap(), "nothing has changed");

    certificate.renew();
    assert!(!serves(&certificate).await, "nobody has looked yet");
    assert!(tls.reload().unwrap() && serves(&certificate).await);

    let foreign = rcgen_key();
    let broken: [(&str, &[u8], &str); 3] = [
        ("tls.crt", b"nonsense", "must hold PEM certificates"),
        ("tls.key", b"", "must hold a private key"),
        ("tls.key", foreign.as_bytes(), "with the certificate in"),
    ];
    for (file, contents, expected) in broken {
        let before = std::fs::read(certificate.path(file)).unwrap();
        std::fs::write(certificate.path(file), contents).unwrap();
        let error = sentence(&tls.reload().unwrap_err());
        assert!(error.contains(expected), "{error}");
        assert!(!tls.reload().unwrap(), "it is said once");
        assert!(serves(&certificate).await, "the one before serves");
        std::fs::write(certificate.path(file), before).unwrap();
        assert!(tls.reload().unwrap());
    }
    std::fs::remove_file(certificate.path("tls.key")).unwrap();
    assert!(sentence(&tls.reload().unwrap_err()).contains("tls.key"));
    assert!(serves(&certificate).await);
    // What was open at the beginning still is.
    open.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    open.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
}

/// A key of somebody else.
fn rcgen_key() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

#[tokio::test]
async fn settings_that_cannot_work_say_why() {
    let certificate = Certificate::new();
    let whole = certificate.config();
    let cases = [
        (PortConfig { tls_key_file: None, ..whole.clone() }, "`tls_key_file` is missing"),
        (PortConfig { tls_cert_file: None, ..whole.clone() }, "`tls_cert_file` is missing"),
        (PortConfig { tls_cert_file: Some("/none".into()), ..whole.clone() }, "read /none"),
        (PortConfig { proxy_protocol: true, ..whole }, "without `trusted_proxies`"),
    ];
    for (config, expected) in cases {
        let error = sentence(&config.open().unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}
