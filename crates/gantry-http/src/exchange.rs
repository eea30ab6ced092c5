//! HTTP/1.1 towards upstreams: one request at a time on a connection that its user polls himself.
//!
//! The pool and the plain client use it. hyper's client drives each connection by a task of its own
//! and hands requests and replies through channels; on the request path that costs more than the
//! protocol itself (`docs/decisions/0003-request-path.md`). Fields and framing are
//! `crate::http1`. It knows nothing of models, and it never sends a request twice.

use crate::http1::FramingError;

mod connection;
mod outgoing;
mod reply;
mod request;
mod stream;

pub use connection::Connection;
pub use reply::{Finished, Reply, ReplyBody};
pub use request::{Request, RequestHead};
pub(crate) use stream::Stream;

/// Most bytes of a reply's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why there is no reply, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `unsent` when not a byte of the request went out: it may go out on another connection.
    #[error("send the request")]
    Send { unsent: bool, source: std::io::Error },
    #[error("read the reply")]
    Read(#[from] std::io::Error),
    #[error("the connection was closed before the reply began")]
    NoReply,
    #[error("the connection was closed in the middle of the reply")]
    Cut,
    #[error("the reply's head is malformed")]
    Head(#[from] httparse::Error),
    #[error("the reply's head is larger than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("the reply's framing is malformed: {0}")]
    Framing(FramingError),
}

impl From<FramingError> for Error {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}
