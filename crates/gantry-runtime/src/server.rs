//! The HTTP server loop: one acceptor, one single-threaded runtime per core.
//!
//! Roles hand in a service per worker. A connection stays on the worker it was given to, so a
//! worker's state needs no locks. It never looks into requests.

mod heads;
mod linger;

use crate::tasks::Shutdown;
use heads::{Answering, Heads, Watch};
use http_body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use linger::Owner;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Connections that wait to be accepted. What does not fit waits a second or more for the client's
/// next attempt, so thousands of callers that connect at once must fit.
const BACKLOG: u32 = 4096;

/// Connections that wait for a worker; a full queue delays the next accept.
const HANDOVER_QUEUE: usize = 256;

/// Header fields that hyper reads without an allocation.
const HEADERS_ON_STACK: usize = 100;

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
    /// Number of header fields; more are answered with 431. Default 100, for which hyper has room
    /// on the stack; another number costs an allocation for each request.
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
            headers_max: HEADERS_ON_STACK,
            connections_max: 20_000,
        }
    }
}

/// Answers the requests of one worker's connections.
pub trait Service: 'static {
    type Body: Body<Data = bytes::Bytes, Error = Self::BodyError> + Unpin + 'static;
    type BodyError: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// Never fails: a failure is a response too.
    fn call(&self, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>>;
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
    let open = Rc::new(());
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
        let heads = watch.connection();
        let served = Served { stream, heads, service: service.clone(), _counted: open.clone() };
        tokio::task::spawn_local(serve_connection(served, limits.clone(), shutdown.clone()));
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

/// A connection and who answers it.
struct Served<S> {
    stream: TcpStream,
    heads: Rc<Heads>,
    service: Rc<S>,
    /// Counts the connection as open.
    _counted: Rc<()>,
}

/// Serves one connection until it ends; on shutdown it finishes the request in progress.
async fn serve_connection<S: Service>(served: Served<S>, limits: Limits, shutdown: Shutdown) {
    let Served { stream, heads, service, _counted } = served;
    if let Err(error) = prepare(&stream, &limits) {
        tracing::debug!(%error, "socket options refused on an accepted connection");
    }
    let owner = Owner::default();
    if let Err(error) = exchange(owner.lend(stream), heads, &limits, &shutdown, service).await {
        tracing::debug!(%error, "connection ended early");
    }
    tokio::select! {
        () = owner.linger() => {}
        () = shutdown.wait() => {}
    }
}

/// Lets hyper answer the requests of a connection.
async fn exchange<S: Service>(
    io: linger::Lent,
    heads: Rc<Heads>,
    limits: &Limits,
    shutdown: &Shutdown,
    service: Rc<S>,
) -> hyper::Result<()> {
    let begun = heads.clone();
    let call = hyper::service::service_fn(move |request| {
        let (service, open) = (service.clone(), begun.begin());
        async move {
            let response = service.call(request).await;
            Ok::<_, Infallible>(response.map(|body| Answering { body, _open: open }))
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.header_read_timeout(None).max_buf_size(limits.head_bytes_max.max(8192)).half_close(false);
    if limits.headers_max != HEADERS_ON_STACK {
        http.max_headers(limits.headers_max);
    }
    let mut connection = pin!(http.serve_connection(io, call));
    let mut stopping = pin!(shutdown.wait());
    let (mut watched, mut stopped) = (false, false);
    poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        // Polled once to be woken by it; a look at the flag is cheaper from then on.
        let look = ended.is_pending() && !stopped && (!watched || shutdown.begun());
        if !watched {
            heads.wake(cx.waker());
        }
        watched = true;
        if heads.expired() {
            return Poll::Ready(Ok(()));
        }
        if look && stopping.as_mut().poll(cx).is_ready() {
            stopped = true;
            connection.as_mut().graceful_shutdown();
            return connection.as_mut().poll(cx);
        }
        ended
    })
    .await
}

fn prepare(stream: &TcpStream, limits: &Limits) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.stalled_client_timeout))?;
    Ok(())
}
