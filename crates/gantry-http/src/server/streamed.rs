//! A request's body that comes as a stream of HTTP/2, read as one on a connection of its own.

use super::wire::BodyError;
use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body on its way. What is not read is not asked for: the client's window closes.
pub(super) struct Streamed {
    body: Incoming,
    /// What came and was not yet taken.
    rest: Bytes,
    trailers: Option<HeaderMap>,
}

impl Streamed {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, rest: Bytes::new(), trailers: None }
    }

    pub(super) fn bytes_left(&self) -> Option<u64> {
        let declared = self.body.size_hint().exact();
        declared.map(|left| left + self.rest.len() as u64)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(Ok(None));
            };
            match frame.map_err(|error| BodyError::Read(io::Error::other(error)))?.into_data() {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Poll::Ready(Ok(Some(piece))),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// As much of the next piece as `buffer` has room for; 0 at the end.
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Result<usize, BodyError>> {
        let Some(mut piece) = ready!(self.poll_piece(cx))? else { return Poll::Ready(Ok(0)) };
        let room = buffer.capacity().saturating_sub(buffer.len());
        // As on a connection of its own, a full buffer grows.
        let length = if room == 0 { piece.len() } else { piece.len().min(room) };
        buffer.extend_from_slice(piece.get(..length).unwrap_or_default());
        piece.advance(length);
        self.rest = piece;
        Poll::Ready(Ok(length))
    }
}
