//! A stream whose head went out before its reply was there, because that took too long.
//!
//! The `pipeline` makes it. Behind the head the stages go on as before, targets are tried and fall
//! back unseen, and the caller gets a comment now and then. What they come to follows: the relay,
//! or one error event, and the record tells it as it was. It never tries anything itself.

use crate::body::{Frames, ReplyBody};
use crate::relay::Relay;
use crate::reply::{Caller, Done, Rest};
use crate::settle::STOPPED;
use crate::shared::Worker;
use bytes::Bytes;
use gantry_http::server::Response;
use gantry_llm::errors::{ErrorKind, ErrorView};
use http::StatusCode;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A comment, which every reader of server-sent events skips.
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The stages of a request on their way to its reply.
type Running = Pin<Box<dyn Future<Output = Done>>>;

/// The body behind an early head.
pub(crate) struct Early {
    state: State,
    worker: Rc<Worker>,
    caller: Caller,
    /// What goes out next.
    next: Option<Bytes>,
    /// How often a comment comes, and when the next one does.
    every: Duration,
    beat: Pin<Box<Sleep>>,
}

enum State {
    Running(Running),
    Relay(Box<Relay>),
    Over,
}

impl Early {
    /// The head, and a body that goes on with `running`.
    pub(crate) fn response(
        running: Running,
        worker: Rc<Worker>,
        caller: Caller,
    ) -> Response<ReplyBody> {
        let every = worker.shared.config.stream_head_wait().unwrap_or(Duration::MAX);
        let early = Self {
            state: State::Running(running),
            worker,
            caller,
            next: Some(COMMENT),
            every,
            beat: Box::pin(tokio::time::sleep(every)),
        };
        let body = ReplyBody::Early(Box::new(early));
        Response::new(StatusCode::OK, caller.early_head(), body)
    }

    fn follow(&mut self, done: Done) {
        self.state = match done.into_rest() {
            Rest::Relay(relay) => State::Relay(relay),
            Rest::Last(bytes) => {
                self.next = Some(bytes);
                State::Over
            }
        };
    }

    /// What runs is dropped, and its ledger records why.
    fn stop(&mut self) {
        self.state = State::Over;
        self.next = Some(self.caller.error_event(ErrorView {
            status: 503,
            kind: ErrorKind::Internal,
            code: Some("stopped".to_owned()),
            param: None,
            message: STOPPED.to_owned(),
            request_id: String::new(),
        }));
    }

    fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.beat.as_mut().poll(cx));
        self.beat.as_mut().reset(Instant::now() + self.every);
        self.next = Some(COMMENT);
        Poll::Ready(())
    }
}

impl Frames for Early {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.next.take() {
                return Poll::Ready(Some(bytes));
            }
            match &mut self.state {
                State::Relay(relay) => return relay.poll_frame(cx),
                State::Over => return Poll::Ready(None),
                // The drain is over, which wakes every connection.
                State::Running(_) if self.worker.shared.shutdown.ending() => self.stop(),
                State::Running(running) => {
                    let polled = running.as_mut().poll(cx);
                    self.worker.head_due.set(false);
                    match polled {
                        Poll::Ready(done) => self.follow(done),
                        Poll::Pending => ready!(self.poll_beat(cx)),
                    }
                }
            }
        }
    }
}
