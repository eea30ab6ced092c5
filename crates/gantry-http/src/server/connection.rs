//! One caller's connection: a request is read and answered, then the next, until one side ends it.

use super::head::{self, Head, Manner};
use super::heads::Heads;
use super::outgoing::{Outgoing, Unsent};
use super::request::{Rejected, Request, RequestBody};
use super::response::Response;
use super::wire::Wire;
use super::{Limits, Service};
use crate::http1::skip_empty_lines;
use gantry_runtime::tasks::{Shutdown, queue_up};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// How what is no request is answered.
const REJECTED: Manner = Manner { since_1_1: true, stays: false, head_only: false };

/// A connection and who answers it.
pub(super) struct Connection<S> {
    wire: Rc<RefCell<Wire>>,
    heads: Rc<Heads>,
    service: Rc<S>,
    limits: Rc<Limits>,
    shutdown: Shutdown,
    /// Whether its task is woken by the shutdown and by the watch over heads.
    watched: Cell<bool>,
}

impl<S: Service> Connection<S> {
    pub(super) fn new(
        stream: TcpStream,
        heads: Rc<Heads>,
        service: Rc<S>,
        limits: Rc<Limits>,
        shutdown: Shutdown,
    ) -> Self {
        let wire = Rc::new(RefCell::new(Wire::new(stream)));
        Self { wire, heads, service, limits, shutdown, watched: Cell::new(false) }
    }

    /// Serves until one side ends it; on shutdown, until the request in progress is answered.
    /// Returns the socket for a friendly end.
    pub(super) async fn serve(self) -> Option<TcpStream> {
        let mut stopping = pin!(self.shutdown.wait());
        loop {
            let mut looked_at = 0;
            let next = poll_fn(|cx| self.poll_head(cx, stopping.as_mut(), &mut looked_at)).await;
            let (response, manner) = match next {
                Next::Ended => break,
                Next::Rejected(rejected) => (self.service.reject(rejected), REJECTED),
                Next::Request(request, manner) => match self.answer(request).await {
                    Some(response) => (response, manner),
                    None => break,
                },
            };
            queue_up().await;
            match self.send(response, manner).await {
                Ok(true) => self.heads.end(),
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, "connection ended early");
                    break;
                }
            }
        }
        Rc::into_inner(self.wire).and_then(|wire| wire.into_inner().into_stream())
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
        Next::Request(Request { method, uri, fields, body }, manner)
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

    /// Writes a response; whether another request may follow.
    async fn send(&self, response: Response<S::Body>, manner: Manner) -> Result<bool, Unsent> {
        let mut outgoing = Outgoing::new(response, manner);
        let stays = manner.stays
            && outgoing.leaves_open()
            && !self.shutdown.begun()
            && self.wire.borrow_mut().skip_body();
        let connection = match (stays, manner.since_1_1) {
            (false, _) => Some(&b"close"[..]),
            (true, false) => Some(&b"keep-alive"[..]),
            (true, true) => None,
        };
        let sent = poll_fn(|cx| outgoing.poll(cx, &self.wire, connection)).await;
        if matches!(sent, Err(Unsent::Body(_))) && !outgoing.leaves_open() {
            self.wire.borrow_mut().reset_at_end();
        }
        sent.map(|()| stays)
    }
}

/// What comes next on a connection.
enum Next {
    Request(Request, Manner),
    Rejected(Rejected),
    Ended,
}
