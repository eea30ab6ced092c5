//! The bodies of responses: whole, relayed from an upstream, or another service's.

use crate::relay::Relay;
use bytes::Bytes;
use gantry_http::server::{DetachedBody, DetachedError};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a body may fail with; only other services' bodies do.
pub(crate) type Error = DetachedError;

/// A body that makes its frames as it goes.
pub trait Frames {
    /// The next piece; `None` after the last.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// A response's body.
pub enum ReplyBody {
    Whole(Option<Bytes>),
    Relay(Box<Relay>),
    /// A stream whose head went out before its reply was there.
    Early(Box<dyn Frames>),
    Other(DetachedBody),
}

impl ReplyBody {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    pub(crate) fn other(body: DetachedBody) -> Self {
        Self::Other(body)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relay(relay) => {
                relay.poll_frame(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
            }
            Self::Early(early) => {
                early.poll_frame(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
            }
            Self::Other(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Relay(_) | Self::Early(_) => false,
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relay(_) | Self::Early(_) => SizeHint::default(),
            Self::Other(body) => body.size_hint(),
        }
    }
}
