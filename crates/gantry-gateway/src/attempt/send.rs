//! One attempt: send, wait for the reply's beginning, judge it.

use super::encode::{Encoded, request_head};
use super::failure::{Failure, Outcome, UpstreamReply, retry_after, status_blames_target};
use super::pump::{Break, Pump, Step};
use super::scrub::Secrets;
use super::{Attempted, Stream, Target, Whole};
use crate::decode::Call;
use crate::route::Hop;
use crate::shared::Worker;
use bytes::{Bytes, BytesMut};
use gantry_http::http1::Fields;
use gantry_http::pool::{self, Reply, ReplyBody};
use gantry_llm::errors::{self, ErrorKind, ErrorView};
use gantry_llm::observe::{Malformed, Observer, Replies};
use gantry_llm::shape::Shape;
use gantry_llm::stream::{StreamContext, StreamTranslator};
use gantry_llm::translate::{self, ReplyContext};
use gantry_runtime::errors::sentence;
use http::{HeaderValue, header};
use std::future::poll_fn;
use std::time::Duration;

/// Largest error reply that is read.
const ERROR_BYTES_MAX: usize = 1024 * 1024;

/// Longest wait for the body of an error, whose status has said the most: official APIs send both
/// at once.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(2);

/// Sends the call and waits until its reply can be given to the caller. `started_us` is now;
/// `span` names the attempt to the upstream.
pub(super) async fn send(
    target: &Target<'_>,
    started_us: u64,
    span: Option<HeaderValue>,
) -> Result<Attempted, Failure> {
    let (call, config) = (target.call, &target.worker.shared.config);
    let whole = call.wishes.attempt_timeout;
    let whole = whole.unwrap_or(Duration::from_millis(config.attempt_timeout_ms));
    let first = call.wishes.first_token_timeout;
    let first = first.unwrap_or(Duration::from_millis(config.first_token_timeout_ms));
    let (limit, outcome, status, what) = match call.stream && first < whole {
        true => (first, Outcome::FirstTokenTimeout, 408, "first token"),
        false => (whole, Outcome::Timeout, 504, "reply"),
    };
    let exchange = exchange(target, started_us, span);
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
        let message = format!("no {what} within {} ms", limit.as_millis());
        Err(Failure::silent(outcome, view(ErrorKind::Timeout, status, message)))
    })
}

async fn exchange(
    target: &Target<'_>,
    started_us: u64,
    span: Option<HeaderValue>,
) -> Result<Attempted, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let head = request_head(call, hop, encoded, span.as_ref());
    let request = head.with_body(encoded.body.clone());
    let reply = worker
        .pool
        .send(&hop.model.upstream.endpoint, &request, started_us, &target.begun)
        .await
        .map_err(|error| broken(&error))?;
    if !reply.status.is_success() {
        return Err(refused(target, reply).await);
    }
    match encoded.exchange.replies.filter(|_| call.stream) {
        Some(replies) => gate(target, reply, replies, started_us).await,
        None => whole(target, reply, started_us).await,
    }
}

fn broken(error: &pool::Error) -> Failure {
    let outcome = match error {
        pool::Error::Connect(_) => Outcome::Connect,
        pool::Error::Broken { .. } => Outcome::Reset,
    };
    Failure::silent(outcome, view(ErrorKind::Upstream, 502, sentence(error)))
}

/// An error status, with what comes of its body in time.
async fn refused(target: &Target<'_>, reply: Reply) -> Failure {
    let Target { worker, hop, encoded, .. } = *target;
    let status = reply.status.as_u16();
    let mut collected = Collected::default();
    let read = collected.read(reply.body, ERROR_BYTES_MAX);
    let whole = matches!(tokio::time::timeout(ERROR_BODY_WAIT, read).await, Ok(Ok(())));
    let mut body = collected.into_bytes();
    // A part says little, and could end inside of a credential, which would not be found then.
    let usable = (whole || is_json(&body)) && !coded(&reply.fields);
    if !usable {
        body = Bytes::new();
    }
    // Before parsing, which shortens long texts: it must not cut a credential in two.
    Secrets::of(&hop.model, &hop.policies).bytes(&mut body);
    let mut error = errors::parse(hop.model.dialect(), status, &body);
    encoded.tool_names.restore_text(&mut error.message);
    Failure {
        outcome: Outcome::Status,
        status,
        error: Box::new(error),
        retry_after: retry_after(&reply.fields, worker.shared.clock.unix_ms()),
        reply: Some(Box::new(UpstreamReply { fields: reply.fields, body })),
    }
}

/// The reply is held back until its first token is there.
async fn gate(
    target: &Target<'_>,
    reply: Reply,
    replies: &'static dyn Replies,
    started_us: u64,
) -> Result<Attempted, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let config = &worker.shared.config;
    let mut pump = Pump::new(hop, reply.body, replies, config.event_bytes_max)
        .stripping_usage(encoded.usage_added)
        .shaped(shape(call, hop));
    let (from, to) = (hop.model.dialect(), call.dialect());
    if from != to {
        let context = stream_context(worker, call, encoded);
        pump = pump.translating(StreamTranslator::new(from, to, context));
    }
    let (mut held, mut held_bytes, mut ended) = (Vec::new(), 0, false);
    let (mut tokens, mut error) = (0, None);
    loop {
        match poll_fn(|cx| pump.poll_step(cx)).await {
            Step::Events { error: Some(error), progress: false, .. } => {
                // The event is no body: it is printed anew.
                let said = UpstreamReply { fields: reply.fields, body: Bytes::new() };
                return Err(stream_error(worker, error, said));
            }
            Step::Events { bytes, progress, tokens: new, error: failed } => {
                held_bytes += bytes.len();
                held.push(bytes);
                tokens += new;
                error = failed;
                if progress || held_bytes > config.gate_bytes_max {
                    break;
                }
            }
            Step::Ended { bytes } => {
                held.push(bytes);
                ended = true;
                break;
            }
            Step::Failed(broken) => {
                return Err(early_break(&broken));
            }
        }
    }
    let mut losses = encoded.losses.clone();
    let request_losses = losses.len();
    losses.extend_from_slice(pump.losses());
    Ok(Attempted::Stream(Box::new(Stream {
        fields: reply.fields,
        pump,
        held,
        tokens,
        ended,
        error,
        losses,
        request_losses,
        started_us,
    })))
}

/// A stream that broke before its first token.
fn early_break(broken: &Break) -> Failure {
    let outcome = match broken {
        Break::Reset(_) => Outcome::Reset,
        Break::TooLarge(_) => Outcome::TooLarge,
        Break::Cut | Break::Malformed(_) | Break::Empty => Outcome::Malformed,
    };
    let (_, message) = broken.describe();
    Failure::silent(outcome, view(ErrorKind::Upstream, 502, message))
}

async fn whole(target: &Target<'_>, reply: Reply, started_us: u64) -> Result<Attempted, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let body = collect(reply.body, worker.shared.config.reply_bytes_max).await;
    let body = body.map_err(|(outcome, message)| {
        Failure::silent(outcome, view(ErrorKind::Upstream, 502, message))
    })?;
    let mut observer = None;
    if let Some(replies) = encoded.exchange.replies {
        let seen = observer.insert(Observer::new(replies));
        if let Err(malformed) = seen.reply(&body) {
            let said = UpstreamReply { fields: reply.fields, body };
            return Err(not_a_reply(target, &malformed, said));
        }
    }
    let mut finish_reason =
        observer.as_ref().and_then(|seen| seen.finish_reason().map(str::to_owned));
    let (from, to) = (hop.model.dialect(), call.dialect());
    let mut losses = encoded.losses.clone();
    let body = if from == to {
        body
    } else {
        let request_id = reply_id();
        let context = ReplyContext {
            model: &call.model,
            request_id: &request_id,
            tool_names: &encoded.tool_names,
            created_s: worker.shared.clock.unix_ms() / 1000,
        };
        let done = translate::reply(from, to, &body, &context).map_err(|error| {
            let message = format!("{}: {}", error.field, error.message);
            Failure::silent(Outcome::Malformed, view(ErrorKind::Upstream, 502, message))
        })?;
        losses.extend(done.losses);
        finish_reason = Some(done.finish_reason.to_owned());
        done.body.into()
    };
    let shape = shape(call, hop);
    let altered = from != to || shape.is_some();
    let body = match shape {
        Some(shape) => shape.reply(body),
        None => body,
    };
    Ok(Attempted::Whole(Box::new(Whole {
        model: hop.model.clone(),
        status: 200,
        fields: reply.fields,
        body,
        altered,
        losses,
        observer,
        finish_reason,
        error: None,
        started_us,
    })))
}

/// How a chat reply must look, when its caller has said so.
fn shape(call: &Call, hop: &Hop) -> Option<Shape> {
    let strict = call.wishes.strict_openai.filter(|_| call.exchange.reshapes)?;
    Some(match strict {
        true => Shape::Strict,
        false => Shape::Extended { provider: hop.model.upstream.provider.name.as_str() },
    })
}

fn not_a_reply(target: &Target<'_>, malformed: &Malformed, said: UpstreamReply) -> Failure {
    match malformed {
        Malformed::Error(_) => {
            let error = errors::parse(target.hop.model.dialect(), 200, &said.body);
            stream_error(target.worker, error, said)
        }
        Malformed::Json(_) | Malformed::Missing { .. } | Malformed::Empty => {
            let message = malformed.to_string();
            Failure::silent(Outcome::Malformed, view(ErrorKind::Upstream, 502, message))
        }
    }
}

/// An error that came with status 200. `said` may have no body, which is printed anew then.
fn stream_error(worker: &Worker, mut error: ErrorView, said: UpstreamReply) -> Failure {
    error.status = meant_status(&error);
    Failure {
        outcome: Outcome::StreamError,
        status: error.status,
        error: Box::new(error),
        retry_after: retry_after(&said.fields, worker.shared.clock.unix_ms()),
        reply: Some(Box::new(said)),
    }
}

/// Whether an error event speaks against its target, as the status would that it stands for.
pub(crate) fn error_blames_target(error: &ErrorView) -> bool {
    status_blames_target(meant_status(error))
}

/// The status that an error would have had, had it come before 200.
fn meant_status(error: &ErrorView) -> u16 {
    match (error.kind, error.status) {
        // Some name the status that they did not send.
        (_, named) if named != 502 => named,
        (ErrorKind::RateLimited | ErrorKind::Billing, _) => 429,
        (ErrorKind::Overloaded, _) => 529,
        (ErrorKind::Authentication, _) => 401,
        (ErrorKind::Permission, _) => 403,
        (ErrorKind::NotFound, _) => 404,
        (ErrorKind::Conflict, _) => 409,
        (ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter, _) => 400,
        (ErrorKind::TooLarge, _) => 413,
        (ErrorKind::Timeout, _) => 504,
        (ErrorKind::Upstream | ErrorKind::Internal, _) => 502,
    }
}

/// The upstream's error for the caller: its own bytes within one dialect, else printed anew.
pub(super) fn upstream_error(
    call: &Call,
    hop: &Hop,
    error: &ErrorView,
    reply: UpstreamReply,
) -> Whole {
    let dialect = call.dialect();
    let same = dialect == hop.model.dialect() && !reply.body.is_empty();
    let body = if same && is_json(&reply.body) {
        reply.body
    } else {
        errors::print_body(dialect, error).into()
    };
    Whole {
        model: hop.model.clone(),
        status: errors::status_for(dialect, error),
        fields: reply.fields,
        body,
        // Perhaps by stars only, in place of a credential.
        altered: true,
        losses: Vec::new(),
        observer: None,
        finish_reason: None,
        error: Some(error.message.clone()),
        started_us: 0,
    }
}

fn is_json(body: &[u8]) -> bool {
    gantry_llm::scan::scan(body).is_ok()
}

/// Whether a body is compressed, although Gantry asks for none that is.
fn coded(fields: &Fields) -> bool {
    let coding = fields.get(header::CONTENT_ENCODING.as_str());
    coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// The whole body, or why there is none.
async fn collect(body: ReplyBody, limit: usize) -> Result<Bytes, (Outcome, String)> {
    let mut collected = Collected::default();
    collected.read(body, limit).await?;
    Ok(collected.into_bytes())
}

/// What came of a body so far; one piece is kept as it came.
#[derive(Default)]
struct Collected {
    first: Option<Bytes>,
    all: BytesMut,
}

impl Collected {
    async fn read(&mut self, mut body: ReplyBody, limit: usize) -> Result<(), (Outcome, String)> {
        let failed =
            |error| (Outcome::Reset, format!("the upstream's reply broke: {}", sentence(&error)));
        while let Some(data) = body.piece().await.map_err(failed)? {
            if self.all.len() + self.first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
                let message = format!("the upstream's reply is larger than {limit} bytes");
                return Err((Outcome::TooLarge, message));
            }
            match self.first.take() {
                None if self.all.is_empty() => self.first = Some(data),
                None => self.all.extend_from_slice(&data),
                Some(begun) => {
                    self.all.extend_from_slice(&begun);
                    self.all.extend_from_slice(&data);
                }
            }
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        self.first.unwrap_or_else(|| self.all.freeze())
    }
}

fn stream_context(worker: &Worker, call: &Call, encoded: &Encoded) -> StreamContext {
    StreamContext {
        model: call.model.clone(),
        request_id: reply_id(),
        created_s: worker.shared.clock.unix_ms() / 1000,
        include_usage: call.include_usage,
        tool_names: encoded.tool_names.clone(),
    }
}

/// What the ids of a translated reply are made of.
fn reply_id() -> String {
    format!("{:016x}", gantry_runtime::ids::fast_random_u64())
}

pub(super) fn view(kind: ErrorKind, status: u16, message: String) -> ErrorView {
    let request_id = String::new();
    ErrorView { status, kind, code: None, param: None, message, request_id }
}
