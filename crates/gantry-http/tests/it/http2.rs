//! HTTP/2 on the ports that ask for it, by hyper's client.

use crate::ports::{Certificate, FLOOD, PATIENCE, Server, ask, get};
use bytes::Bytes;
use gantry_http::server::{Limits, Port, PortConfig};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

type Body = BoxBody<Bytes, Infallible>;

/// A client on a connection of its own.
struct Client(SendRequest<Body>);

impl Client {
    async fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        gantry_runtime::tasks::spawn("client", async { drop(connection.await) });
        Self(sender)
    }

    async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        tokio::time::timeout(PATIENCE, self.0.send_request(request)).await.expect("no answer")
    }

    /// Status and body of the answer to a request for a path.
    async fn get(&mut self, path: &str) -> (u16, String) {
        let response = self.send(request("GET", path, "")).await.unwrap();
        let status = response.status().as_u16();
        (status, text(response).await)
    }
}

fn request(method: &str, path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let uri = format!("http://localhost:80{path}");
    let body = Full::new(body.into()).boxed();
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn port() -> Port {
    PortConfig { http2: true, ..PortConfig::default() }.open().unwrap()
}

#[tokio::test]
async fn the_same_service_answers_over_tls_and_with_prior_knowledge() {
    let certificate = Certificate::new();
    let secure = PortConfig { http2: true, ..certificate.config() }.open().unwrap();
    let secure = Server::start(secure).await;
    let stream = certificate.connect(&secure, &["h2"]).await.unwrap();
    let own = stream.get_ref().0.local_addr().unwrap();
    let mut client = Client::new(stream).await;
    assert_eq!(client.get("/who").await, (200, format!("Some({own}) Some(\"localhost\")")));

    let plain = Server::start(port()).await;
    let mut client = Client::new(plain.connect().await).await;
    assert_eq!(client.get("/host").await, (200, "localhost:80".to_owned()));
    let body = "0123456789".repeat(500_000);
    let response = client.send(request("POST", "/echo", body.clone())).await.unwrap();
    assert!(response.headers().contains_key("date"));
    assert!(text(response).await == body);

    // HTTP/1.1 is still spoken on both, and asks for no more than it did.
    for path in ["/host", "/host?PRI"] {
        let answer = get(plain.connect().await, path).await;
        assert!(answer.ends_with("\r\n\r\nlocalhost"), "{answer}");
    }
    let stream = certificate.connect(&secure, &["http/1.1"]).await.unwrap();
    assert!(get(stream, "/host").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn it_is_not_spoken_where_nobody_asked_for_it() {
    let server = Server::start(Port::default()).await;
    let answer = ask(server.connect().await, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let server = Server::start(port()).await;
    let mut client = Client::new(server.connect().await).await;
    let trailers = HeaderMap::from_iter([("grpc-status", "0")].map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    }));
    let frames = [Frame::data(Bytes::from_static(b"data")), Frame::trailers(trailers.clone())];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed();
    let sent = Request::post("http://localhost/echo").body(body).unwrap();
    let collected = client.send(sent).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "data");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_own_stream_only() {
    let server = Server::start(port()).await;
    let mut client = Client::new(server.connect().await).await;
    let flood = client.send(request("GET", "/flood", "")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("/host").await.0, 200);
    }
    let taken = server.seen.flooded.load(Ordering::SeqCst);
    // The client's window, what the server keeps for the stream, and one more each.
    assert!((1..=4).contains(&taken), "{taken}");
    let body = flood.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), FLOOD.0 * FLOOD.1);
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_is_dropped_and_others_go_on() {
    let server = Server::start(port()).await;
    let mut client = Client::new(server.connect().await).await;
    let asked = client.0.send_request(request("GET", "/never", ""));
    let other = client.get("/host");
    assert_eq!(other.await.0, 200);
    drop(asked);
    let dropped = tokio::time::timeout(PATIENCE, server.seen.dropped.acquire()).await;
    dropped.expect("the call goes on").unwrap().forget();
    assert_eq!(client.get("/host").await.0, 200);
}

#[tokio::test]
async fn heads_follow_the_rules_of_http() {
    let limits = Limits { headers_max: 5, ..Limits::default() };
    let server = Server::limited(port(), limits).await;
    let mut client = Client::new(server.connect().await).await;
    let mut other_host = request("GET", "/host", "");
    other_host.headers_mut().insert("host", HeaderValue::from_static("elsewhere"));
    let response = client.send(other_host).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(text(response).await.contains("another host"));

    let mut many = request("GET", "/host", "");
    for name in ["a", "b", "c", "d", "e", "f"] {
        many.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    let response = client.send(many).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);

    let response = client.send(request("HEAD", "/host", "")).await.unwrap();
    assert_eq!(response.headers().get("content-length").unwrap(), "12");
    assert_eq!(text(response).await, "");

    // There is no upgrade: a service is told so before it tries.
    assert_eq!(client.get("/upgrade").await.0, 426);
}

#[tokio::test]
async fn a_shutdown_answers_what_has_begun_and_ends_what_does_not_end() {
    let server = Server::start(port()).await;
    let mut idle = Client::new(server.connect().await).await;
    assert_eq!(idle.get("/host").await.0, 200);
    let mut sniffed = server.connect().await;
    sniffed.write_all(b"PRI * HT").await.unwrap();
    let mut busy = Client::new(server.connect().await).await;
    let flood = busy.send(request("GET", "/flood", "")).await.unwrap();
    server.shutdown.begin();
    let body = flood.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), FLOOD.0 * FLOOD.1);
    assert_eq!(server.shutdown.drained(PATIENCE).await, 0);

    let server = Server::start(port()).await;
    let mut stuck = Client::new(server.connect().await).await;
    let asked = stuck.0.send_request(request("GET", "/never", ""));
    assert_eq!(stuck.get("/host").await.0, 200);
    server.shutdown.begin();
    assert_eq!(server.shutdown.drained(std::time::Duration::ZERO).await, 1);
    assert!(asked.await.is_err());
}
