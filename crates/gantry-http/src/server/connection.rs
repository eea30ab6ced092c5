//! One caller's connection: a request is read and answered, then the next, until one side ends it.

use super::head::{self, Head, Manner};
use super::heads::Heads;
use super::opening::{Opened, Origin};
use super::outgoing::{Outgoing, Unsent};
use super::request::{Rejected, Rejection, Request, RequestBody};
use super::response::Response;
use super::transport::Transport;
use super::upgrade::Upgrade;
use super::wire::Wire;
use super::{Limits, Service};
use crate::http1::skip_empty_lines;
use gantry_runtime::tasks::{Shutdown, queue_up};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// How what is no request is answered.
const REJECTED: Manner = Manner { since_1_1: true, stays: false, head_only: false };

/// What the connections of a worker are served with.
pub(super) struct Served<S> {
    pub(super) service: Rc<S>,
    pub(super) limits: Rc<Limits>,
    pub(super) shutdown: Shutdown,
}

impl<S> Clone for Served<S> {
    fn clone(&self) -> Self {
        let Self { service, limits, shutdown } = self;
        Self { service: service.clone(), limits: limits.clone(), shutdown: shutdown.clone() }
    }
}

/// A connection and who answers it.
pub(super) struct Connection<S> {
    wire: Rc<RefCell<Wire>>,
    origin: Origin,
    heads: Rc<Heads>,
    service: Rc<S>,
    limits: Rc<Limits>,
    shutdown: Shutdown,
    /// Whether its task is woken by the shutdown and by the watch over heads.
    watched: Cell<bool>,
}

impl<S: Service> Connection<S> {
    pub(super) fn new(opened: Opened, heads: Rc<Heads>, served: Served<S>) -> Self {
        let Opened { transport, held, origin, .. } = opened;
        let Served { service, limits, shutdown } = served;
        let wire = Rc::new(RefCell::new(Wire::new(transport, held)));
        Self { wire, origin, heads, service, limits, shutdown, watched: Cell::new(false) }
    }

    /// Answers that nothing is answered here, and returns the connection for a friendly end.
    pub(super) async fn refuse(self, why: Rejection) -> Option<Transport> {
        let rejected = Rejected { why, target: String::new() };
        let sent = self.send(self.service.reject(rejected), REJECTED).await;
        sent.ok()?;
        Rc::into_inner(self.wire).and_then(|wire| wire.into_inner().into_stream())
    }

    /// Serves until one side ends it; on shutdown, until the request in progress is answered.
    /// Returns the connection for a friendly end.
    pub(super) async fn serve(self) -> Option<Transport> {
        let mut stopping = pin!(self.shutdown.wait());
        let upgrade = loop {
            let mut looked_at = 0;
            let next = poll_fn(|cx| self.poll_head(cx, stopping.as_mut(), &mut looked_at)).await;
            let (response, manner) = match next {
                Next::Ended => break None,
                Next::Rejected(rejected) => (self.service.reject(rejected), REJECTED),
                Next::Request(request, manner) => match self.answer(request).await {
                    Some(response) => (response, manner),
                    None => break None,
                },
            };
            queue_up().await;
            match self.send(response, manner).await {
                Ok(After::Stays) => self.heads.end(),
                Ok(After::Ends) => break None,
                Ok(After::Leaves(upgrade)) => break Some(upgrade),
                Err(error) => {
                    tracing::debug!(%error, "connection ended early");
                    break None;
                }
            }
        };
        let wire = Rc::into_inner(self.wire)?.into_inner();
        let Some(upgrade) = upgrade else { return wire.into_stream() };
        let (transport, held) = wire.into_parts();
        tokio::select! {
            () = Box::pin(upgrade.give(transport, held)) => {}
            () = self.shutdown.wait_end() => {}
        }
        None
    }

    /// Reads until a head is whole. The first `looked_at` bytes alone are none.
    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        stopping: Pin<&mut impl Future<Output = ()>>,
        looked_at: &mut usize,
    ) -> Poll<Next> {
        if !self.watched.replace(true) {
            self.heads.wake(cx.waker());
            // Polled once to be woken by it; from then on a look at the flag is enough.
            let _ = stopping.poll(cx);
        }
        let mut wire = self.wire.borrow_mut();
        loop {
            skip_empty_lines(&mut wire.held);
            if head::is_worth_a_look(&wire.held, *looked_at, &self.limits) {
                *looked_at = wire.held.len();
                match head::take(&mut wire.held, &self.limits) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(self.begin(&mut wire, head)),
                    Err(rejected) => return Poll::Ready(Next::Rejected(rejected)),
                }
            }
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Ended),
                // What has come already is answered in a shutdown too.
                Poll::Pending => {
                    let stops = self.shutdown.begun() && wire.is_idle();
                    let ends = stops || self.heads.expired();
                    return if ends { Poll::Ready(Next::Ended) } else { Poll::Pending };
                }
            }
        }
    }

    fn begin(&self, wire: &mut Wire, head: Head) -> Next {
        self.heads.begin();
        wire.begin_body(head.framing, head.expects_continue);
        let body = RequestBody::new(self.wire.clone());
        let Head { method, uri, fields, manner, .. } = head;
        let peer = self.origin.port.client(self.origin.peer, &fields);
        let server_name = self.origin.server_name.clone();
        Next::Request(Request { method, uri, fields, peer, server_name, body }, manner)
    }

    /// The service's answer; `None` when the caller left before it, or the drain is over.
    async fn answer(&self, request: Request) -> Option<Response<S::Body>> {
        let mut answer = pin!(self.service.call(request));
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending if self.shutdown.ending() => Poll::Ready(None),
            Poll::Pending => self.wire.borrow_mut().poll_left(cx).map(|()| None),
        })
        .await
    }

    /// Writes a response; what becomes of the connection behind it.
    async fn send(&self, mut response: Response<S::Body>, manner: Manner) -> Result<After, Unsent> {
        let upgrade = response.upgrade.take();
        let mut outgoing = Outgoing::new(response, manner);
        let mut stays = manner.stays && outgoing.leaves_open();
        if upgrade.is_some() && !(stays && manner.since_1_1 && self.wire.borrow_mut().skip_body()) {
            return Err(Unsent::NoUpgrade);
        }
        stays = stays && !self.shutdown.begun() && self.wire.borrow_mut().skip_body();
        let connection = match (stays, manner.since_1_1) {
            _ if upgrade.is_some() => Some(&b"upgrade"[..]),
            (false, _) => Some(&b"close"[..]),
            (true, false) => Some(&b"keep-alive"[..]),
            (true, true) => None,
        };
        let sent = poll_fn(|cx| outgoing.poll(cx, &self.wire, connection)).await;
        if matches!(sent, Err(Unsent::Body(_))) && !outgoing.leaves_open() {
            self.wire.borrow_mut().reset_at_end();
        }
        sent.map(|()| match upgrade {
            Some(upgrade) => After::Leaves(upgrade),
            None if stays => After::Stays,
            None => After::Ends,
        })
    }
}

/// What becomes of a connection behind a response.
enum After {
    Stays,
    Ends,
    /// It is no connection of HTTP any more.
    Leaves(Upgrade),
}

/// What comes next on a connection.
enum Next {
    Request(Request, Manner),
    Rejected(Rejected),
    Ended,
}
