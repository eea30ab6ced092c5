//! A plain HTTP client for everything off the request path.
//!
//! The CLI, the snapshot follower, the OTLP exporter and discovery use [`call`], with a connection
//! per call; the lake's object store uses a [`Client`], which keeps them. It never follows
//! redirects and never reads more than its limit.

use crate::body::RequestBody;
use crate::connect;
use crate::endpoint::{self, Endpoint};
use bytes::Bytes;
use gantry_runtime::clock::Clock;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
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
    Broken { origin: String, source: hyper::Error },
    #[error("read the answer of {origin}")]
    Body { origin: String, source: Box<dyn std::error::Error + Send + Sync> },
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
#[derive(Clone, Debug)]
pub struct Client {
    idle: Arc<Mutex<Vec<Idle>>>,
    clock: Clock,
}

#[derive(Debug)]
struct Idle {
    endpoint: u64,
    /// A connection is driven by the runtime that opened it, so only its calls may use it.
    runtime: tokio::runtime::Id,
    since_us: u64,
    sender: SendRequest<RequestBody>,
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

    fn take(&self, endpoint: u64) -> Option<SendRequest<RequestBody>> {
        let runtime = tokio::runtime::Handle::current().id();
        let now_us = self.clock.monotonic_us();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |kept: &Idle| now_us.saturating_sub(kept.since_us) < IDLE_LIMIT_US;
        idle.retain(|kept| young(kept) && !kept.sender.is_closed());
        let fits = |kept: &Idle| kept.endpoint == endpoint && kept.runtime == runtime;
        let place = idle.iter().rposition(|kept| fits(kept) && kept.sender.is_ready())?;
        Some(idle.swap_remove(place).sender)
    }

    fn keep(&self, endpoint: u64, sender: SendRequest<RequestBody>) {
        let runtime = tokio::runtime::Handle::current().id();
        let since_us = self.clock.monotonic_us();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(Idle { endpoint, runtime, since_us, sender });
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
    let mut request: Request<RequestBody> =
        Request::builder().method(call.method).uri(path).body(call.body.into())?;
    *request.headers_mut() = call.headers;
    let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
    request.headers_mut().insert(header::HOST, host);
    let (response, sender) = send(endpoint, request, call.timeout, client).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, REPLY_BYTES_MAX)
        .collect()
        .await
        .map_err(|source| Error::Body { origin: endpoint.origin(), source })?
        .to_bytes();
    if let Some(client) = client {
        client.keep(endpoint.id, sender);
    }
    Ok(Answer { status: head.status, headers: head.headers, body })
}

async fn send(
    endpoint: &Endpoint,
    mut request: Request<RequestBody>,
    limit: Duration,
    client: Option<&Client>,
) -> Result<(Response<Incoming>, SendRequest<RequestBody>), Error> {
    let run = |driver| {
        gantry_runtime::tasks::spawn("http client connection", driver);
    };
    loop {
        let kept = client.and_then(|client| client.take(endpoint.id));
        let reused = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => connect::connect(endpoint, limit, run).await?,
        };
        match sender.try_send_request(request).await {
            Ok(response) => return Ok((response, sender)),
            Err(mut failed) => match failed.take_message() {
                // Nothing was written: safe to send again on another connection.
                Some(unsent) if reused => request = unsent,
                _ => {
                    let source = failed.into_error();
                    return Err(Error::Broken { origin: endpoint.origin(), source });
                }
            },
        }
    }
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
