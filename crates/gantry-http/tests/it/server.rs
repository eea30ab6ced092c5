//! The HTTP server against raw clients: framing, keeping connections, leaving, stopping.

use bytes::Bytes;
use gantry_http::http1::FieldLines;
use gantry_http::server::{
    Limits, Rejected, Request, Response, Service, Workers, accept, detached, listen, start_workers,
};
use gantry_runtime::tasks::{Shutdown, spawn};
use http::StatusCode;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Long enough for a busy machine, short enough to end a broken test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says what it was asked, and sends the body back.
struct Echo {
    /// Gets a permit for each call that was dropped unanswered.
    dropped: Arc<Semaphore>,
}

/// Counts its drop.
struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl Service for Echo {
    type Body = Body;
    type BodyError = std::io::Error;

    async fn call(&self, request: Request) -> Response<Body> {
        let path = request.uri.path().to_owned();
        match path.as_str() {
            // The body is left where it is.
            "/unread" => Response::new(StatusCode::FORBIDDEN, lines(&path), full("no")),
            "/never" => {
                let _dropped = Dropped(self.dropped.clone());
                std::future::pending().await
            }
            // The length is not known before.
            "/pieces" => {
                let pieces = ["a".to_owned(), String::new(), "b".repeat(100_000), "c".to_owned()];
                let frame = |piece: String| Ok(http_body::Frame::data(Bytes::from(piece)));
                let stream = futures_util::stream::iter(pieces.map(frame));
                Response::new(StatusCode::OK, lines(&path), StreamBody::new(stream).boxed())
            }
            "/broken" => {
                let piece = Ok(http_body::Frame::data(Bytes::from_static(b"begin")));
                let pieces = [piece, Err(std::io::Error::other("broken"))];
                let stream = futures_util::stream::iter(pieces);
                Response::new(StatusCode::OK, lines(&path), StreamBody::new(stream).boxed())
            }
            "/detached/unread" => detached(request, async |request| {
                let mut refused = http::Response::new(full("no"));
                // The rest of the worker gets its turn before the answer.
                tokio::task::yield_now().await;
                drop(request);
                *refused.status_mut() = StatusCode::FORBIDDEN;
                refused
            })
            .await
            .into(),
            "/detached" => detached(request, async |request| {
                let body = request.into_body().collect().await.map(|all| all.to_bytes());
                http::Response::new(full(body.unwrap_or_else(|error| error.to_string().into())))
            })
            .await
            .into(),
            _ => {
                let mut all = Vec::new();
                let mut body = request.body;
                let broken = loop {
                    match body.piece().await {
                        Ok(Some(piece)) => all.extend_from_slice(&piece),
                        Ok(None) => break None,
                        Err(error) => break Some(error.to_string()),
                    }
                };
                let said = broken.map_or(all, String::into_bytes);
                Response::new(StatusCode::OK, lines(&path), full(said))
            }
        }
    }

    fn reject(&self, rejected: Rejected) -> Response<Body> {
        let text = format!("{} at {}", rejected.why, rejected.target);
        Response::new(rejected.why.status(), FieldLines::default(), full(text))
    }
}

fn lines(path: &str) -> FieldLines {
    let mut lines = FieldLines::default();
    lines.line(b"x-path", path.as_bytes());
    lines
}

struct Server {
    address: std::net::SocketAddr,
    shutdown: Shutdown,
    dropped: Arc<Semaphore>,
}

impl Server {
    async fn start() -> Self {
        let shutdown = Shutdown::default();
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let dropped = Arc::new(Semaphore::new(0));
        let for_calls = dropped.clone();
        let service = move |_| Echo { dropped: for_calls.clone() };
        let workers =
            start_workers(Workers::default(), &Limits::default(), &shutdown, service).unwrap();
        spawn("accept", accept(listener, workers, shutdown.clone()));
        Self { address, shutdown, dropped }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that the server says to `sent` until it closes the connection.
    async fn whole(&self, sent: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent).await.unwrap();
        until_closed(&mut stream).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let read = stream.read_to_end(&mut seen);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection stayed open").unwrap();
    String::from_utf8(seen).unwrap()
}

/// Reads until `end` has come.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("nothing came");
        seen.push(char::from(byte.unwrap()));
    }
    seen
}

/// The bodies of the responses in `text`, which all declare their length.
fn bodies(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let (body, next) = rest.split_at(length.parse().unwrap());
        found.push(body);
        text = next;
    }
    found
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let server = Server::start().await;
    let chunked = "POST /2 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\ntwo\r\n4\r\n, 22\r\n0\r\nx-trailer: 1\r\n\r\n";
    let sent = format!(
        "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\none{chunked}\r\n\
         GET /3 HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n"
    );
    let answer = server.whole(sent.as_bytes()).await;
    assert_eq!(bodies(&answer), ["one", "two, 22", ""]);
    assert_eq!(answer.matches("connection: close").count(), 1);
    assert_eq!(answer.matches("\r\ndate: ").count(), 3);
}

#[tokio::test]
async fn a_request_is_read_the_same_at_any_boundary() {
    let server = Server::start().await;
    let sent = "POST /a?b HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\
                connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for cut in 1..sent.len() {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(&sent.as_bytes()[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&sent.as_bytes()[cut..]).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert_eq!(bodies(&answer), ["hello"], "{cut}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_chunked_and_for_old_clients_ends_with_the_connection() {
    let server = Server::start().await;
    let whole = format!("a{}c", "b".repeat(100_000));
    let close = "connection: close\r\n\r\n";
    let answer =
        server.whole(format!("GET /pieces HTTP/1.1\r\nhost: x\r\n{close}").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let pieces = format!("1\r\na\r\n186a0\r\n{}\r\n1\r\nc\r\n0\r\n\r\n", "b".repeat(100_000));
    assert!(body == pieces, "{}", body.len());
    let answer = server.whole(b"GET /pieces HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    assert!(body == whole, "{}", body.len());
}

#[tokio::test]
async fn a_broken_body_does_not_look_whole() {
    let server = Server::start().await;
    let answer = server.whole(b"GET /broken HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("\r\n5\r\nbegin\r\n"), "{answer}");
    let mut stream = server.connect().await;
    stream.write_all(b"GET /broken HTTP/1.0\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut seen)).await;
    let error = read.expect("the connection stayed open").expect_err("it ended as if whole");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let body = "x".repeat(8 * 1024 * 1024);
    let head = format!("PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let sending = [head.as_bytes(), body.as_bytes(), b"GET /end HTTP/1.0\r\n\r\n"].concat();
    let (mut read, mut write) = stream.split();
    let mut seen = Vec::new();
    let (sent, ()) = tokio::join!(write.write_all(&sending), async {
        let mut piece = vec![0; 10_000];
        loop {
            let count = read.read(&mut piece).await.unwrap();
            seen.extend_from_slice(&piece[..count]);
            if count == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    sent.unwrap();
    let answer = String::from_utf8(seen).unwrap();
    let found = bodies(&answer);
    assert!(found.len() == 2 && found[0] == body, "{}", answer.len());
}

#[tokio::test]
async fn a_connection_outlives_a_small_body_that_nobody_read() {
    let server = Server::start().await;
    let post = |length: usize, more: &str| {
        format!("POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{more}\r\nbody")
    };
    let sent = format!("{}{}", post(4, ""), post(4, "connection: close\r\n"));
    assert_eq!(bodies(&server.whole(sent.as_bytes()).await), ["no", "no"]);
    // The rest of this one is not waited for.
    let answer = server.whole(post(5, "").as_bytes()).await;
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_is_told_to_send_its_body() {
    let server = Server::start().await;
    let head = |path: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
             content-length: 4\r\n\r\n"
        )
    };
    let mut stream = server.connect().await;
    stream.write_all(head("/").as_bytes()).await.unwrap();
    assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    assert!(until(&mut stream, "body").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // Nobody wants this one's body, so the client is not asked for it.
    for path in ["/unread", "/detached/unread"] {
        let answer = server.whole(head(path).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    // This one does not wait.
    let mut stream = server.connect().await;
    stream.write_all((head("/unread") + "body").as_bytes()).await.unwrap();
    let answer = until(&mut stream, "no").await;
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_head_alone_declares_the_body_it_leaves_out() {
    let server = Server::start().await;
    let sent = b"HEAD /unread HTTP/1.1\r\nhost: x\r\n\r\n\
                 HEAD /pieces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = server.whole(sent).await;
    let heads: Vec<&str> = answer.split_terminator("\r\n\r\n").collect();
    assert!(heads.len() == 2 && heads[0].contains("content-length: 2"), "{answer}");
    assert!(heads[1].contains("transfer-encoding: chunked"), "{answer}");
}

#[tokio::test]
async fn a_body_goes_to_another_thread_whole_and_in_order() {
    let server = Server::start().await;
    let body: String = (0..200_000).map(|at| format!("{at},")).collect();
    let length = body.len();
    let sent = format!(
        "POST /detached HTTP/1.1\r\nhost: x\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let answer = server.whole(sent.as_bytes()).await;
    assert!(bodies(&answer) == [body.as_str()], "{}", answer.len());
    let none = "GET /detached HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(bodies(&server.whole(none.as_bytes()).await), [""]);
}

#[tokio::test]
async fn what_breaks_the_framing_ends_the_connection() {
    let server = Server::start().await;
    let sent = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                zz\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = server.whole(sent.as_bytes()).await;
    assert_eq!(bodies(&answer), ["the request body is malformed: a chunk has no size"]);
    let answer = server.whole(b"NO\x01PE / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("malformed"), "{answer}");
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start().await;
    for hosts in ["", "host: a\r\nhost: a\r\n", "host: a b\r\n"] {
        let sent = format!("GET / HTTP/1.1\r\n{hosts}\r\nGET / HTTP/1.0\r\n\r\n");
        let answer = server.whole(sent.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(bodies(&answer).len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_body_with_one_wrong_byte_is_not_searched_for_requests() {
    let server = Server::start().await;
    let bodies_of_chunks = [
        "5X\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n\r\n0\r\n\r\n",
        "fffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    ];
    for path in ["/", "/unread"] {
        for chunks in bodies_of_chunks {
            let sent = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}\
                 GET /smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            );
            let answer = server.whole(sent.as_bytes()).await;
            assert_eq!(bodies(&answer).len(), 1, "{chunks}: {answer}");
            assert!(answer.contains("connection: close"), "{chunks}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_is_noticed_behind_what_it_sent_ahead() {
    let server = Server::start().await;
    for ahead in ["", "\r\n", "\n\r\n\r", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut stream = server.connect().await;
        let sent = format!("PUT /never HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n{ahead}");
        stream.write_all(sent.as_bytes()).await.unwrap();
        drop(stream);
        let dropped = tokio::time::timeout(PATIENCE, server.dropped.acquire()).await;
        dropped.expect("the call goes on").unwrap().forget();
    }
}

#[tokio::test]
async fn an_empty_line_behind_a_body_is_no_request() {
    let server = Server::start().await;
    let put = |ends: &str, more: &str| {
        format!("PUT / HTTP/1.1\r\nhost: x\r\n{more}content-length: 4\r\n\r\nbody{ends}")
    };
    let sent = put("\r\n\n", "") + &put("", "connection: close\r\n");
    assert_eq!(bodies(&server.whole(sent.as_bytes()).await), ["body", "body"]);
    let mut idle = server.connect().await;
    idle.write_all(put("\r\n", "").as_bytes()).await.unwrap();
    until(&mut idle, "body").await;
    server.shutdown.begin();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(server.shutdown.drained(PATIENCE).await, 0);
}

#[tokio::test]
async fn a_shutdown_closes_what_is_idle_and_answers_what_has_begun() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    idle.write_all(b"PUT /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
    until(&mut idle, "body").await;
    let mut busy = server.connect().await;
    let expects =
        b"PUT /2 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    busy.write_all(expects).await.unwrap();
    until(&mut busy, "\r\n\r\n").await;
    server.shutdown.begin();
    assert_eq!(until_closed(&mut idle).await, "");
    busy.write_all(b"last").await.unwrap();
    let answer = until_closed(&mut busy).await;
    assert!(answer.ends_with("last") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.shutdown.drained(PATIENCE).await, 0);
}

#[tokio::test]
async fn a_shutdown_answers_what_waits_for_a_worker_and_lets_it_read_the_answer() {
    let begins = Arc::new(Barrier::new(2));
    let worker_begins = begins.clone();
    let shutdown = Shutdown::default();
    let service = move |_| {
        worker_begins.wait();
        Echo { dropped: Arc::new(Semaphore::new(0)) }
    };
    let workers =
        start_workers(Workers::default(), &Limits::default(), &shutdown, service).unwrap();
    let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let head = "POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n";
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        clients.push(client);
        let (stream, _) = listener.accept().await.unwrap();
        workers[0].send(stream.into_std().unwrap().into()).await.unwrap();
    }
    shutdown.begin();
    begins.wait();
    let body = vec![b'x'; 1024 * 1024];
    let answers = clients.into_iter().map(async |mut client| {
        client.write_all(&body).await.expect("it was reset");
        until_closed(&mut client).await
    });
    for answer in futures_util::future::join_all(answers).await {
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("no"), "{answer}");
    }
    assert_eq!(shutdown.drained(PATIENCE).await, 0);
}
