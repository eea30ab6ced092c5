//! A caller's connection: what came, how far it was used, and whether the caller is still there.
//!
//! The connection's loop and the body of the request in progress share it, on one thread.

use super::transport::Transport;
use crate::http1::{Framing, FramingError, poll_fill, skip_empty_lines};
use bytes::{BufMut as _, Bytes};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("read the request body")]
    Read(#[from] std::io::Error),
    #[error("the connection was closed in the middle of the request body")]
    Cut,
    #[error("the request body is malformed: {0}")]
    Framing(FramingError),
}

impl From<FramingError> for BodyError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much of the next requests is read while one is answered.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Wire {
    stream: Transport,
    /// What was read and not yet used.
    pub(super) held: Bytes,
    /// What is left of the body of the request in progress.
    framing: Framing,
    /// Whether the caller waits for a word before it sends the body.
    owes_continue: bool,
    /// Whether the caller must not take the connection's end for that of what was said.
    resets: bool,
}

impl Wire {
    /// A connection of which `held` was read already.
    pub(super) fn new(stream: Transport, held: Bytes) -> Self {
        let framing = Framing::Length(0);
        Self { stream, held, framing, owes_continue: false, resets: false }
    }

    /// The connection for a friendly end, unless there can be none.
    pub(super) fn into_stream(self) -> Option<Transport> {
        (!self.resets).then_some(self.stream)
    }

    /// The connection, and what was read of it ahead.
    pub(super) fn into_parts(self) -> (Transport, Bytes) {
        (self.stream, self.held)
    }

    /// Makes the connection's end a reset.
    pub(super) fn reset_at_end(&mut self) {
        self.resets = self.stream.reset_at_end();
    }

    /// Begins the body of a request whose head was taken out of `held`.
    pub(super) fn begin_body(&mut self, framing: Framing, owes_continue: bool) {
        self.framing = framing;
        // One who sends the body with the head does not wait.
        self.owes_continue = owes_continue && self.held.is_empty();
    }

    /// Reads what has come; 0 at the connection's end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        use tokio::io::AsyncRead as _;
        let Self { stream, held, .. } = self;
        poll_fill(held, |buffer| Pin::new(stream).poll_read(cx, buffer))
    }

    /// Whether no request has begun to come, even if the runtime has not looked yet.
    pub(super) fn is_idle(&self) -> bool {
        matches!(*self.held, [] | [b'\r']) && self.stream.is_silent()
    }

    /// Ready when the caller has gone. Of the requests that it has sent meanwhile it reads so much
    /// that it sees the end behind a usual one; the rest waits in the system's buffer.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.framing.ended() {
            skip_empty_lines(&mut self.held);
            if self.held.len() >= AHEAD_BYTES_MAX {
                return Poll::Pending;
            }
            if matches!(ready!(self.poll_fill(cx)), Ok(0) | Err(_)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether the body was read to its end, so that another request may follow. What came of it
    /// already is skipped; a body that is still on its way is not waited for.
    pub(super) fn skip_body(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if self.owes_continue {
            return false;
        }
        loop {
            match self.framing.next(&mut self.held) {
                Ok(Some(_)) => {}
                Ok(None) if self.framing.ended() => return true,
                Ok(None) if matches!(self.poll_fill(&mut cx), Poll::Ready(Ok(1..))) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Bytes of the body that are still to come, if they were declared.
    pub(super) fn body_left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Chunked(_) | Framing::Close => None,
        }
    }

    pub(super) fn body_ended(&self) -> bool {
        self.framing.ended()
    }

    /// The next piece of the body, never empty; `None` at its end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            if let Some(piece) = self.framing.next(&mut self.held)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.framing.ended() {
                return Poll::Ready(Ok(None));
            }
            ready!(self.poll_continue(cx))?;
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(BodyError::Cut));
            }
        }
    }

    /// Reads a part of the body straight into the room that `buffer` has; 0 at the body's end.
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Result<usize, BodyError>> {
        let left = match self.framing {
            Framing::Length(left) if left > 0 && self.held.is_empty() => left,
            _ => {
                let piece = ready!(self.poll_piece(cx))?.unwrap_or_default();
                buffer.extend_from_slice(&piece);
                return Poll::Ready(Ok(piece.len()));
            }
        };
        ready!(self.poll_continue(cx))?;
        let mut room = buffer.limit(usize::try_from(left).unwrap_or(usize::MAX));
        let came = ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))?;
        if came == 0 {
            return Poll::Ready(Err(BodyError::Cut));
        }
        self.framing = Framing::Length(left - came as u64);
        Poll::Ready(Ok(came))
    }

    /// Lets a caller that asked for it send its body.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.owes_continue {
            // So few bytes at a reply's beginning find room in any socket.
            let written = ready!(self.poll_write(cx, &[IoSlice::new(CONTINUE)]))?;
            self.owes_continue = false;
            if written < CONTINUE.len() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the connection takes.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        match parts {
            [part] => stream.poll_write(cx, part),
            parts => stream.poll_write_vectored(cx, parts),
        }
    }

    /// Sends what the transport has kept back; only TLS does.
    #[inline]
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}
