//! A reply: asked for on a connection, its body read as far as the framing says.

use super::connection::Connection;
use super::{Error, Request};
use crate::http1::{Fields, Framing};
use bytes::Bytes;
use http::StatusCode;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// Takes a connection back whose reply was read to its end, when it can carry another request.
pub trait Finished {
    fn finished(self, connection: Connection);
}

/// Nobody wants the connection back.
impl Finished for () {
    fn finished(self, _: Connection) {}
}

/// The beginning of a reply, and its body.
pub struct Reply<F> {
    pub status: StatusCode,
    pub fields: Fields,
    pub body: ReplyBody<F>,
}

impl Connection {
    /// Sends one request and waits for the head of its reply. A reply that comes before the whole
    /// request went out is taken, as when an upstream refuses a large body early; with a good
    /// status, the rest of the request goes out while the reply's body is read. `finished` gets
    /// the connection when the reply was read to its end.
    ///
    /// # Errors
    /// When the connection breaks before the head is there, or the head is malformed.
    pub async fn exchange<F: Finished>(
        mut self,
        request: &Request,
        finished: F,
    ) -> Result<Reply<F>, Error> {
        let (head, framing) = self.send(request).await?;
        let body = ReplyBody::new(framing, self, finished);
        Ok(Reply { status: head.status, fields: head.fields, body })
    }
}

/// A reply's body. Dropping it before its end closes the connection.
pub struct ReplyBody<F> {
    framing: Framing,
    /// The connection, and who gets it back; `None` once the end was reached.
    open: Option<(Connection, F)>,
}

impl<F: Finished> ReplyBody<F> {
    pub(super) fn new(framing: Framing, connection: Connection, finished: F) -> Self {
        let mut body = Self { framing, open: Some((connection, finished)) };
        body.give_back_at_end();
        body
    }

    /// Bytes that are still to come, if the reply declared them.
    #[must_use]
    pub fn bytes_left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Chunked(_) | Framing::Close => None,
        }
    }

    /// The next piece, never empty; `None` at the end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let Some((connection, _)) = &mut self.open else { return Poll::Ready(None) };
            match self.framing.next(connection.held()) {
                Ok(None) => {}
                Ok(Some(piece)) => {
                    self.give_back_at_end();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Err(error) => return Poll::Ready(Some(Err(self.fail(error.into())))),
            }
            if self.framing.ended() {
                self.give_back_at_end();
                return Poll::Ready(None);
            }
            connection.send_rest(cx);
            match ready!(connection.poll_fill(cx)) {
                Ok(0) if matches!(self.framing, Framing::Close) => {
                    self.open = None;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(self.fail(Error::Cut)))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.fail(error.into())))),
            }
        }
    }

    /// The next piece, as a future.
    ///
    /// # Errors
    /// When the connection breaks or the framing is wrong.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_piece(cx)).await.transpose()
    }

    fn fail(&mut self, error: Error) -> Error {
        self.open = None;
        error
    }

    fn give_back_at_end(&mut self) {
        if !self.framing.ended() {
            return;
        }
        if let Some((connection, finished)) = self.open.take().filter(|(kept, _)| kept.reusable()) {
            finished.finished(connection);
        }
    }
}
