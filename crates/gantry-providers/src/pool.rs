//! Keep-alive connections of one worker thread: no locks, newest first.
//!
//! One pool per worker. A connection carries one request at a time and comes back when the reply's
//! body was read to its end; a body dropped earlier closes its connection, which is how a caller
//! that leaves stops the upstream.

use crate::body::RequestBody;
use crate::connect;
use crate::endpoint::Endpoint;
use bytes::Bytes;
use gantry_runtime::clock::Clock;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long connections are kept and waited for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest wait for a new connection, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// An idle connection older than this is closed. Default 55 s: most servers keep 60 s or more,
    /// and one that closes earlier is noticed when the connection is taken out.
    pub idle_timeout: Duration,
    /// Idle connections kept per upstream and worker. Default 256.
    pub idle_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(55),
            idle_max: 256,
        }
    }
}

/// Idle connections are looked through no more often.
const SWEEP_INTERVAL_US: u64 = 10_000_000;

/// Why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// The connection broke after the request was (partly) written.
    #[error("get an answer from {origin}")]
    Broken { origin: String, source: hyper::Error },
}

/// The connections of one worker. Clones share them; it stays on its thread.
#[derive(Clone)]
pub struct Pool(Rc<Shared>);

struct Shared {
    settings: Settings,
    clock: Clock,
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    swept_us: Cell<u64>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since_us: u64,
}

impl Pool {
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        Self(Rc::new(Shared { settings, clock, idle: RefCell::default(), swept_us: Cell::new(0) }))
    }

    /// Sends `request` (origin form, with its `host` header) and returns the response's head and
    /// body. `now_us` is the clock's monotonic time. A kept connection that turns out closed before
    /// the request went out is replaced.
    ///
    /// # Errors
    /// When no connection comes about, or it breaks before the response's head.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        mut request: Request<RequestBody>,
        now_us: u64,
    ) -> Result<Response<ReplyBody>, Error> {
        self.sweep(now_us);
        loop {
            let (mut sender, reused) = match self.take_idle(endpoint.id, now_us).await {
                Some(sender) => (sender, true),
                None => (self.connect(endpoint).await?, false),
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.attach(endpoint.id, sender, response)),
                Err(mut failed) => match failed.take_message() {
                    // Nothing was written: safe to send again on another connection.
                    Some(unsent) if reused => request = unsent,
                    _ => {
                        let source = failed.into_error();
                        return Err(Error::Broken { origin: endpoint.origin(), source });
                    }
                },
            }
        }
    }

    /// Closes connections that have been idle for too long, when that was not done of late.
    fn sweep(&self, now: u64) {
        if now.saturating_sub(self.0.swept_us.get()) < SWEEP_INTERVAL_US {
            return;
        }
        self.0.swept_us.set(now);
        let limit = micros(self.0.settings.idle_timeout);
        let mut idle = self.0.idle.borrow_mut();
        idle.retain(|_, kept| {
            kept.retain(|entry| {
                !entry.sender.is_closed() && now.saturating_sub(entry.since_us) < limit
            });
            !kept.is_empty()
        });
    }

    async fn take_idle(&self, id: u64, now: u64) -> Option<SendRequest<RequestBody>> {
        let limit = micros(self.0.settings.idle_timeout);
        loop {
            let mut entry = self.0.idle.borrow_mut().get_mut(&id)?.pop()?;
            if now.saturating_sub(entry.since_us) >= limit || entry.sender.is_closed() {
                continue;
            }
            // Its reply was read to the end, so this waits for no more than the driver's turn.
            if entry.sender.is_ready() || entry.sender.ready().await.is_ok() {
                return Some(entry.sender);
            }
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<SendRequest<RequestBody>, Error> {
        let run = |driver| {
            tokio::task::spawn_local(driver);
        };
        let limit = self.0.settings.connect_timeout;
        // On the heap: most requests need no new connection, and its state would be most of theirs.
        let mut sender = Box::pin(connect::connect(endpoint, limit, run)).await?;
        sender
            .ready()
            .await
            .map_err(|source| Error::Broken { origin: endpoint.origin(), source })?;
        Ok(sender)
    }

    fn attach(
        &self,
        id: u64,
        sender: SendRequest<RequestBody>,
        response: Response<Incoming>,
    ) -> Response<ReplyBody> {
        let lease = Lease { id, sender, pool: Rc::downgrade(&self.0) };
        response.map(|incoming| {
            let mut body = ReplyBody { incoming, lease: Some(lease) };
            if body.incoming.is_end_stream() {
                body.give_back();
            }
            body
        })
    }
}

struct Lease {
    id: u64,
    sender: SendRequest<RequestBody>,
    pool: Weak<Shared>,
}

/// A response's body; its connection returns to the pool when it was read to the end.
pub struct ReplyBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl ReplyBody {
    fn give_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Some(pool) = lease.pool.upgrade() else { return };
        let mut idle = pool.idle.borrow_mut();
        let kept = idle.entry(lease.id).or_default();
        if kept.len() < pool.settings.idle_max && !lease.sender.is_closed() {
            kept.push(Idle { sender: lease.sender, since_us: pool.clock.monotonic_us() });
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.give_back(),
            Poll::Ready(_) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
