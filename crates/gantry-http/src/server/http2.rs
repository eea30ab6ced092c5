//! HTTP/2 on a connection, by hyper, for the same services as HTTP/1.1.
//!
//! The worker calls it for connections that chose HTTP/2. Each stream is a task of the worker; its
//! request and response are turned into those of [`Service`]. It frames nothing itself.

use super::connection::Served;
use super::heads::Heads;
use super::opening::{Opened, Origin};
use super::request::{Rejected, Rejection, Request, RequestBody};
use super::response::Response;
use super::streamed::Streamed;
use super::upgrade::Prefixed;
use super::{DetachedError, Limits, Service};
use crate::http1::{Fields, PROBE_INTERVAL, SILENCE, check_host};
use bytes::Bytes;
use gantry_runtime::tasks::Shutdown;
use http::header::{CONTENT_LENGTH, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// Streams that a client may reset before they were answered, and that may end by its mistakes,
/// until its connection is closed (CVE-2023-44487, CVE-2025-8671).
const RESETS_MAX: usize = 20;

/// Bytes of a response that are taken before the client has taken those before them, per stream.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// Fields about the connection itself, which HTTP/2 forbids (RFC 9113, section 8.2.2).
const OF_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Serves until one side ends the connection; on shutdown, until the requests in progress are
/// answered.
pub(super) async fn serve<S: Service>(opened: Opened, heads: Rc<Heads>, served: Served<S>) {
    let Opened { transport, held, origin, .. } = opened;
    let shutdown = served.shutdown.clone();
    let streams = Rc::new(Streams { heads: heads.clone(), open: Cell::new(0) });
    let limits = served.limits.clone();
    let service = service_fn(move |request| {
        let (served, origin, begun) = (served.clone(), origin.clone(), streams.begin());
        answer(request, served, origin, begun)
    });
    let mut builder = Builder::new(Local(shutdown.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(PROBE_INTERVAL);
    let io = TokioIo::new(Prefixed { held, transport });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = pin!(shutdown.wait());
    let (mut watched, mut ends) = (false, false);
    let served = poll_fn(|cx| {
        if !std::mem::replace(&mut watched, true) {
            heads.wake(cx.waker());
            // Polled once to be woken by it; from then on a look at the flag is enough.
            let _ = stopping.as_mut().poll(cx);
        }
        if !ends && (shutdown.begun() || heads.expired()) {
            ends = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended early");
    }
}

/// The open streams of a connection.
struct Streams {
    heads: Rc<Heads>,
    open: Cell<u32>,
}

/// A request that is being answered.
struct Begun(Rc<Streams>);

impl Streams {
    fn begin(self: &Rc<Self>) -> Begun {
        self.open.set(self.open.get() + 1);
        self.heads.begin();
        Begun(self.clone())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let left = self.0.open.get().saturating_sub(1);
        self.0.open.set(left);
        if left == 0 {
            self.0.heads.end();
        }
    }
}

/// Runs the streams on the worker's thread.
#[derive(Clone)]
struct Local(Shutdown);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, stream: F) {
        let shutdown = self.0.clone();
        tokio::task::spawn_local(async move {
            let mut stream = pin!(stream);
            tokio::select! {
                biased;
                () = &mut stream => return,
                () = shutdown.wait_end() => {}
            }
            // Woken once more, so that it sees the end of the drain and says so.
            stream.await;
        });
    }
}

async fn answer<S: Service>(
    request: http::Request<Incoming>,
    served: Served<S>,
    origin: Origin,
    begun: Begun,
) -> Result<http::Response<ReplyBody<S::Body>>, DetachedError> {
    let head_only = *request.method() == Method::HEAD;
    let response = match understand(request, &origin, &served.limits) {
        Err(rejected) => served.service.reject(rejected),
        Ok(request) => tokio::select! {
            biased;
            response = served.service.call(request) => response,
            () = served.shutdown.wait_end() => return Err("the drain is over".into()),
        },
    };
    reply(response, head_only, begun)
}

/// A request as services know it.
fn understand(
    request: http::Request<Incoming>,
    origin: &Origin,
    limits: &Limits,
) -> Result<Request, Rejected> {
    let (head, body) = request.into_parts();
    let (mut map, mut uri) = (head.headers, head.uri);
    let target = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let reject = |why| Rejected { why, target: target.clone() };
    if map.len() > limits.headers_max {
        return Err(reject(Rejection::TooManyFields { limit: limits.headers_max }));
    }
    if let Some(authority) = uri.authority() {
        let authority = authority.as_str().as_bytes();
        // RFC 9113, section 8.3.1.
        if map.get_all(HOST).iter().any(|host| host.as_bytes() != authority) {
            let public = "the host field names another host than `:authority`";
            return Err(reject(Rejection::Malformed(public.to_owned())));
        }
        if let Ok(host) = HeaderValue::from_bytes(authority) {
            map.insert(HOST, host);
        }
    }
    if let Some(path) = uri.path_and_query() {
        uri = Uri::from(path.clone());
    }
    let fields = Fields::from_map(&map);
    check_host(&fields, true).map_err(|error| reject(Rejection::Malformed(error.to_string())))?;
    Ok(Request {
        method: head.method,
        uri,
        peer: origin.port.client(origin.peer, &fields),
        server_name: origin.server_name.clone(),
        fields,
        body: RequestBody::streamed(Streamed::new(body)),
    })
}

/// A service's response as hyper sends it; it adds the date, and the length where that is known.
fn reply<B: Body<Data = Bytes>>(
    response: Response<B>,
    head_only: bool,
    begun: Begun,
) -> Result<http::Response<ReplyBody<B>>, DetachedError> {
    if response.status.is_informational() || response.upgrade.is_some() {
        return Err("a service answered over HTTP/2 with another protocol".into());
    }
    let bodiless = matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = response.declared.or(response.body.size_hint().exact());
    let mut map: HeaderMap = HeaderMap::new();
    for (name, value) in response.lines.iter() {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            continue;
        };
        if !OF_CONNECTION.contains(&name.as_str()) {
            map.append(name, value);
        }
    }
    if let Some(length) = length.filter(|_| head_only && !bodiless) {
        map.insert(CONTENT_LENGTH, length.into());
    }
    let body = (!head_only && !bodiless).then_some(response.body);
    let mut reply = http::Response::new(ReplyBody { body, _begun: begun });
    *reply.status_mut() = response.status;
    *reply.headers_mut() = map;
    Ok(reply)
}

/// A service's body; `None` where HTTP sends none.
struct ReplyBody<B> {
    body: Option<B>,
    _begun: Begun,
}

impl<B> Body for ReplyBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<DetachedError>,
{
    type Data = Bytes;
    type Error = DetachedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DetachedError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
