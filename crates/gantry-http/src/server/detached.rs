//! Hands a request to a service that may run on any thread.
//!
//! A request's body belongs to its connection, which stays on one thread. So the body goes through
//! a channel, piece by piece, while the answer is awaited.

use super::request::{Request, RequestBody};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What a detached body may fail with.
pub type DetachedError = Box<dyn std::error::Error + Send + Sync>;

/// A body that any thread may read, of a request or of a response.
pub type DetachedBody = Pin<Box<dyn Body<Data = Bytes, Error = DetachedError> + Send>>;

/// Longest time between two pieces of a body.
const GAP_MAX: Duration = Duration::from_secs(60);

/// Calls the service and brings it the body, from when it first asks for it, as far as it reads it.
pub async fn detached<F: Future>(
    request: Request,
    call: impl FnOnce(http::Request<DetachedBody>) -> F,
) -> F::Output {
    let (head, body) = request.into_http().into_parts();
    if body.is_ended() {
        let none = Empty::new().map_err(|never| match never {});
        return call(http::Request::from_parts(head, Box::pin(none))).await;
    }
    let (sender, mut receiver) = mpsc::channel(1);
    let (ask, asked) = oneshot::channel();
    let mut ask = Some(ask);
    let pieces = futures_util::stream::poll_fn(move |cx| {
        ask.take().map(|ask| ask.send(()));
        receiver.poll_recv(cx)
    });
    let answer = pin!(call(http::Request::from_parts(head, Box::pin(StreamBody::new(pieces)))));
    let bring = async {
        // Before that a caller that waits for `100 Continue` is not told to send.
        if asked.await.is_ok() {
            bring(body, sender).await;
        }
    };
    match select(answer, pin!(bring)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => answer.await,
    }
}

type Piece = Result<Frame<Bytes>, DetachedError>;

/// Brings the pieces until the body's end, or until nobody wants more.
async fn bring(mut body: RequestBody, sender: mpsc::Sender<Piece>) {
    loop {
        let piece = match tokio::time::timeout(GAP_MAX, body.piece()).await {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(piece))) => Ok(Frame::data(piece)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err("no more of the request body came in time".into()),
        };
        let last = piece.is_err();
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}
