//! Hands a request to a service that may run on any thread.
//!
//! A request's body belongs to its connection, which stays on one thread. So the body goes through
//! a channel, piece by piece, while the answer is awaited.

use super::request::{Request, RequestBody};
use super::wire::BodyError;
use crate::pace::{self, Pace};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use std::future::Future;
use std::pin::{Pin, pin};
use tokio::sync::{mpsc, oneshot};

/// What a detached body may fail with.
pub type DetachedError = Box<dyn std::error::Error + Send + Sync>;

/// A body that any thread may read, of a request or of a response.
pub type DetachedBody = Pin<Box<dyn Body<Data = Bytes, Error = DetachedError> + Send>>;

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
    let mut pace = Pace::new(pace::Limits::default());
    loop {
        let next = pace.next(|cx| body.poll_piece(cx), length).await;
        let piece = match next {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(piece))) => Ok(Frame::data(piece)),
            Ok(Err(error)) => Err(error.into()),
            Err(late) => Err(format!("the request body {late}").into()),
        };
        let last = piece.is_err();
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// Bytes of what came.
fn length(piece: &Result<Option<Bytes>, BodyError>) -> usize {
    piece.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Fields, Framing};
    use crate::server::transport::Transport;
    use crate::server::wire::Wire;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    /// What a service says to a body of 1,000 bytes of which one comes every `gap`, and after how
    /// many seconds. It reads on after `pause` each.
    async fn said(gap: Duration, pause: Duration) -> (String, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(Transport::Tcp(server), Bytes::new());
        wire.begin_body(Framing::Length(1000), false);
        let request = Request {
            method: http::Method::POST,
            uri: http::Uri::from_static("/"),
            fields: Fields::default(),
            peer: None,
            server_name: None,
            body: RequestBody::new(Rc::new(RefCell::new(wire))),
        };
        let drips = async {
            for _ in 0..1000 {
                tokio::time::sleep(gap).await;
                client.write_all(b"x").await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let begun = tokio::time::Instant::now();
        let answer = detached(request, async |request| {
            let mut body = request.into_body();
            loop {
                tokio::time::sleep(pause).await;
                match body.frame().await {
                    None => return "whole".to_owned(),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error.to_string(),
                }
            }
        });
        tokio::select! {
            answer = answer => (answer, begun.elapsed().as_secs()),
            () = drips => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_and_one_that_is_read_slowly_is_not() {
        let (answer, seconds) = said(Duration::from_secs(7), Duration::ZERO).await;
        assert_eq!(
            answer,
            "the request body came too slowly: 4 bytes in 30 s; at least 4096 a \
                            second are expected"
        );
        assert_eq!(seconds, 30);
        let (answer, seconds) = said(Duration::from_secs(31), Duration::ZERO).await;
        assert_eq!(answer, "the request body brought nothing more within 30 s");
        assert_eq!(seconds, 30);
        let (answer, seconds) = said(Duration::from_millis(20), Duration::from_secs(1)).await;
        assert_eq!(answer, "whole");
        assert!(seconds > 20, "{seconds}");
    }
}
