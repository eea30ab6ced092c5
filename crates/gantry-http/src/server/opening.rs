//! What happens on a connection before HTTP: PROXY header, TLS, and the choice of HTTP/1.1 or 2.
//!
//! A worker runs it for each connection of a port that is not plain, beside its others and in
//! bounded time. It reads no request.

use super::Limits;
use super::port::Port;
use super::proxy_protocol;
use super::tls::HTTP_2;
use super::transport::Transport;
use crate::http1::poll_fill;
use bytes::Bytes;
use gantry_runtime::tasks::Shutdown;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::AsyncRead as _;
use tokio::net::TcpStream;

/// How a client that speaks HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection as it was accepted.
pub(super) struct Accepted {
    pub(super) transport: Transport,
    pub(super) peer: Option<SocketAddr>,
    pub(super) port: Arc<Port>,
}

/// A connection on which requests may come.
pub(super) struct Opened {
    pub(super) transport: Transport,
    /// What was read already.
    pub(super) held: Bytes,
    pub(super) origin: Origin,
    pub(super) speaks: Speaks,
}

/// Where the requests of a connection come from.
#[derive(Clone)]
pub(super) struct Origin {
    /// The connection's other side, or whom its proxy has named.
    pub(super) peer: Option<SocketAddr>,
    /// The name that the client has asked for in TLS.
    pub(super) server_name: Option<Arc<str>>,
    pub(super) port: Arc<Port>,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
    /// HTTP without TLS, on a port that wants TLS.
    NoTls,
}

/// Why a connection is closed without a word.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("take a PROXY header from {peer}, which is no trusted proxy")]
    Untrusted { peer: SocketAddr },
    #[error(transparent)]
    Proxy(#[from] proxy_protocol::Error),
    #[error("agree on TLS")]
    Tls(#[source] io::Error),
    #[error("read from the connection")]
    Read(#[from] io::Error),
    #[error("begin within the time for it")]
    Timeout,
}

/// Takes a connection of a plain port as it is.
pub(super) fn plain(accepted: Accepted) -> Opened {
    let Accepted { transport, peer, port } = accepted;
    let origin = Origin { peer, server_name: None, port };
    Opened { transport, held: Bytes::new(), origin, speaks: Speaks::Http1 }
}

/// Brings a connection to where requests may come; `None` when its client ends it before, or the
/// shutdown has begun and nothing came.
///
/// # Errors
/// When the client does not do what the port asks for.
pub(super) async fn open(
    accepted: Accepted,
    limits: &Limits,
    shutdown: &Shutdown,
) -> Result<Option<Opened>, Error> {
    let Accepted { transport, mut peer, port } = accepted;
    let mut stream = match transport {
        Transport::Tcp(stream) => stream,
        // TLS and proxies are for TCP.
        other => return Ok(Some(plain(Accepted { transport: other, peer, port }))),
    };
    if port.proxy_protocol {
        let named = within(limits, proxied(&mut stream, peer, &port)).await?;
        peer = named.or(peer);
    }
    let mut origin = Origin { peer, server_name: None, port };
    let Some(tls) = origin.port.tls.clone() else {
        return chosen(Transport::Tcp(stream), origin, limits, shutdown).await;
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.config);
    let handshake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Ok(Handshake::Left);
        }
        if first != [TLS_HANDSHAKE] {
            return Ok(Handshake::Plain(stream));
        }
        acceptor
            .accept(stream)
            .await
            .map_err(Error::Tls)
            .map(|done| Handshake::Done(Box::new(done)))
    };
    let (transport, speaks) = match within(limits, handshake).await? {
        Handshake::Left => return Ok(None),
        Handshake::Plain(stream) => (Transport::Tcp(stream), Speaks::NoTls),
        Handshake::Done(stream) => {
            let session = stream.get_ref().1;
            origin.server_name = session.server_name().map(Arc::from);
            let http2 = session.alpn_protocol() == Some(HTTP_2);
            (Transport::Tls(stream), if http2 { Speaks::Http2 } else { Speaks::Http1 })
        }
    };
    Ok(Some(Opened { transport, held: Bytes::new(), origin, speaks }))
}

enum Handshake {
    Left,
    Plain(TcpStream),
    Done(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

async fn within<T>(
    limits: &Limits,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limits.handshake_timeout, step).await.unwrap_or(Err(Error::Timeout))
}

/// Whom a trusted proxy names as its client.
async fn proxied(
    stream: &mut TcpStream,
    peer: Option<SocketAddr>,
    port: &Port,
) -> Result<Option<SocketAddr>, Error> {
    match peer {
        Some(peer) if !port.trusted_proxies.contain(peer.ip()) => Err(Error::Untrusted { peer }),
        _ => Ok(proxy_protocol::read(stream).await?),
    }
}

/// Finds out whether a client without TLS begins with HTTP/2, where that is asked for.
async fn chosen(
    mut transport: Transport,
    origin: Origin,
    limits: &Limits,
    shutdown: &Shutdown,
) -> Result<Option<Opened>, Error> {
    let mut held = Bytes::new();
    if !origin.port.http2 {
        return Ok(Some(Opened { transport, held, origin, speaks: Speaks::Http1 }));
    }
    while PREFACE.starts_with(&held) && held.len() < PREFACE.len() {
        let fill =
            poll_fn(|cx| poll_fill(&mut held, |buf| Pin::new(&mut transport).poll_read(cx, buf)));
        // As long as a client may wait with its first request.
        let fill = tokio::time::timeout(limits.head_timeout, fill);
        let came = tokio::select! {
            biased;
            came = fill => came.map_err(|_| Error::Timeout)??,
            () = shutdown.wait() => 0,
        };
        if came == 0 {
            return Ok(None);
        }
    }
    let speaks = if held.starts_with(PREFACE) { Speaks::Http2 } else { Speaks::Http1 };
    Ok(Some(Opened { transport, held, origin, speaks }))
}
