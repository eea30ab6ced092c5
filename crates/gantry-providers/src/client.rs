//! A plain HTTP client for everything off the request path: one connection per call.
//!
//! The CLI, the snapshot follower, the OTLP exporter and discovery use it. It never follows
//! redirects and never reads more than its limit.

use crate::body::RequestBody;
use crate::connect;
use crate::endpoint::{self, Endpoint};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
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

/// Sends one request and reads the whole answer.
///
/// # Errors
/// When the URL is unusable, the connection fails or time runs out. A status is never an error.
pub async fn call(call: Call<'_>) -> Result<Answer, Error> {
    let uri: http::Uri = call.url.parse().map_err(http::Error::from)?;
    let endpoint = Endpoint::parse(call.url.split(['?', '#']).next().unwrap_or(call.url), None)?;
    let limit = call.timeout;
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let origin = endpoint.origin();
    tokio::time::timeout(limit, exchange(&endpoint, &uri, call))
        .await
        .unwrap_or(Err(Error::Timeout { origin, limit_ms }))
}

async fn exchange(endpoint: &Endpoint, uri: &http::Uri, call: Call<'_>) -> Result<Answer, Error> {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request: Request<RequestBody> =
        Request::builder().method(call.method).uri(path).body(call.body.into())?;
    *request.headers_mut() = call.headers;
    let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
    request.headers_mut().insert(header::HOST, host);
    let run = |driver| {
        gantry_runtime::tasks::spawn("http client connection", driver);
    };
    let mut sender = connect::connect(endpoint, call.timeout, run).await?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|source| Error::Broken { origin: endpoint.origin(), source })?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, REPLY_BYTES_MAX)
        .collect()
        .await
        .map_err(|source| Error::Body { origin: endpoint.origin(), source })?
        .to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}
