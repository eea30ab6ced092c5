//! One connection to an upstream: name look-up, TCP, TLS, HTTP/1.1 handshake.

use crate::body::RequestBody;
use crate::endpoint::Endpoint;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("look up {host}")]
    Lookup { host: String, source: std::io::Error },
    #[error("connect to {origin}")]
    Tcp { origin: String, source: std::io::Error },
    #[error("connect to {origin} within {limit_ms} ms")]
    Timeout { origin: String, limit_ms: u64 },
    #[error("agree on TLS with {origin}")]
    Tls { origin: String, source: std::io::Error },
    #[error("begin HTTP with {origin}")]
    Http { origin: String, source: hyper::Error },
}

/// Connects within `limit`. `run` gets the future that drives the connection, to be spawned.
///
/// # Errors
/// When any step fails or time runs out.
pub async fn connect(
    endpoint: &Endpoint,
    limit: Duration,
    run: impl FnOnce(Driver),
) -> Result<SendRequest<RequestBody>, Error> {
    match tokio::time::timeout(limit, open(endpoint)).await {
        Ok(Ok((sender, driver))) => {
            run(driver);
            Ok(sender)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Timeout {
            origin: endpoint.origin(),
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

/// Drives one connection until it closes.
pub type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn open(endpoint: &Endpoint) -> Result<(SendRequest<RequestBody>, Driver), Error> {
    let stream = tcp(endpoint).await?;
    let Some(tls) = &endpoint.tls else { return handshake(endpoint, stream).await };
    let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
    let stream = connector
        .connect(tls.server_name.clone(), stream)
        .await
        .map_err(|source| Error::Tls { origin: endpoint.origin(), source })?;
    handshake(endpoint, stream).await
}

/// Tries the host's addresses in the resolver's order.
async fn tcp(endpoint: &Endpoint) -> Result<TcpStream, Error> {
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|source| Error::Lookup { host: endpoint.host.clone(), source })?;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let set = stream.set_nodelay(true);
                set.map_err(|source| Error::Tcp { origin: endpoint.origin(), source })?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(Error::Tcp { origin: endpoint.origin(), source: last })
}

async fn handshake<S>(
    endpoint: &Endpoint,
    stream: S,
) -> Result<(SendRequest<RequestBody>, Driver), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| Error::Http { origin: endpoint.origin(), source })?;
    let driver = Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended early");
        }
    });
    Ok((sender, driver))
}
