//! One connection to an upstream: name look-up, TCP, TLS.

use crate::endpoint::Endpoint;
use crate::exchange::{self, Connection, Finished, Reply, Request, Stream};
use crate::names::{self, Names};
use crate::tcp;
use gantry_runtime::tasks::queue_up;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("look up {host}")]
    Lookup { host: String, source: names::Error },
    #[error("connect to {origin}")]
    Tcp { origin: String, source: std::io::Error },
    #[error("connect to {origin} within {limit_ms} ms")]
    Timeout { origin: String, limit_ms: u64 },
    #[error("agree on TLS with {origin}{}", hint(source))]
    Tls { origin: String, source: std::io::Error },
}

/// What an answer means that is no TLS at all.
fn hint(error: &std::io::Error) -> &'static str {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    match error {
        Some(rustls::Error::InvalidMessage(_)) => ", which answers without TLS: is it http://?",
        _ => "",
    }
}

/// Where to connect to, and how.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// Longest time for a new connection, the name's look-up and TLS included.
    pub(crate) limit: Duration,
    pub(crate) names: &'a Names,
}

/// Sends a request over a kept connection, which `take` gives, else over a new one. A kept
/// connection that turns out closed before a byte went out is replaced. `broken` says what it means
/// that one broke; `lease` makes what the connection is given back to.
///
/// # Errors
/// When no connection comes about, or it breaks before the reply's head.
pub(crate) async fn send<F: Finished, E: From<Error>>(
    target: Target<'_>,
    request: &Request,
    take: impl Fn() -> Option<Connection>,
    lease: impl Fn() -> F,
    broken: impl Fn(exchange::Error) -> E,
) -> Result<Reply<F>, E> {
    // Before a connection is chosen: until then nothing has begun, and afterwards it may be closed.
    queue_up().await;
    loop {
        let (connection, reused) = match take() {
            Some(connection) => (connection, true),
            // On the heap: most requests need no new connection, and its state would be most of
            // theirs.
            None => (Box::pin(connect(target)).await?, false),
        };
        match connection.exchange(request, lease()).await {
            Err(exchange::Error::Send { unsent: true, .. }) if reused => {}
            Err(error) => return Err(broken(error)),
            Ok(reply) => return Ok(reply),
        }
    }
}

/// Connects within the target's limit.
///
/// # Errors
/// When any step fails or time runs out.
async fn connect(target: Target<'_>) -> Result<Connection, Error> {
    let Target { endpoint, limit, names } = target;
    match tokio::time::timeout(limit, open(endpoint, names)).await {
        Ok(opened) => opened.map(Connection::new),
        Err(_) => Err(Error::Timeout {
            origin: endpoint.origin(),
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

async fn open(endpoint: &Endpoint, names: &Names) -> Result<Stream, Error> {
    let stream = tcp(endpoint, names).await?;
    let Some(tls) = &endpoint.tls else { return Ok(Stream::Plain(stream)) };
    let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
    let stream = connector
        .connect(tls.server_name.clone(), stream)
        .await
        .map_err(|source| Error::Tls { origin: endpoint.origin(), source })?;
    Ok(Stream::Tls(Box::new(stream)))
}

async fn tcp(endpoint: &Endpoint, names: &Names) -> Result<TcpStream, Error> {
    let addresses = names
        .lookup(&endpoint.host)
        .await
        .map_err(|source| Error::Lookup { host: endpoint.host.clone(), source })?;
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, endpoint.port));
    let connected = tcp::connect(addresses).await;
    connected.map_err(|source| Error::Tcp { origin: endpoint.origin(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_without_tls_is_named_as_such() {
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        for (error, expected) in [(plain, true), (rustls::Error::DecryptError, false)] {
            let origin = "https://a:1".to_owned();
            let error = Error::Tls { origin, source: std::io::Error::other(error) };
            assert_eq!(error.to_string().contains("is it http://?"), expected, "{error}");
        }
    }
}
