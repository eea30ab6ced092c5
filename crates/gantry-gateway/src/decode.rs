//! Stage 3, decode: the body is read whole and its few head fields are scanned.
//!
//! The bytes are kept as they came; a tree is built only where a translation needs one.

use crate::authenticate::Identified;
use crate::bodies::HeldBytes;
use crate::buffers::Buffer;
use crate::config::{Config, shown};
use crate::headers::Wishes;
use crate::receive::Inbound;
use crate::refusal::{Refusal, RefusalKind};
use crate::route;
use crate::shared::Shared;
use bytes::Bytes;
use futures_util::FutureExt as _;
use gantry_http::http1::Fields;
use gantry_http::server::{BodyError, RequestBody};
use gantry_llm::dialect::Dialect;
use gantry_llm::operation::{Api, BodyCodec, Exchange, Framer, Matched, Operation};
use gantry_llm::scan;
use gantry_model::cut;
use gantry_model::ids::UnixMs;
use gantry_model::snapshot;
use gantry_runtime::ids::fast_random_u64;
use http::Uri;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Least rate of a request body, in bytes per second: a quarter of what the slowest mobile networks
/// carry, above the 500 that Apache's `mod_reqtimeout` asks for.
const BODY_BYTES_PER_S_MIN: u64 = 4 * 1024;

/// Longest name of a model, in bytes: twice what an account and its model may have together. What
/// is longer names none, and is not kept.
const MODEL_BYTES_MAX: usize = 512;

/// A call of a model, understood as far as Gantry needs it.
#[derive(Debug)]
pub(crate) struct Call {
    /// The API that the caller speaks.
    pub(crate) api: &'static Api,
    pub(crate) operation: &'static Operation,
    pub(crate) exchange: &'static Exchange,
    pub(crate) wishes: Wishes,
    pub(crate) headers: Fields,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
    /// Where the body's fields stand.
    pub(crate) index: scan::Index,
    /// As the caller named it.
    pub(crate) model: String,
    /// Whether the body itself names this model; a header or the path may name another.
    pub(crate) model_in_body: bool,
    pub(crate) stream: bool,
    /// What `stream_options` holds, and whether it asks for usage.
    pub(crate) stream_options: Option<Range<usize>>,
    pub(crate) include_usage: bool,
    pub(crate) identity: Arc<snapshot::Caller>,
    /// The request's metadata under the caller's own tags.
    pub(crate) metadata: BTreeMap<String, String>,
    /// When the body was there, on the monotonic clock; absent when it came with the head.
    pub(crate) body_came_us: Option<u64>,
}

impl Call {
    /// The dialect that the caller speaks.
    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        self.api.dialect
    }

    /// `now` is wall time in milliseconds and monotonic time in microseconds.
    pub(crate) fn route_input(&self, (now_ms, now_us): (UnixMs, u64)) -> route::Input<'_> {
        route::Input {
            caller: &self.identity,
            metadata: &self.metadata,
            headers: &self.headers,
            now_ms,
            now_us,
            seed: fast_random_u64(),
        }
    }
}

/// A request that needs an upstream.
pub(crate) struct Wanted {
    pub(crate) matched: Matched,
    /// Of the operation.
    pub(crate) exchange: &'static Exchange,
    pub(crate) inbound: Box<Inbound>,
}

/// Reads and scans the body.
pub(crate) async fn decode(
    shared: &Shared,
    wanted: Wanted,
    identified: &Identified,
    held: &mut HeldBytes,
) -> Result<Call, Refusal> {
    let Wanted { matched, exchange, inbound } = wanted;
    let inbound = *inbound;
    let wishes = Wishes::read(&inbound.headers)?;
    let (body, waited) = read(&shared.config, &inbound.headers, inbound.body, held).await?;
    let body_came_us = waited.then(|| shared.clock.monotonic_us());
    let mut head = match exchange.body {
        BodyCodec::Json => scan::scan(&body).map_err(|error| {
            Refusal::caller(RefusalKind::Malformed, format!("the request body: {error}"))
        })?,
        BodyCodec::Nothing => scan::Head::default(),
    };
    let in_body = head.model.as_ref().map(|model| model.value.as_ref());
    let in_path = matched.captures.get("model");
    let named = wishes.model.as_deref().or(in_path).or(in_body);
    let model_in_body = in_body.is_some() && in_body == named;
    let model = named.unwrap_or_default();
    if model.len() > MODEL_BYTES_MAX {
        return Err(no_such_name(model));
    }
    let model = model.to_owned();
    let stream = matched.stream.unwrap_or(head.streams()) && exchange.framer != Framer::Nothing;
    let include_usage = head.include_usage.unwrap_or_default();
    let stream_options = head.stream_options.clone();
    let index = std::mem::take(&mut head.index);
    if model.is_empty() {
        let public = "the request body: `model` is missing; name one as `account/model`";
        return Err(Refusal::caller(RefusalKind::Malformed, public));
    }
    let mut metadata = wishes.metadata.clone();
    metadata.extend(identified.caller.tags.clone());
    Ok(Call {
        api: matched.api,
        operation: matched.operation,
        exchange,
        wishes,
        headers: inbound.headers,
        uri: inbound.uri,
        model,
        model_in_body,
        stream,
        stream_options,
        include_usage,
        identity: identified.caller.clone(),
        metadata,
        index,
        body,
        body_came_us,
    })
}

fn no_such_name(name: &str) -> Refusal {
    let (bytes, begin) = (name.len(), cut::head(name, 64));
    let public = format!(
        "there is no model `{begin}\u{2026}`: a name of {bytes} bytes is longer than any model's; \
         GET /v1/models lists those you may use"
    );
    Refusal::caller(RefusalKind::UnknownModel, public)
}

/// The whole body, bounded in size, in time between its pieces and in time as a whole; and whether
/// it was waited for.
async fn read(
    config: &Config,
    headers: &Fields,
    mut body: RequestBody,
    held: &mut HeldBytes,
) -> Result<(Bytes, bool), Refusal> {
    let encoding = headers.get("content-encoding");
    if encoding.is_some_and(|encoding| encoding != b"identity") {
        let public = "the request body is compressed; send it plain";
        return Err(Refusal::caller(RefusalKind::Encoding, public));
    }
    let limit = config.request_bytes_max;
    let too_large = || {
        let public = format!("the request body is larger than {limit} bytes");
        Refusal::caller(RefusalKind::TooLarge, public)
    };
    let declared = body.bytes_left().map(|left| usize::try_from(left).unwrap_or(usize::MAX));
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large());
    }
    // What is promised is taken at once: a body that is begun shall also come to its end.
    let mut take = |bytes| if held.grow_to(bytes) { Ok(()) } else { Err(Refusal::busy()) };
    take(declared.unwrap_or_default())?;
    let mut pace = Pace::new(Duration::from_millis(config.request_idle_timeout_ms));
    let first = pace.next(0, |cx| body.poll_piece(cx)).await?.unwrap_or_default();
    if first.len() > limit {
        return Err(too_large());
    }
    take(first.len())?;
    // What came with the head is most often all.
    if body.is_ended() {
        return Ok((first, pace.waited()));
    }
    let mut all = Buffer::take(declared.unwrap_or(first.len()));
    all.bytes().extend_from_slice(&first);
    drop(first);
    loop {
        let came = all.as_ref().len();
        if declared.is_none() {
            all.make_room();
        }
        if pace.next(came, |cx| body.poll_read_into(cx, all.bytes())).await? == 0 {
            break;
        }
        if all.as_ref().len() > limit {
            return Err(too_large());
        }
        take(all.as_ref().len())?;
    }
    Ok((all.freeze(), pace.waited()))
}

/// How long a body may take.
struct Pace {
    /// Longest wait for the next piece.
    idle: Duration,
    /// When it was first waited for.
    begun: Option<Instant>,
}

impl Pace {
    fn new(idle: Duration) -> Self {
        Self { idle, begun: None }
    }

    fn waited(&self) -> bool {
        self.begun.is_some()
    }

    /// What a body brings, if it comes soon enough; `came` bytes are there.
    async fn next<T>(
        &mut self,
        came: usize,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, BodyError>> + Unpin,
    ) -> Result<T, Refusal> {
        let mut next = poll_fn(poll);
        // Most bodies are there already, and a timer costs more than they do.
        let next = match (&mut next).now_or_never() {
            Some(next) => next,
            None => {
                let until = self.until(came);
                tokio::time::timeout_at(until, next).await.map_err(|_| self.late(until, came))?
            }
        };
        next.map_err(|error| {
            let public = match error {
                BodyError::Framing(_) => error.to_string(),
                BodyError::Cut | BodyError::Read(_) => {
                    "the request body ended before its declared length".to_owned()
                }
            };
            Refusal::caller(RefusalKind::Malformed, public)
        })
    }

    /// Until when the next piece must come. Drop by drop a body could hold its connection for ever,
    /// so each byte only buys its share of time.
    fn until(&mut self, came: usize) -> Instant {
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        (now + self.idle).min(begun + self.earned(came))
    }

    /// How long a body of so many bytes may take.
    fn earned(&self, came: usize) -> Duration {
        let ms = (came as u64).saturating_mul(1000) / BODY_BYTES_PER_S_MIN;
        self.idle + Duration::from_millis(ms)
    }

    fn late(&self, until: Instant, came: usize) -> Refusal {
        let earned = self.earned(came);
        let rate_broken = came > 0 && self.begun.is_some_and(|begun| until == begun + earned);
        let public = match rate_broken {
            true => format!(
                "the request body came too slowly: {came} bytes in {}; at least \
                 {BODY_BYTES_PER_S_MIN} a second are expected",
                shown(Duration::from_secs(earned.as_secs()))
            ),
            false => format!("no more of the request body came within {}", shown(self.idle)),
        };
        Refusal::caller(RefusalKind::SlowBody, public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;

    /// Reads pieces of `bytes` that come every 29 s; how many seconds until the refusal, if any,
    /// before `end`.
    async fn refused_after(bytes: usize, end: usize) -> Option<(u64, String)> {
        let (begun, mut came) = (Instant::now(), 0);
        let mut pace = Pace::new(Duration::from_secs(30));
        while came < end {
            let mut gap = Box::pin(tokio::time::sleep(Duration::from_secs(29)));
            let next = pace.next(came, |cx| gap.as_mut().poll(cx).map(|()| Ok(bytes))).await;
            match next {
                Ok(bytes) => came += bytes,
                Err(refusal) => return Some((begun.elapsed().as_secs(), refusal.public)),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_refused_however_short_the_gaps() {
        let (seconds, said) = refused_after(1, 64).await.unwrap();
        assert_eq!(seconds, 30, "{said}");
        assert!(said.contains("came too slowly: 1 bytes in 30 s"), "{said}");
        let (seconds, said) = refused_after(100_000, 64 << 20).await.unwrap();
        // 30 s, and 24 that the first piece has earned.
        assert_eq!(seconds, 54, "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_at_a_slow_networks_rate_is_read_to_its_end() {
        assert_eq!(refused_after(128 * 1024, 8 << 20).await, None);
    }
}
