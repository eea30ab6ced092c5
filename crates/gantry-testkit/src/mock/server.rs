//! Accepts connections and answers requests as the scripts say.

use super::body::{Account, Closed, Script};
use super::{Recorded, State, lock};
use crate::call::Call;
use crate::plan;
use crate::step::Act;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Runs until its task is dropped.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept concerns one client that has gone.
                let Ok((stream, _)) = accepted else { continue };
                state.count(|progress| progress.connections += 1);
                connections.spawn(connection(stream, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Without it the events of a stream would be held back; a failure shows as lateness only.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| answer(request, state.clone(), reset.clone()));
    let mut http = http1::Builder::new();
    http.header_read_timeout(None);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error is the client's leaving or the script's closing: both are counted elsewhere.
        _ = &mut connection => {}
        () = reset.notified() => {
            let stream = connection.into_parts().io.into_inner();
            // Dropping a socket with zero linger sends a RST.
            let _ = stream.set_zero_linger();
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    reset: Arc<Notify>,
) -> Result<Response<Script>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let call = Call::new(&head.uri, &body);
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let recorded = Recorded { method: head.method, path_and_query, headers: head.headers, body };
    lock(&state.requests).push(recorded);
    state.count(|progress| progress.requests += 1);
    let mut account = Account::open(state.clone());
    let raw = match state.next_step(head.uri.path(), &call.model) {
        Some(step) => plan::plan(step, &call),
        None => plan::usual(&call),
    };
    for act in &raw.before {
        match act {
            Act::Send(_) => {}
            Act::Wait(time) => tokio::time::sleep(*time).await,
            Act::Stall => pending().await,
            Act::Reset => {
                account.finish();
                reset.notify_one();
                pending().await
            }
            Act::Close => {
                account.finish();
                return Err(Closed);
            }
        }
    }
    let mut response = Response::builder().status(raw.status);
    for (name, value) in &raw.headers {
        response = response.header(name, value);
    }
    let script = Script::new(raw.body, reset, account);
    // A script with an impossible status or header is a mistake in a test: it sees the closing.
    response.body(script).map_err(|_| Closed)
}
