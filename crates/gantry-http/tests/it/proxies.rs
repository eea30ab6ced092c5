//! Who a request is from, behind proxies.

use crate::ports::{Certificate, PATIENCE, Server, ask, serve};
use gantry_http::networks::Networks;
use gantry_http::server::{ClientHeader, Limits, Listener, Port, PortConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const GET: &str = "GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";

fn trusting(networks: &[&str]) -> PortConfig {
    let networks = networks.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    PortConfig { trusted_proxies: Networks::try_from(networks).unwrap(), ..PortConfig::default() }
}

async fn asked(port: Port, sent: &str) -> String {
    let server = Server::start(port).await;
    let stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    let answer = all(stream, sent).await;
    let body = answer.rsplit("\r\n\r\n").next().unwrap().replace(&own, "OWN");
    body.replace(" None", "")
}

/// What comes until the connection's end, be it a reset.
async fn all(mut stream: TcpStream, sent: &str) -> String {
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut seen)).await;
    drop(read.expect("the connection stayed open"));
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn only_a_trusted_proxy_says_who_its_client_is() {
    let header = "x-forwarded-for: 6.6.6.6, 192.0.2.1\r\n";
    let cases = [
        (trusting(&[]), header, "Some(OWN)"),
        (trusting(&["10.0.0.0/8"]), header, "Some(OWN)"),
        (trusting(&["127.0.0.0/8"]), header, "Some(192.0.2.1:0)"),
        (trusting(&["127.0.0.1", "192.0.2.0/24"]), header, "Some(6.6.6.6:0)"),
        (trusting(&["127.0.0.1"]), "", "Some(OWN)"),
        (trusting(&["127.0.0.1"]), "forwarded: for=192.0.2.1\r\n", "Some(OWN)"),
    ];
    for (config, header, expected) in cases {
        let found = asked(config.open().unwrap(), &format!("{GET}{header}\r\n")).await;
        assert_eq!(found, expected, "{config:?} {header}");
    }
    let client_header = ClientHeader::Forwarded;
    let config = PortConfig { client_header, ..trusting(&["127.0.0.1"]) };
    let sent = format!("{GET}{header}forwarded: for=192.0.2.7\r\n\r\n");
    assert_eq!(asked(config.open().unwrap(), &sent).await, "Some(192.0.2.7:0)");
    let sent = sent.replace("/who", "/extension");
    assert_eq!(asked(config.open().unwrap(), &sent).await, "Some(192.0.2.7:0)");
}

#[tokio::test]
async fn a_proxy_header_is_taken_from_trusted_proxies_only() {
    let proxied = |networks| PortConfig { proxy_protocol: true, ..trusting(networks) };
    let port = |networks| proxied(networks).open().unwrap();
    let v1 = format!("PROXY TCP4 192.0.2.1 127.0.0.1 5 80\r\n{GET}\r\n");
    let local = ["127.0.0.1"];
    assert_eq!(asked(port(&local), &v1).await, "Some(192.0.2.1:5)");
    let unknown = format!("PROXY UNKNOWN\r\n{GET}\r\n");
    assert_eq!(asked(port(&local), &unknown).await, "Some(OWN)");
    // From others, and from the proxy without a header, there is no answer at all.
    assert_eq!(asked(port(&["10.0.0.0/8"]), &v1).await, "");
    assert_eq!(asked(port(&local), &format!("{GET}\r\n")).await, "");
    // Where it is not asked for, it is no request.
    let v2 = format!("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0{GET}\r\n");
    for (header, expected) in [(&v1, "only HTTP/1.1"), (&v2, "malformed")] {
        let refused = asked(trusting(&local).open().unwrap(), header).await;
        assert!(refused.contains(expected), "{refused}");
    }
    // Both say who: the next proxy in line speaks for its client.
    let both =
        format!("PROXY TCP4 10.1.1.1 127.0.0.1 5 80\r\n{GET}x-forwarded-for: 8.8.8.8\r\n\r\n");
    assert_eq!(asked(port(&["127.0.0.1", "10.0.0.0/8"]), &both).await, "Some(8.8.8.8:0)");
    assert_eq!(asked(port(&local), &both).await, "Some(10.1.1.1:5)");
}

#[tokio::test]
async fn a_proxy_header_stands_before_tls() {
    let certificate = Certificate::new();
    let config = PortConfig {
        proxy_protocol: true,
        trusted_proxies: trusting(&["127.0.0.1"]).trusted_proxies,
        ..certificate.config()
    };
    let server = Server::start(config.open().unwrap()).await;
    let mut stream = server.connect().await;
    let addresses = [192, 0, 2, 1, 127, 0, 0, 1, 0, 5, 0, 80, 0x04, 0, 1, 0];
    let v2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10"[..], &addresses].concat();
    stream.write_all(&v2).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = certificate.connector(&[]).connect(name, stream).await.unwrap();
    let answer = ask(stream, &format!("{GET}\r\n")).await;
    assert!(answer.ends_with("Some(192.0.2.1:5) Some(\"localhost\")"), "{answer}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_and_has_no_peer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gantry.sock");
    let listener = Listener::from(tokio::net::UnixListener::bind(&path).unwrap());
    let port = trusting(&["0.0.0.0/0"]).open().unwrap();
    let (shutdown, _) = serve(listener.speaking(port), &Limits::default());
    let mut idle = tokio::net::UnixStream::connect(&path).await.unwrap();
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = ask(stream, &format!("{GET}x-forwarded-for: 6.6.6.6\r\n\r\n")).await;
    assert!(answer.ends_with("\r\n\r\nNone None"), "{answer}");
    shutdown.begin();
    let read = tokio::time::timeout(PATIENCE, idle.read(&mut [0])).await;
    assert_eq!(read.expect("it stayed open").unwrap(), 0);
    assert_eq!(shutdown.drained(PATIENCE).await, 0);
}
