//! The byte stream under a caller's connection: TCP, TLS over it, or a Unix socket.
//!
//! The connection's loop, HTTP/2 and upgraded connections read and write through it. Plain TCP pays
//! for it with one branch. It knows nothing of HTTP.

use crate::http1::is_silent;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::server::TlsStream;

/// A caller's connection.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    /// Whether nothing has come, not even the end, as the system knows it.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Tcp(stream) => is_silent(stream),
            Self::Tls(stream) => is_silent(stream.get_ref().0),
            #[cfg(unix)]
            Self::Unix(stream) => is_silent(stream),
        }
    }

    /// Makes the connection's end one that no client takes for that of what was said: a reset, or
    /// under TLS an end without a farewell. Whether it can be.
    pub(super) fn reset_at_end(&self) -> bool {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            // It has no reset.
            #[cfg(unix)]
            Self::Unix(_) => return false,
        };
        SockRef::from(tcp).set_linger(Some(Duration::ZERO)).is_ok()
    }

    /// Reads what comes below TLS, which nobody wants any more.
    pub(super) async fn discard(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(piece).await,
            Self::Tls(stream) => stream.get_mut().0.read(piece).await,
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(piece).await,
        }
    }

    /// The same without waiting.
    pub(super) fn try_discard(&self, piece: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(piece),
            Self::Tls(stream) => stream.get_ref().0.try_read(piece),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_read(piece),
        }
    }
}

impl AsyncRead for Transport {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        part: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, part),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, part),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, part),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TCP and Unix sockets keep nothing back; TLS may.
    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
