//! A request on its way out: its head and the pieces of its body, written without a copy.

use super::{Request, Stream};
use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

/// Most parts of one write; a body of more goes out in several.
const PARTS_MAX: usize = 16;

/// How much of a request was written.
pub(super) struct Outgoing<'a> {
    request: &'a Request,
    sent: usize,
    len: usize,
    flushed: bool,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let len = request.head.len() + request.body.len();
        Self { request, sent: 0, len, flushed: false }
    }

    /// Bytes that the connection has taken.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    pub(super) fn is_done(&self) -> bool {
        self.flushed
    }

    /// Writes as much as the connection takes.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.len {
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let used = self.fill(&mut parts);
            let parts = parts.get(..used).unwrap_or_default();
            match ready!(stream.poll_write(cx, parts))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        if !self.flushed {
            ready!(stream.poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// What is left, for itself; `None` when all went out.
    pub(super) fn rest(&self) -> Option<Box<Rest>> {
        let mut skipped = self.sent;
        let head = Bytes::copy_from_slice(&self.request.head);
        let parts = std::iter::once(&head).chain(self.request.body.iter()).map(|part| {
            let skip = skipped.min(part.len());
            skipped -= skip;
            part.slice(skip..)
        });
        (!self.flushed).then(|| Box::new(Rest(parts.filter(|part| !part.is_empty()).collect())))
    }

    /// What is left, as far as it has room; returns how many parts are used.
    fn fill(&self, parts: &mut [IoSlice<'a>]) -> usize {
        let mut skipped = self.sent;
        let pieces = self.request.body.iter().map(|piece| piece.as_ref());
        let left = std::iter::once(self.request.head.as_slice()).chain(pieces).filter_map(|part| {
            let skip = skipped.min(part.len());
            skipped -= skip;
            part.get(skip..).filter(|rest| !rest.is_empty())
        });
        let mut used = 0;
        for (place, part) in parts.iter_mut().zip(left) {
            *place = IoSlice::new(part);
            used += 1;
        }
        used
    }
}

/// The rest of a request whose reply came before it was sent.
pub(super) struct Rest(VecDeque<Bytes>);

impl Rest {
    /// Writes as much as the connection takes.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(part) = self.0.front_mut() {
            match ready!(stream.poll_write(cx, &[IoSlice::new(part)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => part.advance(written),
            }
            if part.is_empty() {
                self.0.pop_front();
            }
        }
        stream.poll_flush(cx)
    }
}
