//! One worker: a thread with a runtime of its own, and the connections that it was handed.
//!
//! Started by the server loop. What its connections share is counted without atomics; nothing of
//! it may reach another thread.

use super::busy_poll::BusyPoll;
use super::connection::{Connection, Served};
use super::heads::{Heads, Watch};
use super::listener::Incoming;
use super::opening::{self, Accepted, Opened, Speaks};
use super::request::Rejection;
use super::transport::Transport;
use super::{Limits, Service, http2, linger};
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Connections that outlive the drain have so long to say so; less than the process waits for
/// what it ends.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// What the system takes of a response beyond what the network has in flight. Without a bound it
/// takes about a megabyte, which every stream whose caller reads nothing would pin.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// What the connections of a worker share.
pub(super) struct Worker<S> {
    served: Served<S>,
    watch: Rc<Watch>,
    busy_poll: Option<Rc<BusyPoll>>,
    /// Each open connection has one more of it.
    open: Rc<()>,
}

impl<S: Service> Worker<S> {
    pub(super) fn new(service: S, limits: Limits, shutdown: Shutdown, busy_poll: Duration) -> Self {
        Self {
            served: Served { service: Rc::new(service), limits: Rc::new(limits), shutdown },
            watch: Rc::default(),
            busy_poll: BusyPoll::new(busy_poll, Clock::system()),
            open: Rc::default(),
        }
    }

    /// Serves until the shutdown has begun and its connections are done.
    pub(super) fn run(self, receiver: mpsc::Receiver<Incoming>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "start of a worker's runtime failed");
                return;
            }
        };
        tokio::task::LocalSet::new().block_on(&runtime, self.serve(receiver));
    }

    async fn serve(self, mut receiver: mpsc::Receiver<Incoming>) {
        let Served { service, limits, shutdown } = self.served.clone();
        let (watching, head_timeout) = (self.watch.clone(), limits.head_timeout);
        tokio::task::spawn_local(async move { watching.run(head_timeout).await });
        tokio::task::spawn_local(async move { service.tend().await });
        if let Some(busy_poll) = self.busy_poll.clone() {
            tokio::task::spawn_local(busy_poll.run());
        }
        let mut stopping = pin!(shutdown.wait());
        loop {
            let incoming = tokio::select! {
                incoming = receiver.recv() => incoming,
                () = &mut stopping => None,
            };
            let Some(incoming) = incoming else { break };
            match incoming.sheds() {
                true => self.watch.shed(),
                false => self.take(incoming),
            }
        }
        // Those that wait may have sent their request already.
        receiver.close();
        while let Ok(incoming) = receiver.try_recv() {
            self.take(incoming);
        }
        tokio::select! {
            () = self.closed() => return,
            () = shutdown.wait_end() => {}
        }
        // Streams end with an error that says why; what is left after that is dropped.
        self.watch.wake_all();
        let _ = tokio::time::timeout(FAREWELL_LIMIT, self.closed()).await;
    }

    /// Returns when no connection is open.
    async fn closed(&self) {
        while Rc::strong_count(&self.open) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Begins to serve a connection.
    fn take(&self, incoming: Incoming) {
        let Ok(accepted) = incoming.take() else { return };
        if Rc::strong_count(&self.open) > self.served.limits.connections_max {
            tracing::warn!("connection limit reached, closing a new connection");
            return;
        }
        if let Transport::Tcp(stream) = &accepted.transport
            && let Err(error) = prepare(stream, &self.served.limits)
        {
            tracing::debug!(%error, "socket options refused on an accepted connection");
        }
        let (served, watch) = (self.served.clone(), self.watch.clone());
        match accepted.port.is_plain() {
            true => {
                let heads = watch.connection();
                self.spawn(serve_opened(opening::plain(accepted), heads, served));
            }
            false => self.spawn(Box::pin(open_and_serve(accepted, watch, served))),
        }
    }

    /// Starts a connection's task, and counts it while it runs.
    fn spawn(&self, serving: impl Future<Output = ()> + 'static) {
        let (counted, busy_poll) = (self.open.clone(), self.busy_poll.clone());
        tokio::task::spawn_local(async move {
            let mut serving = pin!(serving);
            poll_fn(|cx| {
                if let Some(busy_poll) = &busy_poll {
                    busy_poll.note();
                }
                serving.as_mut().poll(cx)
            })
            .await;
            drop(counted);
        });
    }
}

/// Serves a connection after what its port asks for before HTTP.
async fn open_and_serve<S: Service>(accepted: Accepted, watch: Rc<Watch>, served: Served<S>) {
    let opening = Box::pin(opening::open(accepted, &served.limits, &served.shutdown));
    let opened = tokio::select! {
        opened = opening => opened,
        () = served.shutdown.wait_end() => return,
    };
    match opened {
        Ok(Some(opened)) => serve_opened(opened, watch.connection(), served).await,
        Ok(None) => {}
        Err(error) => {
            let error = gantry_runtime::errors::sentence(&error);
            tracing::debug!(error, "connection closed before a request");
        }
    }
}

/// Serves one connection and ends it so that the client can read what was said last, during the
/// drain too.
async fn serve_opened<S: Service>(opened: Opened, heads: Rc<Heads>, served: Served<S>) {
    let shutdown = served.shutdown.clone();
    let ended = match opened.speaks {
        Speaks::Http1 => Connection::new(opened, heads, served).serve().await,
        Speaks::NoTls => Connection::new(opened, heads, served).refuse(Rejection::NeedsTls).await,
        Speaks::Http2 => {
            Box::pin(http2::serve(opened, heads, served)).await;
            None
        }
    };
    let Some(transport) = ended else { return };
    tokio::select! {
        () = linger::linger(transport) => {}
        () = shutdown.wait_end() => {}
    }
}

fn prepare(stream: &TcpStream, limits: &Limits) -> std::io::Result<()> {
    crate::http1::prepare(stream)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(limits.stalled_client_timeout))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    /// Bytes that the system takes of a stream whose other side reads nothing.
    #[cfg(target_os = "linux")]
    async fn pinned(prepared: bool) -> usize {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_reads_nothing, _) = listener.accept().await.unwrap();
        if prepared {
            prepare(&stream, &Limits::default()).unwrap();
        }
        let (piece, mut taken) = ([0; 16 * 1024], 0);
        loop {
            // Ready again while the network takes more; for good it is not.
            let writable = tokio::time::timeout(Duration::from_millis(200), stream.writable());
            if writable.await.is_err() {
                return taken;
            }
            taken += stream.try_write(&piece).unwrap_or_default();
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_caller_that_reads_nothing_pins_a_bounded_part_of_the_systems_memory() {
        let (bounded, usual) = (pinned(true).await, pinned(false).await);
        assert!(2 * bounded < usual, "{bounded} bytes instead of {usual}");
    }

    #[tokio::test]
    async fn a_silent_connection_is_asked_for_a_sign_of_life() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream, &Limits::default()).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        assert!(socket.tcp_keepalive_time().unwrap() < Duration::from_secs(240));
    }
}
