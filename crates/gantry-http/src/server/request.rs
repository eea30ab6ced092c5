//! A request as the services of a worker see it, and why there is none.

use super::streamed::Streamed;
use super::wire::{BodyError, Wire};
use crate::http1::Fields;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A request. Its body is read by whoever answers it, as far as he wants.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Path and query, and the authority if the caller spoke to us as to a proxy.
    pub uri: Uri,
    pub fields: Fields,
    /// Who sent it: the connection's other side, or the client that a trusted proxy names. Port 0
    /// when the proxy did not say one; `None` on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// The name that the client has asked for in TLS.
    pub server_name: Option<Arc<str>>,
    pub body: RequestBody,
}

/// Who sent a request, among the extensions of an [`http::Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Request {
    /// Head and body in the types of the `http` crate.
    #[must_use]
    pub fn into_http(self) -> http::Request<RequestBody> {
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.fields.to_map();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(Peer(peer));
        }
        request
    }

    /// The protocol to which the client wants to change, such as `websocket`. Over HTTP/2 none can
    /// be asked for.
    #[must_use]
    pub fn wants_upgrade(&self) -> Option<&[u8]> {
        let tokens = |value: &'_ [u8]| {
            let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            tokens.any(|token| token.eq_ignore_ascii_case(b"upgrade"))
        };
        let mut connection = self.fields.iter().filter(|field| field.is("connection"));
        let asks = connection.any(|field| tokens(field.value()));
        let here = matches!(self.body.0, Source::Wire(_));
        self.fields.get("upgrade").filter(|_| asks && here)
    }
}

/// The body of a request that is being answered.
pub struct RequestBody(Source);

/// Where a body comes from.
enum Source {
    Wire(Rc<RefCell<Wire>>),
    /// A stream of HTTP/2.
    Stream(Box<Streamed>),
}

impl RequestBody {
    pub(super) fn new(wire: Rc<RefCell<Wire>>) -> Self {
        Self(Source::Wire(wire))
    }

    pub(super) fn streamed(body: Streamed) -> Self {
        Self(Source::Stream(Box::new(body)))
    }

    /// The trailer fields behind a body that was read to its end; HTTP/1.1's are not kept.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.0 {
            Source::Wire(_) => None,
            Source::Stream(body) => body.trailers(),
        }
    }

    /// Bytes that are still to come, if the caller declared them.
    #[must_use]
    pub fn bytes_left(&self) -> Option<u64> {
        match &self.0 {
            Source::Wire(wire) => wire.borrow().body_left(),
            Source::Stream(body) => body.bytes_left(),
        }
    }

    /// Whether it was read to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match &self.0 {
            Source::Wire(wire) => wire.borrow().body_ended(),
            Source::Stream(body) => body.is_ended(),
        }
    }

    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// When the caller goes, or its framing is wrong.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        match &mut self.0 {
            Source::Wire(wire) => wire.borrow_mut().poll_piece(cx),
            Source::Stream(body) => body.poll_piece(cx),
        }
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
        match &mut self.0 {
            Source::Wire(wire) => wire.borrow_mut().poll_read_into(cx, buffer),
            Source::Stream(body) => body.poll_read_into(cx, buffer),
        }
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
    #[error("this port speaks HTTP with TLS only; use https:// in the address")]
    NeedsTls,
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
            Self::Tls | Self::NeedsTls | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }
}
