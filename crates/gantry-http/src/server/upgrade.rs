//! Connections that leave HTTP: the service answers 101 and gets the bytes from then on.
//!
//! For WebSocket and tunnels. A service makes a pair with [`upgrade`], puts one half into its
//! [`Response`](super::Response) and awaits the other. HTTP/1.1 only.

use super::transport::Transport;
use bytes::{Buf as _, Bytes};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// The half that goes into the response. Clones are the same one: the first connection that takes
/// it, has it.
#[derive(Clone, Debug)]
pub struct Upgrade(Arc<Mutex<Option<oneshot::Sender<Upgraded>>>>);

/// The half that is awaited: the connection, once the response with the other half went out.
#[derive(Debug)]
pub struct OnUpgrade(oneshot::Receiver<Upgraded>);

/// Makes both halves.
#[must_use]
pub fn upgrade() -> (Upgrade, OnUpgrade) {
    let (sender, receiver) = oneshot::channel();
    (Upgrade(Arc::new(Mutex::new(Some(sender)))), OnUpgrade(receiver))
}

impl OnUpgrade {
    /// The connection; `None` when the response never went out.
    pub async fn connection(self) -> Option<Upgraded> {
        self.0.await.ok()
    }
}

impl Upgrade {
    /// Gives the connection away and waits until its new owner has dropped it.
    pub(super) async fn give(self, transport: Transport, held: Bytes) {
        let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let (hold, mut dropped) = oneshot::channel();
        let stream = Prefixed { held, transport };
        if sender.send(Upgraded { stream, _hold: hold }).is_ok() {
            // An error is what is waited for: nothing is ever sent.
            let _ = (&mut dropped).await;
        }
    }
}

/// A connection without HTTP; it begins with what the caller had sent behind its request.
///
/// Its owner ends it with `shutdown`, so that TLS says farewell. The worker's drain waits until it
/// is dropped, at most until its own time is over.
pub struct Upgraded {
    stream: Prefixed,
    /// Tells the worker, by being dropped, that the connection is done.
    _hold: oneshot::Sender<()>,
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upgraded({} bytes came ahead)", self.stream.held.len())
    }
}

/// A transport of which some was read already.
pub(super) struct Prefixed {
    pub(super) held: Bytes,
    pub(super) transport: Transport,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Pin::new(&mut self.transport).poll_read(cx, buffer);
        }
        let length = self.held.len().min(buffer.remaining());
        buffer.put_slice(self.held.get(..length).unwrap_or_default());
        self.held.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// Hands all of writing on to the field that does it.
macro_rules! writes_through {
    ($type:ty, $field:ident) => {
        impl AsyncWrite for $type {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                part: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$field).poll_write(cx, part)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$field).poll_write_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$field).poll_shutdown(cx)
            }
        }
    };
}

writes_through!(Prefixed, transport);
writes_through!(Upgraded, stream);

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
