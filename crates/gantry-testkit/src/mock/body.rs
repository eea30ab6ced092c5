//! A reply's body that follows its acts, and the account of how the reply ended.

use super::State;
use crate::step::Act;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Sleep;

/// Why a connection ends before the message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script closes the connection")]
pub(super) struct Closed;

/// Counts a reply once: finished when it was told so, else abandoned by the client.
#[derive(Debug)]
pub(super) struct Account {
    state: Arc<State>,
    finished: bool,
}

impl Account {
    pub(super) fn open(state: Arc<State>) -> Self {
        Self { state, finished: false }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.state.count(|progress| {
            progress.finished += usize::from(self.finished);
            progress.abandoned += usize::from(!self.finished);
        });
    }
}

/// The body of a reply.
#[derive(Debug)]
pub(super) struct Script {
    acts: VecDeque<Act>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Tells the connection's task to send a RST.
    reset: Arc<Notify>,
    account: Account,
}

impl Script {
    pub(super) fn new(acts: Vec<Act>, reset: Arc<Notify>, account: Account) -> Self {
        Self { acts: acts.into(), sleep: None, reset, account }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.acts.pop_front() {
                Some(Act::Send(bytes)) if bytes.is_empty() => {}
                Some(Act::Send(bytes)) => {
                    // hyper does not ask again once `content-length` bytes have been sent.
                    if self.acts.is_empty() {
                        self.account.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Act::Wait(time)) => self.sleep = Some(Box::pin(tokio::time::sleep(time))),
                // hyper drops the body when the client leaves.
                Some(Act::Stall) => {
                    self.acts.push_front(Act::Stall);
                    return Poll::Pending;
                }
                Some(Act::Reset) => {
                    self.account.finish();
                    self.reset.notify_one();
                    // hyper may ask again before the connection's task acts.
                    self.acts.push_front(Act::Reset);
                    return Poll::Pending;
                }
                Some(Act::Close) if self.account.finished => {
                    return Poll::Ready(Some(Err(Closed)));
                }
                // What was sent goes out while the body is pending; an error would discard it.
                Some(Act::Close) => {
                    self.account.finish();
                    self.acts.push_front(Act::Close);
                    self.sleep = Some(Box::pin(tokio::time::sleep(Duration::from_millis(1))));
                }
                None => {
                    self.account.finish();
                    return Poll::Ready(None);
                }
            }
        }
    }
}
