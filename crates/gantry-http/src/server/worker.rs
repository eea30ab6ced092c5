//! One worker: a thread with a runtime of its own, and the connections that it was handed.
//!
//! Started by the server loop. What its connections share is counted without atomics; nothing of
//! it may reach another thread.

use super::busy_poll::BusyPoll;
use super::connection::Connection;
use super::heads::Watch;
use super::{Limits, Service, linger};
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

/// What the connections of a worker share.
pub(super) struct Worker<S> {
    service: Rc<S>,
    limits: Rc<Limits>,
    shutdown: Shutdown,
    watch: Rc<Watch>,
    busy_poll: Option<Rc<BusyPoll>>,
    /// Each open connection has one more of it.
    open: Rc<()>,
}

impl<S: Service> Worker<S> {
    pub(super) fn new(service: S, limits: Limits, shutdown: Shutdown, busy_poll: Duration) -> Self {
        Self {
            service: Rc::new(service),
            limits: Rc::new(limits),
            shutdown,
            watch: Rc::default(),
            busy_poll: BusyPoll::new(busy_poll, Clock::system()),
            open: Rc::default(),
        }
    }

    /// Serves until the shutdown has begun and its connections are done.
    pub(super) fn run(self, receiver: mpsc::Receiver<std::net::TcpStream>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "start of a worker's runtime failed");
                return;
            }
        };
        tokio::task::LocalSet::new().block_on(&runtime, self.serve(receiver));
    }

    async fn serve(self, mut receiver: mpsc::Receiver<std::net::TcpStream>) {
        let (watching, head_timeout) = (self.watch.clone(), self.limits.head_timeout);
        tokio::task::spawn_local(async move { watching.run(head_timeout).await });
        let service = self.service.clone();
        tokio::task::spawn_local(async move { service.tend().await });
        if let Some(busy_poll) = self.busy_poll.clone() {
            tokio::task::spawn_local(busy_poll.run());
        }
        let mut stopping = pin!(self.shutdown.wait());
        loop {
            let stream = tokio::select! {
                stream = receiver.recv() => stream,
                () = &mut stopping => None,
            };
            let Some(stream) = stream else { break };
            self.take(stream);
        }
        // Those that wait may have sent their request already.
        receiver.close();
        while let Ok(stream) = receiver.try_recv() {
            self.take(stream);
        }
        tokio::select! {
            () = self.closed() => return,
            () = self.shutdown.wait_end() => {}
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
    fn take(&self, stream: std::net::TcpStream) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        if Rc::strong_count(&self.open) > self.limits.connections_max {
            tracing::warn!("connection limit reached, closing a new connection");
            return;
        }
        if let Err(error) = prepare(&stream, &self.limits) {
            tracing::debug!(%error, "socket options refused on an accepted connection");
        }
        let (heads, service) = (self.watch.connection(), self.service.clone());
        let (limits, shutdown) = (self.limits.clone(), self.shutdown.clone());
        let connection = Connection::new(stream, heads, service, limits, shutdown.clone());
        let (counted, busy_poll) = (self.open.clone(), self.busy_poll.clone());
        tokio::task::spawn_local(async move {
            let mut serving = pin!(serve_connection(connection, &shutdown));
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

/// Serves one connection and ends it so that the client can read what was said last, during the
/// drain too.
async fn serve_connection<S: Service>(connection: Connection<S>, shutdown: &Shutdown) {
    let Some(stream) = connection.serve().await else { return };
    tokio::select! {
        () = linger::linger(stream) => {}
        () = shutdown.wait_end() => {}
    }
}

fn prepare(stream: &TcpStream, limits: &Limits) -> std::io::Result<()> {
    crate::http1::prepare(stream)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.stalled_client_timeout))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

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
