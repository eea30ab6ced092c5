//! A request as the services of a worker see it, and why there is none.

use super::wire::{BodyError, Wire};
use crate::http1::Fields;
use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A request. Its body is read by whoever answers it, as far as he wants.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Path and query, and the authority if the caller spoke to us as to a proxy.
    pub uri: Uri,
    pub fields: Fields,
    pub body: RequestBody,
}

impl Request {
    /// Head and body in the types of the `http` crate.
    #[must_use]
    pub fn into_http(self) -> http::Request<RequestBody> {
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.fields.to_map();
        request
    }
}

/// The body of a request that is being answered.
pub struct RequestBody(Rc<RefCell<Wire>>);

impl RequestBody {
    pub(super) fn new(wire: Rc<RefCell<Wire>>) -> Self {
        Self(wire)
    }

    /// Bytes that are still to come, if the caller declared them.
    #[must_use]
    pub fn bytes_left(&self) -> Option<u64> {
        self.0.borrow().body_left()
    }

    /// Whether it was read to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.borrow().body_ended()
    }

    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// When the caller goes, or its framing is wrong.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        self.0.borrow_mut().poll_piece(cx)
    }

    /// The next piece, as a future.
    ///
    /// # Errors
    /// When the caller goes, or its framing is wrong.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// Adds what comes to `buffer` without another copy, at most as much as `buffer` has room for;
    /// 0 at the end.
    ///
    /// # Errors
    /// When the caller goes, or its framing is wrong.
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Result<usize, BodyError>> {
        self.0.borrow_mut().poll_read_into(cx, buffer)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({:?} bytes left)", self.bytes_left())
    }
}

/// What came in place of a request. The connection is closed after the answer.
#[derive(Debug)]
pub struct Rejected {
    pub why: Rejection,
    /// Path and query, as far as they were read.
    pub target: String,
}

/// What is wrong with a request's head.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the request's head is larger than {limit} bytes")]
    HeadTooLarge { limit: usize },
    #[error("the request has more than {limit} header fields")]
    TooManyFields { limit: usize },
    #[error("this port speaks HTTP without TLS; use http:// in the address")]
    Tls,
    #[error("only HTTP/1.1 and HTTP/1.0 are spoken here")]
    Version,
    #[error("only the transfer coding `chunked` is understood here")]
    TransferCoding,
    #[error("the request is malformed: {0}")]
    Malformed(String),
}

impl Rejection {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::HeadTooLarge { .. } | Self::TooManyFields { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Tls | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }
}
