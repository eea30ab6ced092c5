//! Stage 3, decode: the body is read whole and its few head fields are scanned.
//!
//! The bytes are kept as they came; a tree is built only where a translation needs one.

use crate::authenticate::Identified;
use crate::buffers::Buffer;
use crate::config::{Config, shown};
use crate::headers::Wishes;
use crate::receive::{Caller, Inbound, Operation, Route};
use crate::refusal::{Refusal, RefusalKind};
use crate::route;
use bytes::Bytes;
use futures_util::FutureExt as _;
use gantry_llm::scan;
use gantry_model::ids::UnixMs;
use gantry_model::snapshot;
use gantry_providers::upstream;
use gantry_runtime::ids::fast_random_u64;
use http::{HeaderMap, Uri, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A call of a model, understood as far as Gantry needs it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) operation: upstream::Operation,
    pub(crate) wishes: Wishes,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
    /// Where the body's fields stand.
    pub(crate) index: scan::Index,
    /// As the caller named it.
    pub(crate) model: String,
    /// Whether the body itself names a model.
    pub(crate) model_in_body: bool,
    pub(crate) stream: bool,
    /// What `stream_options` holds, and whether it asks for usage.
    pub(crate) stream_options: Option<Range<usize>>,
    pub(crate) include_usage: bool,
    pub(crate) identity: Arc<snapshot::Caller>,
    /// The request's metadata under the caller's own tags.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Call {
    /// `now` is wall time in milliseconds and monotonic time in microseconds.
    pub(crate) fn route_input(&self, (now_ms, now_us): (UnixMs, u64)) -> route::Input<'_> {
        route::Input {
            subject: &self.identity.subject,
            metadata: &self.metadata,
            headers: &self.headers,
            now_ms,
            now_us,
            seed: fast_random_u64(),
        }
    }
}

/// Reads and scans the body.
pub(crate) async fn decode(
    config: &Config,
    route: Route,
    inbound: Box<Inbound>,
    identified: &Identified,
) -> Result<Call, Refusal> {
    let inbound = *inbound;
    let Operation::Call(operation) = route.operation else {
        return Err(Refusal::caller(RefusalKind::BadRoute, "models are listed, not called"));
    };
    let wishes = Wishes::read(&inbound.headers)?;
    let body = read(config, &inbound.headers, inbound.body).await?;
    let mut head = scan::scan(&body).map_err(|error| {
        Refusal::caller(RefusalKind::Malformed, format!("the request body: {error}"))
    })?;
    let model_in_body = head.model.is_some();
    let in_body = head.model.as_ref().map(|model| model.value.as_ref());
    let named = wishes.model.as_deref().or(route.path_model.as_deref()).or(in_body);
    let model = named.unwrap_or_default().to_owned();
    let (stream, include_usage) = (head.streams(), head.include_usage.unwrap_or_default());
    let stream_options = head.stream_options.clone();
    let index = std::mem::take(&mut head.index);
    if model.is_empty() {
        let public = "the request body: `model` is missing; name one as `account/model`";
        return Err(Refusal::caller(RefusalKind::Malformed, public));
    }
    let mut metadata = wishes.metadata.clone();
    metadata.extend(identified.caller.tags.clone());
    Ok(Call {
        caller: inbound.caller,
        operation,
        wishes,
        headers: inbound.headers,
        uri: inbound.uri,
        model,
        model_in_body,
        stream: stream && operation != upstream::Operation::Embedding,
        stream_options,
        include_usage,
        identity: identified.caller.clone(),
        metadata,
        index,
        body,
    })
}

/// The whole body, bounded in size and in time between its pieces.
async fn read(config: &Config, headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Refusal> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let public = "the request body is compressed; send it plain";
        return Err(Refusal::caller(RefusalKind::Encoding, public));
    }
    let limit = config.request_bytes_max;
    let too_large = || {
        let public = format!("the request body is larger than {limit} bytes");
        Refusal::caller(RefusalKind::TooLarge, public)
    };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all: Option<Buffer> = None;
    let idle = Duration::from_millis(config.request_idle_timeout_ms);
    while let Some(piece) = next(&mut body, idle).await? {
        let len = first.len() + all.as_ref().map_or(0, Buffer::len) + piece.len();
        if len > limit {
            return Err(too_large());
        }
        match &mut all {
            Some(all) => all.extend(&piece),
            // The whole body, unless it is one of unknown length.
            None if first.is_empty() && piece.len() >= expected => first = piece,
            // A piece is let go at once: the connection reads the next one into the same memory.
            None => {
                let all = all.insert(Buffer::take(expected.max(len)));
                all.extend(&std::mem::take(&mut first));
                all.extend(&piece);
            }
        }
    }
    Ok(all.map_or(first, Buffer::freeze))
}

async fn next(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Refusal> {
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        // Most bodies are there already, and a timer costs more than they do.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => tokio::time::timeout(idle, body.frame()).await.map_err(|_| {
                let public = format!("no more of the request body came within {}", shown(idle));
                Refusal::caller(RefusalKind::SlowBody, public)
            })?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                let public = "the request body ended before its declared length";
                return Err(Refusal::caller(RefusalKind::Malformed, public));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
