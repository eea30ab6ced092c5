//! Connections and their pool against a server that says exactly what a test wants.

use bytes::Bytes;
use gantry_http::endpoint::Endpoint;
use gantry_http::exchange::{Request, RequestHead};
use gantry_http::pool::{Error, Pool, Reply, Settings};
use gantry_runtime::clock::Clock;
use gantry_runtime::errors::sentence;
use http::Method;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Long enough for a busy machine, short enough to end a broken test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's address and a pool that calls it.
struct Bench {
    listener: TcpListener,
    endpoint: Endpoint,
    pool: Pool,
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let endpoint = Endpoint::parse(&url, None).unwrap();
        Self { listener, endpoint, pool: Pool::new(Settings::default()) }
    }

    async fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn send(&self, body: &'static [u8]) -> Result<Reply, Error> {
        let request = request(body);
        self.pool.send(&self.endpoint, &request, 0, &Cell::new(false)).await
    }

    /// What a pool of its own makes of a server that answers `reply` and closes.
    async fn answer(reply: &[u8], step: usize) -> Result<(u16, Vec<u8>), String> {
        let bench = Self::new().await;
        let server = async {
            let mut stream = bench.accept().await;
            read_request(&mut stream).await;
            for part in reply.chunks(step) {
                // The client may have given up on a malformed reply.
                let _ = stream.write_all(part).await;
                tokio::task::yield_now().await;
            }
        };
        let client = async {
            let reply = bench.send(b"{}").await.map_err(|error| sentence(&error))?;
            let status = reply.status.as_u16();
            Ok((status, read(reply).await.map_err(|error| sentence(&error))?))
        };
        both(server, client).await
    }
}

async fn both<T>(server: impl Future<Output = ()>, client: impl Future<Output = T>) -> T {
    tokio::join!(server, client).1
}

fn request(body: &'static [u8]) -> Request {
    RequestHead::new(&Method::POST, "/v1/x?y=1").with_body(Bytes::from_static(body).into())
}

async fn read(mut reply: Reply) -> Result<Vec<u8>, gantry_http::exchange::Error> {
    let mut all = Vec::new();
    while let Some(piece) = reply.body.piece().await? {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// Reads one request with a body of at most a few bytes.
async fn read_request(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "the request ended early");
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_reply_reads_the_same_at_any_boundary() {
    let replies: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n\
          HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          2\r\nhe\r\n3;x\r\nllo\r\n0\r\na: b\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200\r\nX-Empty:\r\n\r\nhello",
    ];
    for reply in replies {
        for step in [1, 2, 3, 7, 1000] {
            let found = Bench::answer(reply, step).await;
            assert_eq!(found, Ok((200, b"hello".to_vec())), "{step}");
        }
    }
    let found = Bench::answer(b"HTTP/1.1 204 No Content\r\n\r\n", 5).await;
    assert_eq!(found, Ok((204, Vec::new())));
}

#[tokio::test]
async fn a_broken_reply_is_an_error_that_says_how() {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let cases: [(&[u8], &str); 8] = [
        (b"", "closed before the reply began"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "closed in the middle of the reply"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "closed in the middle"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "closed in the middle"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the reply's head is malformed"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n", "another protocol"),
        (large.as_bytes(), "larger than 65536 bytes"),
        (many.as_bytes(), "the reply's head is malformed"),
    ];
    for (reply, expected) in cases {
        let error = Bench::answer(reply, 1000).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_made_and_the_connection_is_used_again() {
    let bench = Bench::new().await;
    let server = async {
        let mut stream = bench.accept().await;
        for _ in 0..3 {
            let found = read_request(&mut stream).await;
            assert_eq!(found, "POST /v1/x?y=1 HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    };
    let client = async {
        for _ in 0..3 {
            assert_eq!(read(bench.send(b"{}").await.unwrap()).await.unwrap(), b"ok");
        }
    };
    both(server, client).await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_trusted_is_not_used_again() {
    let bench = Bench::new().await;
    // Closing, of HTTP/1.0, with bytes behind the reply, or with an end that others may see
    // elsewhere.
    let replies: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
          2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n\
          2\r\nok\r\n0\r\n\r\n",
    ];
    // The server leaves them open.
    let open = RefCell::new(Vec::new());
    for reply in replies {
        let server = async {
            let mut stream = bench.accept().await;
            read_request(&mut stream).await;
            stream.write_all(reply).await.unwrap();
            open.borrow_mut().push(stream);
        };
        let client = async { read(bench.send(b"{}").await.unwrap()).await.unwrap() };
        let answer = tokio::time::timeout(PATIENCE, both(server, client)).await;
        assert_eq!(answer.expect("the connection was used again"), b"ok");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_just_now_is_not_used_again() {
    let bench = Bench::new().await;
    for seconds in 0..2 {
        let closing = RefCell::new(None);
        let server = async {
            let mut stream = bench.accept().await;
            read_request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            closing.replace(Some(stream));
        };
        let now_us = seconds * 2_000_000;
        let request = request(b"{}");
        let client = async {
            let reply = bench
                .pool
                .send(&bench.endpoint, &request, now_us, &Cell::new(false))
                .await
                .unwrap();
            read(reply).await.unwrap()
        };
        assert_eq!(both(server, client).await, b"ok");
        // The client's runtime does not look at its sockets between this and the next request.
        drop(closing);
    }
}

#[tokio::test]
async fn a_task_that_has_done_much_still_sees_that_a_connection_was_closed() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        let server = async {
            let mut stream = bench.accept().await;
            read_request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
        };
        let client = async { read(bench.send(b"{}").await.unwrap()).await.unwrap() };
        assert_eq!(both(server, client).await, b"ok");
        // The runtime sees the end of the server's side.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_without_another_request() {
    let bench = Bench::new().await;
    let clock = Clock::manual(0);
    let (old, request) = (clock.clone(), request(b"{}"));
    let server = async {
        let mut stream = bench.accept().await;
        read_request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    };
    let client = async {
        let now_us = clock.monotonic_us();
        let reply =
            bench.pool.send(&bench.endpoint, &request, now_us, &Cell::new(false)).await.unwrap();
        assert_eq!(read(reply).await.unwrap(), b"ok");
        old.advance(Settings::default().idle_timeout);
        bench.pool.tend(&clock).await;
    };
    tokio::select! {
        () = server => {}
        () = client => {}
    }
}

#[tokio::test]
async fn a_reply_that_comes_before_the_whole_request_is_taken() {
    let bench = Bench::new().await;
    let server = async {
        let mut stream = bench.accept().await;
        let mut some = [0; 1000];
        stream.read_exact(&mut some).await.unwrap();
        let reply = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(reply).await.unwrap();
        // The client hangs up, since the rest of its request is unsent.
        while stream.read(&mut some).await.is_ok_and(|read| read > 0) {}
    };
    let client = async {
        let body: &'static [u8] = Box::leak(vec![b'x'; 32 * 1024 * 1024].into_boxed_slice());
        let reply = bench.send(body).await.unwrap();
        assert_eq!(reply.status.as_u16(), 413);
        assert_eq!(read(reply).await.unwrap(), b"no");
    };
    both(server, client).await;
}

#[tokio::test]
async fn a_reply_that_goes_on_beside_the_request_gets_all_of_it() {
    const BYTES: usize = 32 * 1024 * 1024;
    const HEAD: &str = "OST /v1/x?y=1 HTTP/1.1\r\ncontent-length: 33554432\r\n\r\n";
    let bench = Bench::new().await;
    let server = async {
        let mut stream = bench.accept().await;
        for _ in 0..2 {
            assert_eq!(stream.read_u8().await.unwrap(), b'P');
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
            assert_eq!(read_request(&mut stream).await.len(), HEAD.len() + BYTES);
            stream.write_all(b"k").await.unwrap();
        }
    };
    let client = async {
        let body: &'static [u8] = Box::leak(vec![b'x'; BYTES].into_boxed_slice());
        // The connection is used again.
        for _ in 0..2 {
            assert_eq!(read(bench.send(body).await.unwrap()).await.unwrap(), b"ok");
        }
    };
    let done = tokio::time::timeout(PATIENCE, both(server, client)).await;
    done.expect("both wait for one another");
}

#[tokio::test]
async fn dropping_a_body_closes_its_connection_at_once() {
    let bench = Bench::new().await;
    let server = async {
        let mut stream = bench.accept().await;
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegin").await.unwrap();
        // End of the stream, or a reset: the client has gone.
        assert!(!stream.read(&mut [0]).await.is_ok_and(|read| read > 0));
    };
    let client = async {
        let mut reply = bench.send(b"{}").await.unwrap();
        assert_eq!(reply.body.piece().await.unwrap().unwrap(), "begin");
    };
    both(server, client).await;
}
