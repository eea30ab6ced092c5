//! A response on its way to the caller: head and body, written as far as the connection takes them.
//!
//! Small pieces that are ready at the same moment go out in one write. Nothing is kept for later
//! but what the connection did not take, so a stream that waits holds no buffer.

use super::head::Manner;
use super::response::Response;
use super::wire::Wire;
use crate::http1::print_field;
use bytes::{Buf as _, Bytes};
use gantry_runtime::clock::{Clock, HTTP_DATE};
use http::StatusCode;
use http_body::Body;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use time::OffsetDateTime;

/// Pieces up to this size are copied behind each other; larger ones go out from where they are.
const COPIED_BYTES_MAX: usize = 8 * 1024;
/// What is collected before a write.
const COLLECTED_BYTES_MAX: usize = 32 * 1024;

thread_local! {
    /// Where the responses of a thread are collected.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The `date` of a second since the Unix epoch.
    static DATE: Cell<(u64, [u8; DATE_BYTES])> = const { Cell::new((0, [0; DATE_BYTES])) };
}

const DATE_BYTES: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

/// Why a response did not go out whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error("the caller left")]
    Left,
    #[error("change the protocol for a caller that did not ask for it")]
    NoUpgrade,
    #[error("write the response")]
    Write(#[from] io::Error),
    #[error("the response's body broke: {0}")]
    Body(String),
}

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Length(u64),
    Chunked,
    /// By the connection's end, for callers that know no chunks.
    Close,
    /// There is none.
    None,
}

pub(super) struct Outgoing<B> {
    response: Response<B>,
    coding: Coding,
    head_only: bool,
    head_printed: bool,
    /// All of the body was collected.
    ended: bool,
    broken: Option<Unsent>,
    /// What the connection did not take.
    unsent: VecDeque<Bytes>,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(response: Response<B>, manner: Manner) -> Self {
        let coding = match (response.status, response.body.size_hint().exact()) {
            (
                StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED,
                _,
            ) => Coding::None,
            (_, Some(length)) => Coding::Length(length),
            (_, None) if manner.since_1_1 => Coding::Chunked,
            (_, None) => Coding::Close,
        };
        let head_only = manner.head_only;
        let ended = head_only || matches!(coding, Coding::None | Coding::Length(0));
        let (broken, unsent) = (None, VecDeque::new());
        Self { response, coding, head_only, head_printed: false, ended, broken, unsent }
    }

    /// Whether the connection may stay open behind it.
    pub(super) fn leaves_open(&self) -> bool {
        self.coding != Coding::Close
    }

    /// Writes until all is written, and looks after the caller while the body is waited for.
    /// `connection` is the value of the field of that name, if it is sent.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &RefCell<Wire>,
        connection: Option<&[u8]>,
    ) -> Poll<Result<(), Unsent>> {
        loop {
            ready!(self.poll_unsent(cx, wire))?;
            if let Some(broken) = self.broken.take() {
                return Poll::Ready(Err(broken));
            }
            if self.head_printed && self.ended {
                return wire.borrow_mut().poll_flush(cx).map_err(Unsent::Write);
            }
            // Taken, not borrowed: the body's own code runs meanwhile.
            let mut scratch = SCRATCH.take();
            if !self.head_printed {
                self.print_head(&mut scratch, connection);
            }
            let large = self.collect(cx, &mut scratch);
            let waits = scratch.is_empty() && large.is_none();
            let written = self.write(cx, wire, &scratch, large);
            scratch.clear();
            SCRATCH.set(scratch);
            written?;
            if waits && !self.ended && self.broken.is_none() {
                let mut wire = wire.borrow_mut();
                if let Poll::Ready(Err(error)) = wire.poll_flush(cx) {
                    return Poll::Ready(Err(error.into()));
                }
                ready!(wire.poll_left(cx));
                return Poll::Ready(Err(Unsent::Left));
            }
        }
    }

    fn print_head(&mut self, out: &mut Vec<u8>, connection: Option<&[u8]>) {
        self.head_printed = true;
        let status = self.response.status;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.response.lines.as_bytes());
        let declared = self.response.declared.filter(|_| self.head_only);
        match (declared, self.coding) {
            (Some(length), _) | (None, Coding::Length(length)) => {
                let mut digits = itoa::Buffer::new();
                print_field(out, b"content-length", digits.format(length).as_bytes());
            }
            (None, Coding::Chunked) => print_field(out, b"transfer-encoding", b"chunked"),
            (None, Coding::Close | Coding::None) => {}
        }
        if let Some(connection) = connection {
            print_field(out, b"connection", connection);
        }
        print_field(out, b"date", &date());
        out.extend_from_slice(b"\r\n");
    }

    /// Collects what the body has now; a large piece is the last and stays where it is.
    fn collect(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Option<Bytes> {
        while !self.ended && out.len() < COLLECTED_BYTES_MAX {
            let frame = match Pin::new(&mut self.response.body).poll_frame(cx) {
                Poll::Pending => return None,
                Poll::Ready(None) => {
                    self.end(out);
                    return None;
                }
                Poll::Ready(Some(Err(error))) => {
                    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                    self.broken = Some(Unsent::Body(error.to_string()));
                    return None;
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let Some(piece) = frame.into_data().ok().filter(|piece| !piece.is_empty()) else {
                continue;
            };
            if let Coding::Length(left) = &mut self.coding {
                *left = left.saturating_sub(piece.len() as u64);
                self.ended = *left == 0;
            }
            if self.coding == Coding::Chunked {
                print_chunk_size(piece.len(), out);
            }
            if piece.len() > COPIED_BYTES_MAX {
                return Some(piece);
            }
            out.extend_from_slice(&piece);
            out.extend_from_slice(self.piece_end());
        }
        None
    }

    /// What stands behind each piece.
    fn piece_end(&self) -> &'static [u8] {
        if self.coding == Coding::Chunked { b"\r\n" } else { b"" }
    }

    /// The body has no more.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self.coding {
            Coding::Length(left) => {
                self.broken = Some(Unsent::Body(format!("{left} bytes of it did not come")));
            }
            Coding::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Coding::Close | Coding::None => {}
        }
        self.ended = true;
    }

    /// Writes what was collected and keeps what the connection does not take.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        wire: &RefCell<Wire>,
        scratch: &[u8],
        large: Option<Bytes>,
    ) -> io::Result<()> {
        if scratch.is_empty() && large.is_none() {
            return Ok(());
        }
        let end = large.as_ref().map_or(&b""[..], |_| self.piece_end());
        let large = large.unwrap_or_default();
        let written = match large.is_empty() {
            true => wire.borrow_mut().poll_write(cx, &[IoSlice::new(scratch)]),
            false => {
                let parts = [IoSlice::new(scratch), IoSlice::new(&large), IoSlice::new(end)];
                wire.borrow_mut().poll_write(cx, &parts)
            }
        };
        let written = match written {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        if written < scratch.len() + large.len() + end.len() {
            self.keep(written, scratch, &large, end);
        }
        Ok(())
    }

    /// Keeps what follows the first `written` bytes.
    fn keep(&mut self, written: usize, scratch: &[u8], large: &Bytes, end: &'static [u8]) {
        let rest = scratch.get(written..).unwrap_or_default();
        let written = written.saturating_sub(scratch.len());
        let large_rest = large.slice(written.min(large.len())..);
        let written = written.saturating_sub(large.len());
        let end_rest = end.get(written..).unwrap_or_default();
        let parts = [Bytes::copy_from_slice(rest), large_rest, Bytes::from_static(end_rest)];
        self.unsent.extend(parts.into_iter().filter(|part| !part.is_empty()));
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>, wire: &RefCell<Wire>) -> Poll<io::Result<()>> {
        while let Some(part) = self.unsent.front_mut() {
            match ready!(wire.borrow_mut().poll_write(cx, &[IoSlice::new(part)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written if written < part.len() => part.advance(written),
                _ => {
                    self.unsent.pop_front();
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The line before a chunk.
fn print_chunk_size(size: usize, out: &mut Vec<u8>) {
    let mut shift = (usize::BITS - size.leading_zeros()).saturating_sub(1) & !3;
    loop {
        let digit = u32::try_from(size >> shift & 15).unwrap_or_default();
        out.push(char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8));
        if shift == 0 {
            break;
        }
        shift -= 4;
    }
    out.extend_from_slice(b"\r\n");
}

/// The value of the field `date`, printed once a second.
fn date() -> [u8; DATE_BYTES] {
    let second = Clock::system().unix_ms() / 1000;
    let (of, printed) = DATE.get();
    if of == second {
        return printed;
    }
    let time = OffsetDateTime::from_unix_timestamp(second.cast_signed());
    let text = time.ok().and_then(|time| time.format(HTTP_DATE).ok()).unwrap_or_default();
    let printed = text.as_bytes().try_into().unwrap_or([b' '; DATE_BYTES]);
    DATE.set((second, printed));
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunks_size_is_hexadecimal() {
        for size in [1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65_535, 1 << 20, usize::MAX] {
            let mut out = Vec::new();
            print_chunk_size(size, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{size:x}\r\n"));
        }
    }

    #[test]
    fn the_date_is_one_of_http() {
        let date = String::from_utf8(date().to_vec()).unwrap();
        assert!(date.ends_with(" GMT") && date.contains(", "), "{date}");
        let parsed = time::PrimitiveDateTime::parse(&date, HTTP_DATE).unwrap().assume_utc();
        let now = Clock::system().unix_ms() / 1000;
        assert!(now.abs_diff(parsed.unix_timestamp().cast_unsigned()) < 600);
    }
}
