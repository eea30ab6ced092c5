//! A client of the mock that shows frames and errors as they come.

use gantry_testkit::MockUpstream;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::error::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A reply whose body may break off.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) frames: Vec<Bytes>,
    /// How the body broke off.
    pub(crate) error: Option<Cut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Reset,
    Closed,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.frames.concat()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The data of all events, parsed; `[DONE]` becomes null.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap_or(Value::Null))
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What keeps a connection open.
pub(crate) struct Held {
    _sender: http1::SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

/// Sends a request and hands out the response before its body is read.
pub(crate) async fn open(
    mock: &MockUpstream,
    path: &str,
    body: &Value,
) -> Result<(http::Response<Incoming>, Held), Cut> {
    let stream = TcpStream::connect(mock.addr()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let request = http::Request::post(path)
        .header("host", "mock")
        .header("authorization", "Bearer sk-1")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = sender.send_request(request).await.map_err(|error| cut(&error))?;
    Ok((response, Held { _sender: sender, _driver: driver }))
}

pub(crate) async fn post(mock: &MockUpstream, path: &str, body: &Value) -> Result<Reply, Cut> {
    let (response, _held) = open(mock, path, body).await?;
    let (head, mut body) = response.into_parts();
    let mut frames = Vec::new();
    let mut error = None;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => frames.extend(frame.into_data()),
            Err(broken) => error = Some(cut(&broken)),
        }
    }
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, frames, error })
}

/// Asks a fresh mock for one model.
pub(crate) async fn ask(path: &str, model: &str, stream: bool) -> Result<Reply, Cut> {
    let mock = MockUpstream::start().await.unwrap();
    post(&mock, path, &json!({"model": model, "stream": stream})).await
}

fn cut(error: &hyper::Error) -> Cut {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionReset) => Cut::Reset,
        _ => Cut::Closed,
    }
}
