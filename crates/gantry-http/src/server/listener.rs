//! Listening sockets, and the connections that they give to the workers.

use super::opening::Accepted;
use super::port::Port;
use super::transport::Transport;
use super::{BACKLOG, Error};
use gantry_runtime::tasks::{Shutdown, spawn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// A listening socket, and what is spoken on it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    port: Arc<Port>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// The same socket with what `port` says.
    #[must_use]
    pub fn speaking(self, port: Port) -> Self {
        Self { port: Arc::new(port), ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When that is no address of IP, but a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr(),
            #[cfg(unix)]
            Socket::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    async fn accept(&self) -> io::Result<Incoming> {
        let (stream, peer) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Tcp(stream.into_std()?), Some(peer))
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                (Stream::Unix(stream.into_std()?), None)
            }
        };
        Ok(Incoming { stream, peer, port: self.port.clone() })
    }
}

/// Plain HTTP/1.1.
impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self { socket: Socket::Tcp(listener), port: Arc::default() }
    }
}

/// Plain HTTP/1.1. Its requests have no peer.
#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self { socket: Socket::Unix(listener), port: Arc::default() }
    }
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub struct Incoming {
    stream: Stream,
    peer: Option<SocketAddr>,
    port: Arc<Port>,
}

#[derive(Debug)]
enum Stream {
    /// None: the worker is asked to close silent connections.
    Shed,
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Incoming {
    fn shed() -> Self {
        Self { stream: Stream::Shed, peer: None, port: Arc::default() }
    }

    /// Whether it is no connection, but the word that others have to make room.
    pub(super) fn sheds(&self) -> bool {
        matches!(self.stream, Stream::Shed)
    }

    /// Takes it up on the worker's runtime.
    pub(super) fn take(self) -> io::Result<Accepted> {
        let transport = match self.stream {
            Stream::Shed => return Err(io::ErrorKind::NotConnected.into()),
            Stream::Tcp(stream) => Transport::Tcp(TcpStream::from_std(stream)?),
            #[cfg(unix)]
            Stream::Unix(stream) => Transport::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Accepted { transport, peer: self.peer, port: self.port })
    }
}

/// A connection that was accepted elsewhere, of plain HTTP/1.1.
impl From<std::net::TcpStream> for Incoming {
    fn from(stream: std::net::TcpStream) -> Self {
        let peer = stream.peer_addr().ok();
        Self { stream: Stream::Tcp(stream), peer, port: Arc::default() }
    }
}

/// Asks the workers to close silent connections. One with a full queue is told at the next failure.
fn shed(workers: &[mpsc::Sender<Incoming>]) {
    for worker in workers {
        let _ = worker.try_send(Incoming::shed());
    }
}

/// Whether the process or the system has no descriptor left (ENFILE, EMFILE), or no memory for
/// sockets (ENOBUFS, ENOMEM). The numbers are the same on all systems but for ENOBUFS.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(23 | 24 | 55 | 105))
}

/// Binds the address. Port 0 takes a free one.
///
/// # Errors
/// When the address is in use or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart may take the port over from connections that are still closing.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| Error::Listen { address, source })
}

/// Accepts until shutdown and deals connections to the workers in turn. Meanwhile the port's
/// certificate is read again when its files change.
pub async fn accept(
    listener: impl Into<Listener>,
    workers: Vec<mpsc::Sender<Incoming>>,
    shutdown: Shutdown,
) {
    let listener = listener.into();
    if let Some(tls) = listener.port.tls.clone() {
        spawn("certificate files", tls.follow(shutdown.clone()));
    }
    let mut stopping = pin!(shutdown.wait());
    for worker in workers.iter().cycle() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopping => return,
        };
        let incoming = match accepted {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                // Out of descriptors mostly: silent connections make room, and get time to end.
                if is_full(&error) {
                    shed(&workers);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if worker.send(incoming).await.is_err() {
            return;
        }
    }
}
