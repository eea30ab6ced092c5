//! A plain HTTP client for everything off the request path.
//!
//! The CLI, the snapshot follower, the OTLP exporter and discovery use [`call`], with a connection
//! per call; the lake's object store uses a [`Client`], which keeps them. It never follows
//! redirects and never reads more than its limit.

use crate::connect::{self, Target};
use crate::endpoint::{self, Endpoint};
use crate::exchange::{self, Connection, Finished, RequestHead};
use crate::names::Names;
use bytes::{Bytes, BytesMut};
use gantry_runtime::clock::Clock;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes of a reply that are read.
pub const REPLY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// One call.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub method: Method,
    /// Whole URL, query included.
    pub url: &'a str,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For the whole call, connecting included.
    pub timeout: Duration,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    #[error(transparent)]
    Connect(#[from] connect::Error),
    #[error("build the request")]
    Request(#[from] http::Error),
    #[error("get an answer from {origin}")]
    Broken { origin: String, source: exchange::Error },
    #[error("read an answer of {origin} that is larger than {REPLY_BYTES_MAX} bytes")]
    TooLarge { origin: String },
    #[error("get an answer from {origin} within {limit_ms} ms")]
    Timeout { origin: String, limit_ms: u64 },
}

/// Sends one request over a connection of its own and reads the whole answer.
///
/// # Errors
/// When the URL is unusable, the connection fails or time runs out. A status is never an error.
pub async fn call(call: Call<'_>) -> Result<Answer, Error> {
    bounded(call, None).await
}

/// Idle connections that a [`Client`] keeps, all servers together.
const IDLE_MAX: usize = 32;

/// An idle connection older than this is not used any more: servers close them in their own time,
/// and what lies between may forget one without a word.
const IDLE_LIMIT_US: u64 = 15_000_000;

/// Keeps connections open for the next call; clones share them, on any thread.
#[derive(Clone)]
pub struct Client {
    idle: Arc<Mutex<Vec<Idle>>>,
    clock: Clock,
}

struct Idle {
    endpoint: u64,
    /// A connection is woken by the runtime that opened it, so only its calls may use it.
    runtime: tokio::runtime::Id,
    since_us: u64,
    connection: Connection,
}

impl Client {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { idle: Arc::default(), clock }
    }

    /// As [`call`], over a kept connection where there is one. A kept connection that turns out
    /// closed before the request went out is replaced.
    ///
    /// # Errors
    /// As [`call`].
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Error> {
        bounded(call, Some(self)).await
    }

    fn take(&self, endpoint: u64) -> Option<Connection> {
        let runtime = tokio::runtime::Handle::current().id();
        let now_us = self.clock.monotonic_us();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| now_us.saturating_sub(kept.since_us) < IDLE_LIMIT_US);
        let fits = |kept: &Idle| kept.endpoint == endpoint && kept.runtime == runtime;
        while let Some(place) = idle.iter().rposition(fits) {
            let mut kept = idle.swap_remove(place);
            if kept.connection.is_open(true) {
                return Some(kept.connection);
            }
        }
        None
    }

    fn keep(&self, endpoint: u64, connection: Connection) {
        let runtime = tokio::runtime::Handle::current().id();
        let since_us = self.clock.monotonic_us();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(Idle { endpoint, runtime, since_us, connection });
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Brings a connection back to its client, if there is one.
struct Lease<'a> {
    client: Option<&'a Client>,
    endpoint: u64,
}

impl Finished for Lease<'_> {
    fn finished(self, connection: Connection) {
        if let Some(client) = self.client {
            client.keep(self.endpoint, connection);
        }
    }
}

async fn bounded(call: Call<'_>, client: Option<&Client>) -> Result<Answer, Error> {
    let uri: http::Uri = call.url.parse().map_err(http::Error::from)?;
    let endpoint = Endpoint::parse(call.url.split(['?', '#']).next().unwrap_or(call.url), None)?;
    let limit = call.timeout;
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let origin = endpoint.origin();
    tokio::time::timeout(limit, exchange(&endpoint, &uri, call, client))
        .await
        .unwrap_or(Err(Error::Timeout { origin, limit_ms }))
}

async fn exchange(
    endpoint: &Endpoint,
    uri: &http::Uri,
    call: Call<'_>,
    client: Option<&Client>,
) -> Result<Answer, Error> {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut head = RequestHead::new(&call.method, path);
    let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
    head.field(&header::HOST, &host);
    for (name, value) in &call.headers {
        // Both are for this client to say.
        if *name != header::HOST && *name != header::CONTENT_LENGTH {
            head.field(name, value);
        }
    }
    let request = head.with_body(call.body.into());
    let broken = |source| Error::Broken { origin: endpoint.origin(), source };
    let take = || client.and_then(|client| client.take(endpoint.id));
    let lease = || Lease { client, endpoint: endpoint.id };
    let to = Target { endpoint, limit: call.timeout, names: &Names::system() };
    let mut reply = connect::send(to, &request, take, lease, broken).await?;
    let mut body = BytesMut::new();
    while let Some(piece) = reply.body.piece().await.map_err(broken)? {
        if body.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(Error::TooLarge { origin: endpoint.origin() });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status: reply.status, headers: reply.fields.to_map(), body: body.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers so many requests on each connection and then closes it; its address,
    /// and how many connections came.
    async fn server(requests_per_connection: usize) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        gantry_runtime::tasks::spawn("server", async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                for _ in 0..requests_per_connection {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.unwrap());
                    }
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                        .await
                        .unwrap();
                }
            }
        });
        (url, connections)
    }

    async fn ask(client: &Client, url: &str) {
        let (method, timeout) = (Method::GET, Duration::from_secs(10));
        let (headers, body) = Default::default();
        let answer = client.call(Call { method, url, headers, body, timeout }).await.unwrap();
        assert_eq!(answer.body, "ok");
    }

    #[tokio::test]
    async fn a_client_keeps_its_connection_until_it_is_old_or_closed() {
        let clock = Clock::manual(1_000_000);
        let client = Client::new(clock.clone());
        let (url, connections) = server(3).await;
        for _ in 0..3 {
            ask(&client, &url).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        // The server has closed it.
        ask(&client, &url).await;
        ask(&client, &url).await;
        assert_eq!(connections.load(Ordering::SeqCst), 2);
        clock.advance(Duration::from_micros(IDLE_LIMIT_US));
        drop(client.take(0));
        assert!(client.idle.lock().unwrap().is_empty());
    }
}
