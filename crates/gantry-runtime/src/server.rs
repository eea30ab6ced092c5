//! The HTTP server loop: one acceptor, one single-threaded runtime per core.
//!
//! Roles hand in a service per worker. A connection stays on the worker it was given to, so a
//! worker's state needs no locks. It never looks into requests.

mod connection;
mod detached;
mod head;
mod heads;
mod linger;
mod outgoing;
mod request;
mod response;
mod wire;

use crate::http1::FIELDS_MAX;
use crate::tasks::Shutdown;
use connection::Connection;
use heads::Watch;
use http_body::Body;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

pub use detached::{DetachedBody, DetachedError, detached};
pub use request::{BodyError, Rejected, Rejection, Request, RequestBody};
pub use response::Response;

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
    /// A client that accepts no byte for so long is cut off (TCP user timeout). Default 60 s.
    pub stalled_client_timeout: Duration,
    /// Size of a request's head in bytes; larger is answered with 431. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Number of header fields; more are answered with 431. Default 100, for which there is room on
    /// the stack; a larger number costs an allocation for each request.
    pub headers_max: usize,
    /// Open connections per worker; further ones are closed at once. Default 20 000.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(75),
            stalled_client_timeout: Duration::from_secs(60),
            head_bytes_max: 64 * 1024,
            headers_max: FIELDS_MAX,
            connections_max: 20_000,
        }
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
}

/// What went wrong at the listening socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("start worker thread {worker}")]
    Worker { worker: usize, source: std::io::Error },
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

/// Starts `workers` threads, each with a service of its own, and returns the way to hand them
/// connections. They end when the shutdown has begun and their connections are done.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn start_workers<S, F>(
    workers: usize,
    limits: &Limits,
    shutdown: &Shutdown,
    service: F,
) -> Result<Vec<mpsc::Sender<std::net::TcpStream>>, Error>
where
    S: Service,
    F: Fn(usize) -> S + Clone + Send + 'static,
{
    (0..workers.max(1))
        .map(|worker| {
            let (sender, receiver) = mpsc::channel(HANDOVER_QUEUE);
            let (limits, shutdown, service) = (limits.clone(), shutdown.clone(), service.clone());
            let hold = shutdown.hold();
            std::thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || {
                    run_worker(receiver, &limits, &shutdown, || service(worker));
                    drop(hold);
                })
                .map_err(|source| Error::Worker { worker, source })?;
            Ok(sender)
        })
        .collect()
}

/// Accepts until shutdown and deals connections to the workers in turn.
pub async fn accept(
    listener: TcpListener,
    workers: Vec<mpsc::Sender<std::net::TcpStream>>,
    shutdown: Shutdown,
) {
    let mut stopping = pin!(shutdown.wait());
    for worker in workers.iter().cycle() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopping => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors mostly: give connections time to end.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Ok(stream) = stream.into_std()
            && worker.send(stream).await.is_err()
        {
            return;
        }
    }
}

fn run_worker<S: Service>(
    receiver: mpsc::Receiver<std::net::TcpStream>,
    limits: &Limits,
    shutdown: &Shutdown,
    service: impl FnOnce() -> S,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "start of a worker's runtime failed");
            return;
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve_handed(receiver, limits, shutdown, Rc::new(service())));
}

async fn serve_handed<S: Service>(
    mut receiver: mpsc::Receiver<std::net::TcpStream>,
    limits: &Limits,
    shutdown: &Shutdown,
    service: Rc<S>,
) {
    let (open, limits) = (Rc::new(()), Rc::new(limits.clone()));
    let watch = Rc::new(Watch::default());
    let (watching, head_timeout) = (watch.clone(), limits.head_timeout);
    tokio::task::spawn_local(async move { watching.run(head_timeout).await });
    let mut stopping = pin!(shutdown.wait());
    loop {
        let stream = tokio::select! {
            stream = receiver.recv() => stream,
            () = &mut stopping => None,
        };
        let Some(stream) = stream else { break };
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        if Rc::strong_count(&open) > limits.connections_max {
            tracing::warn!("connection limit reached, closing a new connection");
            continue;
        }
        if let Err(error) = prepare(&stream, &limits) {
            tracing::debug!(%error, "socket options refused on an accepted connection");
        }
        let (heads, service) = (watch.connection(), service.clone());
        let connection = Connection::new(stream, heads, service, limits.clone(), shutdown.clone());
        let (counted, shutdown) = (open.clone(), shutdown.clone());
        tokio::task::spawn_local(async move {
            serve_connection(connection, &shutdown).await;
            drop(counted);
        });
    }
    let drained = async {
        while Rc::strong_count(&open) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Connections that outlive the drain are dropped with their tasks.
    tokio::select! {
        () = drained => {}
        () = shutdown.wait_end() => {}
    }
}

/// Serves one connection and ends it so that the client can read what was said last.
async fn serve_connection<S: Service>(connection: Connection<S>, shutdown: &Shutdown) {
    let Some(stream) = connection.serve().await else { return };
    tokio::select! {
        () = linger::linger(stream) => {}
        () = shutdown.wait() => {}
    }
}

fn prepare(stream: &TcpStream, limits: &Limits) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.stalled_client_timeout))?;
    Ok(())
}
