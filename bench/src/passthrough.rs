//! The minimal pass-through: hyper server, pooled hyper client, bodies streamed both ways.
//!
//! It is the yardstick that Gantry's cost is divided by, so it does nothing else: no logs, no
//! timeouts, no header edits beyond the hop-by-hop `connection`.

use crate::detach;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::CONNECTION;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};

/// Serves on `listen` and forwards everything to `upstream`, on this thread, for ever.
///
/// # Errors
/// When the address cannot be bound.
pub fn run(listen: SocketAddr, upstream: SocketAddr, announce: fn(SocketAddr)) -> io::Result<()> {
    crate::on_one_thread(async move {
        let listener = TcpListener::bind(listen).await?;
        announce(listener.local_addr()?);
        serve(listener, Arc::new(Pool { upstream, idle: Mutex::default() })).await
    })
}

async fn serve(listener: TcpListener, pool: Arc<Pool>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = pool.clone();
        let service = service_fn(move |request| forward(pool.clone(), request));
        detach(async move {
            let http = hyper::server::conn::http1::Builder::new();
            // A caller that goes away is no concern of the pass-through.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn forward(
    pool: Arc<Pool>,
    mut request: Request<Incoming>,
) -> io::Result<Response<Returning>> {
    request.headers_mut().remove(CONNECTION);
    let mut sender = pool.take().await?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONNECTION);
    Ok(Response::from_parts(parts, Returning { body, sender: Some(sender), pool }))
}

/// Idle connections to the one upstream, newest first.
struct Pool {
    upstream: SocketAddr,
    idle: Mutex<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    async fn take(&self) -> io::Result<SendRequest<Incoming>> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = kept else { return self.connect().await };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        detach(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

/// A response body that gives its connection back when it was read to the end.
struct Returning {
    body: Incoming,
    sender: Option<SendRequest<Incoming>>,
    pool: Arc<Pool>,
}

impl Body for Returning {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take().filter(|_| self.body.is_end_stream()) {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
    }
}
