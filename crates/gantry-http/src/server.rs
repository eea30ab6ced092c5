//! The HTTP server loop: one acceptor, one single-threaded runtime per core.
//!
//! Roles hand in a service per worker. A connection stays on the worker it was given to, so a
//! worker's state needs no locks. It never looks into requests.

mod busy_poll;
mod connection;
mod detached;
mod forwarded;
mod head;
mod heads;
mod http2;
mod linger;
mod listener;
mod opening;
mod outgoing;
mod port;
mod proxy_protocol;
mod request;
mod response;
mod streamed;
mod tls;
mod transport;
mod upgrade;
mod wire;
mod worker;

use crate::http1::FIELDS_MAX;
use gantry_runtime::tasks::Shutdown;
use http_body::Body;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use worker::Worker;

pub use detached::{DetachedBody, DetachedError, detached};
pub use forwarded::ClientHeader;
pub use listener::{Incoming, Listener, accept, listen};
pub use port::{Error as PortError, Port, PortConfig};
pub use request::{Peer, Rejected, Rejection, Request, RequestBody};
pub use response::Response;
pub use tls::{Error as TlsError, ServerTls};
pub use upgrade::{OnUpgrade, Upgrade, Upgraded, upgrade};
pub use wire::BodyError;

/// Connections that wait to be accepted. What does not fit waits a second or more for the client's
/// next attempt, so thousands of callers that connect at once must fit.
const BACKLOG: u32 = 4096;

/// Connections that wait for a worker; a full queue delays the next accept.
const HANDOVER_QUEUE: usize = 256;

/// Limits on connections, for protection from slow or greedy clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest time for a request's head to arrive; an idle connection is closed after it too, or
    /// after half as long again. Default 75 s, longer than clients keep theirs, so that the client
    /// closes first.
    pub head_timeout: Duration,
    /// Longest time for what comes before HTTP: a PROXY header, TLS. Default 10 s.
    pub handshake_timeout: Duration,
    /// A client that accepts no byte for so long is cut off (TCP user timeout). Default 60 s.
    pub stalled_client_timeout: Duration,
    /// Size of a request's head in bytes; larger is answered with 431. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Number of header fields; more are answered with 431. Default 100, for which there is room on
    /// the stack; a larger number costs an allocation for each request.
    pub headers_max: usize,
    /// Requests in progress on one connection of HTTP/2. Default 100, the least that RFC 9113
    /// (section 6.5.2) recommends.
    pub http2_streams_max: u32,
    /// Open connections per worker; further ones are closed at once. Default 20 000.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            stalled_client_timeout: Duration::from_secs(60),
            head_bytes_max: 64 * 1024,
            headers_max: FIELDS_MAX,
            http2_streams_max: 100,
            connections_max: 20_000,
        }
    }
}

/// The threads that serve.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    pub count: usize,
    /// How long a worker that has run out of work looks for more before it sleeps. With a time, a
    /// worker that has traffic keeps its core busy. Default: none.
    pub busy_poll: Duration,
}

impl Default for Workers {
    fn default() -> Self {
        Self { count: 1, busy_poll: Duration::ZERO }
    }
}

/// Answers the requests of one worker's connections.
pub trait Service: 'static {
    type Body: Body<Data = bytes::Bytes, Error = Self::BodyError> + Unpin + 'static;
    type BodyError: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// Never fails: a failure is a response too.
    fn call(&self, request: Request) -> impl Future<Output = Response<Self::Body>>;

    /// Answers what is no request; the connection is closed behind it.
    fn reject(&self, rejected: Rejected) -> Response<Self::Body>;

    /// Runs beside the requests, for what the service has to do without one. It is dropped with
    /// the worker.
    fn tend(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// What went wrong at the listening socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("start worker thread {worker}")]
    Worker { worker: usize, source: std::io::Error },
}

/// Starts the threads, each with a service of its own, and returns the way to hand them
/// connections. They end when the shutdown has begun and their connections are done.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn start_workers<S, F>(
    workers: Workers,
    limits: &Limits,
    shutdown: &Shutdown,
    service: F,
) -> Result<Vec<mpsc::Sender<Incoming>>, Error>
where
    S: Service,
    F: Fn(usize) -> S + Clone + Send + 'static,
{
    (0..workers.count.max(1))
        .map(|worker| {
            let (sender, receiver) = mpsc::channel(HANDOVER_QUEUE);
            let (limits, shutdown, service) = (limits.clone(), shutdown.clone(), service.clone());
            let hold = shutdown.hold();
            std::thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || {
                    let service = service(worker);
                    Worker::new(service, limits, shutdown, workers.busy_poll).run(receiver);
                    drop(hold);
                })
                .map_err(|source| Error::Worker { worker, source })?;
            Ok(sender)
        })
        .collect()
}
