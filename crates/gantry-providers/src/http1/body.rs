//! The body of a reply, read as far as its framing says.

use super::chunked::Chunked;
use super::connection::Connection;
use super::{Error, Fields};
use bytes::Bytes;
use http::StatusCode;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// How a body's end is known (RFC 9112, section 6.3).
#[derive(Debug)]
pub(super) enum Framing {
    /// Bytes left.
    Length(u64),
    Chunked(Box<Chunked>),
    /// The connection's end is the body's.
    Close,
}

impl Framing {
    /// What a head says of its body.
    pub(super) fn of(status: StatusCode, fields: &Fields, head_only: bool) -> Result<Self, Error> {
        if head_only || matches!(status.as_u16(), 204 | 304) {
            return Ok(Self::Length(0));
        }
        let (mut length, mut coded, mut chunked) = (None, false, false);
        for field in fields.iter() {
            if field.is("content-length") {
                length = Some(one_length(field.value(), length)?);
            } else if field.is("transfer-encoding") {
                coded = true;
                let last = field.value().rsplit(|byte| *byte == b',').next().unwrap_or_default();
                chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
        }
        Ok(match (coded, chunked, length) {
            (true, true, _) => Self::Chunked(Box::default()),
            (true, false, _) | (false, _, None) => Self::Close,
            (false, _, Some(length)) => Self::Length(length),
        })
    }

    fn ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.ended(),
            Self::Close => false,
        }
    }

    /// The next piece of data in `held`.
    fn next(&mut self, held: &mut Bytes) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Chunked(chunked) => chunked.next(held),
            _ if held.is_empty() => Ok(None),
            Self::Close => Ok(Some(std::mem::take(held))),
            Self::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(held.len());
                *left -= len as u64;
                Ok((len > 0).then(|| held.split_to(len)))
            }
        }
    }
}

/// A length; several that agree are one (RFC 9112, section 6.3, 5).
fn one_length(text: &[u8], before: Option<u64>) -> Result<u64, Error> {
    let mut found = before;
    for part in text.split(|byte| *byte == b',') {
        let digits = part.trim_ascii();
        let number =
            std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
        let number = number.and_then(|number| number.parse().ok());
        let number = number.ok_or(Error::Framing("the content-length is no number"))?;
        if found.replace(number).is_some_and(|before| before != number) {
            return Err(Error::Framing("there are two content-lengths"));
        }
    }
    found.ok_or(Error::Framing("the content-length is empty"))
}

/// Takes a connection back whose reply was read to its end, when it can carry another request.
pub trait Finished {
    fn finished(self, connection: Connection);
}

/// Nobody wants the connection back.
impl Finished for () {
    fn finished(self, _: Connection) {}
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
                Err(error) => return Poll::Ready(Some(Err(self.fail(error)))),
            }
            if self.framing.ended() {
                self.give_back_at_end();
                return Poll::Ready(None);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn framing(status: u16, pairs: Pairs<'_>) -> String {
        let fields: Fields = pairs.iter().copied().collect();
        match Framing::of(StatusCode::from_u16(status).unwrap(), &fields, false) {
            Ok(Framing::Length(bytes)) => bytes.to_string(),
            Ok(Framing::Chunked(_)) => "chunked".to_owned(),
            Ok(Framing::Close) => "close".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_head_says_where_its_body_ends() {
        let wrong = "the reply's framing is malformed: ";
        let two = format!("{wrong}there are two content-lengths");
        let none = format!("{wrong}the content-length is no number");
        let cases: &[(u16, Pairs<'_>, &str)] = &[
            (200, &[("Content-Length", "12")], "12"),
            (200, &[("content-length", "12, 12"), ("content-length", "12")], "12"),
            (200, &[("content-length", "12"), ("content-length", "13")], &two),
            (200, &[("content-length", "+12")], &none),
            (200, &[("content-length", "")], &none),
            (200, &[("Transfer-Encoding", "Chunked")], "chunked"),
            (200, &[("transfer-encoding", "chunked"), ("content-length", "3")], "chunked"),
            (200, &[("transfer-encoding", "gzip, chunked")], "chunked"),
            (200, &[("transfer-encoding", "chunked, gzip")], "close"),
            (200, &[], "close"),
            (204, &[("content-length", "12")], "0"),
            (304, &[("transfer-encoding", "chunked")], "0"),
        ];
        for (status, pairs, expected) in cases {
            assert_eq!(framing(*status, pairs), *expected, "{pairs:?}");
        }
    }
}
