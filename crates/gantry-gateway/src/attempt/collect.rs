//! The whole body of a reply, read within a limit. The pump and `send` use it.

use super::broken::Break;
use bytes::{Bytes, BytesMut};
use gantry_http::pool::ReplyBody;
use gantry_runtime::errors::sentence;
use std::task::{Context, Poll, ready};

/// What came of a body so far; one piece is kept as it came.
#[derive(Default)]
pub(super) struct Collected {
    first: Option<Bytes>,
    all: BytesMut,
}

impl Collected {
    /// Ready when the body is whole, within `limit` bytes.
    pub(super) fn poll_whole(
        &mut self,
        body: &mut ReplyBody,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Break>> {
        loop {
            let data = match ready!(body.poll_piece(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(data)) => data,
                Some(Err(error)) => return Poll::Ready(Err(Break::Reset(sentence(&error)))),
            };
            if self.len() + data.len() > limit {
                let message = format!("reply larger than {limit} bytes");
                // What came is counted, though it is of no other use.
                self.add(data);
                return Poll::Ready(Err(Break::TooLarge(message)));
            }
            self.add(data);
        }
    }

    pub(super) fn take(&mut self) -> Bytes {
        let all = std::mem::take(&mut self.all);
        self.first.take().unwrap_or_else(|| all.freeze())
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.all.len() + self.first.as_ref().map_or(0, Bytes::len)
    }

    fn add(&mut self, data: Bytes) {
        match self.first.take() {
            None if self.all.is_empty() => self.first = Some(data),
            None => self.all.extend_from_slice(&data),
            Some(begun) => {
                self.all.extend_from_slice(&begun);
                self.all.extend_from_slice(&data);
            }
        }
    }
}
