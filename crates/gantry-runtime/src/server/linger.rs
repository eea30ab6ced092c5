//! Closing a connection so that the client can read what was said last.
//!
//! A socket that is closed while the client still sends is reset, and a reset takes back what the
//! client has not read: the refusal of a body that is too large would be lost. So the server loop
//! lends the socket to hyper, gets it back when hyper is done, and throws away what still comes,
//! for a short time. It never looks into what comes.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest gap between two pieces that are thrown away: a client that is still sending is not
/// silent for so long.
const GAP_MAX: Duration = Duration::from_secs(2);

/// Longest time in all, enough for 64 MiB at 50 Mbit/s.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What is thrown away at a time. Small, because thousands of connections may end at once.
const PIECE_BYTES: usize = 4 * 1024;

/// A socket in the hands of hyper; dropping it gives the socket back.
pub(super) struct Lent {
    io: Option<TokioIo<TcpStream>>,
    owner: Owner,
}

/// Where a lent socket comes back to.
#[derive(Clone, Default)]
pub(super) struct Owner(Rc<Cell<Option<TcpStream>>>);

impl Owner {
    pub(super) fn lend(&self, stream: TcpStream) -> Lent {
        Lent { io: Some(TokioIo::new(stream)), owner: self.clone() }
    }

    /// Says that nothing more comes, then reads to the client's end and throws away, in bounded
    /// time.
    pub(super) async fn linger(self) {
        let Some(mut stream) = self.0.take() else { return };
        // hyper has said so already, unless it gave up. An error means that the client has gone.
        if stream.shutdown().await.is_err() {
            return;
        }
        // Most clients have closed their side by now; only the others need a buffer.
        if matches!(stream.try_read(&mut [0; 16]), Ok(0)) {
            return;
        }
        let mut piece = vec![0; PIECE_BYTES];
        let discard = async {
            loop {
                let read = tokio::time::timeout(GAP_MAX, stream.read(&mut piece)).await;
                if !matches!(read, Ok(Ok(1..))) {
                    return;
                }
            }
        };
        // A client that sends for longer is cut off.
        let _ = tokio::time::timeout(TIME_MAX, discard).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.owner.0.set(self.io.take().map(TokioIo::into_inner));
    }
}

impl Lent {
    /// The socket is there until the drop.
    fn io(&mut self) -> io::Result<Pin<&mut TokioIo<TcpStream>>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Read for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.io()?.poll_read(cx, buf)
    }
}

impl Write for Lent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io()?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_shutdown(cx)
    }
}
