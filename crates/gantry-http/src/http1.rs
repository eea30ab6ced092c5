//! What both sides of an HTTP/1.1 connection need: header fields, the framing of bodies, reading.
//!
//! The server (`server`) and the client (`exchange`) use it. It
//! knows RFC 9112 and nothing of models.

mod chunked;
mod fields;
mod framing;
mod host;
mod lines;

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

pub use fields::{Field, Fields, LOWERED_BYTES};
pub use framing::Framing;
pub use host::check_host;
pub use lines::{FieldLines, print_field};

/// Most header fields of a head, unless its reader says otherwise.
pub const FIELDS_MAX: usize = 100;

/// Most bytes of one read.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where the connections of a thread read into. What came is copied out in its own size, so
    /// that thousands of idle connections hold no buffers.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Why a body's end cannot be known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FramingError(pub &'static str);

/// Reads once and adds what came to `held`; 0 at the connection's end.
///
/// # Errors
/// Those of `read`.
pub fn poll_fill(
    held: &mut Bytes,
    read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(read(&mut buffer))?;
        let came = buffer.filled();
        *held = match held.is_empty() {
            true => Bytes::copy_from_slice(came),
            // In its own memory where nobody else has a part of it: a head that drips is not
            // copied for each of its bytes.
            false => match std::mem::take(held).try_into_mut() {
                Ok(mut room) => {
                    room.extend_from_slice(came);
                    room.freeze()
                }
                Err(shared) => [&shared, came].concat().into(),
            },
        };
        Poll::Ready(Ok(came.len()))
    })
}

/// Drops the empty lines before a head (RFC 9112, section 2.2): some clients end a body with one.
pub fn skip_empty_lines(held: &mut Bytes) {
    while let [b'\n', ..] | [b'\r', b'\n', ..] = **held {
        let len = if held.first() == Some(&b'\r') { 2 } else { 1 };
        held.advance(len);
    }
}

/// A connection's other side is asked for a sign of life after so long a silence, and so often
/// until it is given up: sooner than the networks between forget a silent connection (Azure's after
/// four minutes), so that a stream that waits lives on and one whose other side has gone ends.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Sets what each connection has: small writes go out at once, and a dead one is found.
///
/// # Errors
/// When the system refuses an option.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&probes.with_retries(PROBES))
}

/// Whether nothing has come on a connection, not even its end. It asks the system itself: the
/// runtime may not know yet.
#[must_use]
pub fn is_silent<'s, S>(stream: &'s S) -> bool
where
    SockRef<'s>: From<&'s S>,
{
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether a connection stays open after the message with these fields (RFC 9112, section 9.3).
#[must_use]
pub fn stays_open(fields: &Fields, since_1_1: bool) -> bool {
    let mut stays = since_1_1;
    for field in fields.iter().filter(|field| field.is("connection")) {
        for token in field.value().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                return false;
            }
            stays |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(held: &mut Bytes) {
        let filled = poll_fill(held, |buffer| {
            buffer.put_slice(b"x");
            Poll::Ready(Ok(()))
        });
        assert!(matches!(filled, Poll::Ready(Ok(1))));
    }

    #[test]
    fn what_comes_bit_by_bit_is_not_copied_for_each() {
        let mut held = Bytes::new();
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            fill(&mut held);
            places.insert(held.as_ptr());
        }
        assert_eq!(held.len(), 10_000);
        assert!(places.len() < 100, "{}", places.len());
        let kept = held.clone();
        fill(&mut held);
        assert_eq!((kept.len(), held.len()), (10_000, 10_001));
    }
}
