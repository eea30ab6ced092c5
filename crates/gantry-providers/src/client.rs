//! A plain HTTP client for everything off the request path: one connection per call.
//!
//! The CLI, the snapshot follower, the OTLP exporter and discovery use it. It never follows
//! redirects and never reads more than its limit.

use crate::connect;
use crate::endpoint::{self, Endpoint};
use crate::http1::{self, RequestHead};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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
    Broken { origin: String, source: http1::Error },
    #[error("read an answer of {origin} that is larger than {REPLY_BYTES_MAX} bytes")]
    TooLarge { origin: String },
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
    let connection = connect::connect(endpoint, call.timeout).await?;
    let mut reply = connection.exchange(&request, ()).await.map_err(broken)?;
    let mut body = BytesMut::new();
    while let Some(piece) = reply.body.piece().await.map_err(broken)? {
        if body.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(Error::TooLarge { origin: endpoint.origin() });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status: reply.status, headers: reply.fields.to_map(), body: body.freeze() })
}
