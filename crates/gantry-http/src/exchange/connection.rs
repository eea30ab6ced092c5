//! One connection: sends a request and reads the reply's head.

use super::outgoing::{Outgoing, Rest};
use super::{Error, HEAD_BYTES_MAX, Request, Stream};
use crate::http1::{
    FIELDS_MAX, Fields, Framing, FramingError, is_silent, poll_fill, skip_empty_lines, stays_open,
};
use bytes::Bytes;
use http::StatusCode;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

/// A connection that carries one request at a time.
pub struct Connection {
    stream: Stream,
    /// What was read and not yet used.
    held: Bytes,
    /// So much of `held` alone is no head.
    looked_at: usize,
    /// Whether another request may follow this one.
    reusable: bool,
    /// What is still to be sent of the request, beside the reply's body.
    rest: Option<Box<Rest>>,
}

/// A head as it was parsed.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    /// Whether the connection stays open after the reply.
    stays: bool,
    since_1_1: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, held: Bytes::new(), looked_at: 0, reusable: true, rest: None }
    }

    /// Sends one request, and returns the head of its reply with the framing of its body.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(Head, Framing), Error> {
        let mut outgoing = Outgoing::new(request);
        let head = poll_fn(|cx| self.poll_exchange(&mut outgoing, cx)).await?;
        self.reusable = head.stays;
        if !outgoing.is_done() {
            // One who refuses, or is about to close, wants no more of it (RFC 9112, section 9.5).
            let wants_more = head.stays && head.status.is_success();
            self.rest = outgoing.rest().filter(|_| wants_more);
            self.reusable = self.rest.is_some();
        }
        let framing = Framing::of_reply(head.status, &head.fields, request.head_only)?;
        // Another reader may see its end elsewhere (RFC 9112, sections 6.1 and 6.3), so that what
        // comes behind it may be no reply to the next request.
        if matches!(framing, Framing::Chunked(_)) {
            self.reusable &= head.since_1_1 && !head.fields.contains("content-length");
        }
        Ok((head, framing))
    }

    fn poll_exchange(
        &mut self,
        outgoing: &mut Outgoing<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Error>> {
        let written = outgoing.poll(&mut self.stream, cx);
        match (self.poll_head(cx), written) {
            (Poll::Ready(Ok(head)), _) => Poll::Ready(Ok(head)),
            // Without a reply, what went wrong first says more.
            (_, Poll::Ready(Err(source))) => {
                Poll::Ready(Err(Error::Send { unsent: outgoing.sent() == 0, source }))
            }
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (Poll::Pending, _) => Poll::Pending,
        }
    }

    /// Reads until the head of the final reply is whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Error>> {
        loop {
            match self.parse_head()? {
                Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(Err(Error::Framing(FramingError(
                        "nobody asked for another protocol",
                    ))));
                }
                // `100 Continue` and its like come before the reply.
                Some(head) if head.status.is_informational() => continue,
                Some(head) => return Poll::Ready(Ok(head)),
                None if self.held.len() >= HEAD_BYTES_MAX => {
                    return Poll::Ready(Err(Error::HeadTooLarge));
                }
                None => {}
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let none = self.held.is_empty();
                return Poll::Ready(Err(if none { Error::NoReply } else { Error::Cut }));
            }
        }
    }

    fn parse_head(&mut self) -> Result<Option<Head>, Error> {
        skip_empty_lines(&mut self.held);
        // A head that drips is not taken apart anew for each of its bytes; its beginning shows
        // whether it is one.
        let came = self.held.get(self.looked_at..).unwrap_or_default();
        if came.is_empty() || (self.looked_at > 0 && !came.contains(&b'\n')) {
            return Ok(None);
        }
        self.looked_at = self.held.len();
        let raw = self.held.clone();
        let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length =
            match config.parse_response_with_uninit_headers(&mut parsed, &raw, &mut room)? {
                httparse::Status::Complete(length) => length,
                httparse::Status::Partial => return Ok(None),
            };
        let status = StatusCode::from_u16(parsed.code.unwrap_or_default())
            .map_err(|_| Error::Framing(FramingError("the status is none")))?;
        let fields = Fields::of(raw.slice(..length), parsed.headers);
        let since_1_1 = parsed.version == Some(1);
        let stays = stays_open(&fields, since_1_1);
        drop(self.held.split_to(length));
        self.looked_at = 0;
        Ok(Some(Head { status, fields, stays, since_1_1 }))
    }

    /// Reads what has come; 0 at the connection's end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { stream, held, .. } = self;
        poll_fill(held, |buffer| stream.poll_read(cx, buffer))
    }

    /// Goes on with sending the request, if it has to.
    pub(super) fn send_rest(&mut self, cx: &mut Context<'_>) {
        let Some(rest) = &mut self.rest else { return };
        if let Poll::Ready(sent) = rest.poll(&mut self.stream, cx) {
            self.rest = None;
            // The reply may still come whole.
            self.reusable &= sent.is_ok();
        }
    }

    pub(super) fn held(&mut self) -> &mut Bytes {
        &mut self.held
    }

    /// Whether another request may be sent now that the reply was read.
    pub(super) fn reusable(&self) -> bool {
        self.reusable && self.held.is_empty() && self.rest.is_none()
    }

    /// Whether an unused connection is still open: whatever has come on it, no reply may come
    /// before a request. It asks the system only when the runtime has seen something come, or when
    /// `surely`, because the runtime may not have looked since the connection was closed.
    pub(crate) fn is_open(&mut self, surely: bool) -> bool {
        // A task that has done much is told to wait, which must not pass for silence.
        let mut came = pin!(tokio::task::unconstrained(poll_fn(|cx| self.poll_fill(cx))));
        let silent = came.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        silent && (!surely || is_silent(self.stream.tcp()))
    }
}
