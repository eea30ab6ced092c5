//! One attempt: send, wait for the reply's beginning, judge it.

use super::encode::request_head;
use super::failure::{Failure, Outcome, UpstreamReply, retry_after};
use super::pump::{Break, Pump, Step};
use super::scrub::Secrets;
use super::{Attempted, Stream, Target, Whole};
use crate::decode::Call;
use crate::gateway::Worker;
use crate::route::Hop;
use bytes::{Bytes, BytesMut};
use gantry_llm::errors::{self, ErrorKind, ErrorView};
use gantry_llm::observe::{Malformed, Observer, Wire};
use gantry_llm::shape::Shape;
use gantry_llm::stream::{StreamContext, StreamTranslator};
use gantry_llm::translate::{self, ReplyContext};
use gantry_providers::pool::{self, Reply, ReplyBody};
use gantry_providers::upstream::Operation;
use gantry_runtime::errors::sentence;
use http::HeaderValue;
use std::future::poll_fn;
use std::time::Duration;

/// Largest error reply that is read.
const ERROR_BYTES_MAX: usize = 1024 * 1024;

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
    let head = request_head(call, hop, &encoded.path, span.as_ref());
    let request = head.with_body(encoded.body.clone());
    let reply = worker
        .pool
        .send(&hop.model.upstream.endpoint, &request, started_us, &target.begun)
        .await
        .map_err(|error| broken(&error))?;
    if !reply.status.is_success() {
        return Err(refused(worker, hop, reply).await);
    }
    if call.stream {
        return gate(target, reply, started_us).await;
    }
    whole(target, reply).await
}

fn broken(error: &pool::Error) -> Failure {
    let outcome = match error {
        pool::Error::Connect(_) => Outcome::Connect,
        pool::Error::Broken { .. } => Outcome::Reset,
    };
    Failure::silent(outcome, view(ErrorKind::Upstream, 502, sentence(error)))
}

/// An error status, with its body.
async fn refused(worker: &Worker, hop: &Hop, reply: Reply) -> Failure {
    let status = reply.status.as_u16();
    let mut body = collect(reply.body, ERROR_BYTES_MAX).await.unwrap_or_default();
    // Before parsing, which shortens long texts: it must not cut a credential in two.
    Secrets::of(&hop.model, &hop.policies).bytes(&mut body);
    Failure {
        outcome: Outcome::Status,
        status,
        error: Box::new(errors::parse(hop.model.dialect(), status, &body)),
        retry_after: retry_after(&reply.fields, worker.shared.clock.unix_ms()),
        reply: Some(Box::new(UpstreamReply { fields: reply.fields, body })),
    }
}

/// The reply is held back until its first token is there.
async fn gate(target: &Target<'_>, reply: Reply, started_us: u64) -> Result<Attempted, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let config = &worker.shared.config;
    let mut pump = Pump::new(hop, reply.body, wire(encoded.operation), config.event_bytes_max)
        .stripping_usage(encoded.usage_added)
        .shaped(shape(call, hop));
    let (from, to) = (hop.model.dialect(), call.caller.dialect());
    if from != to {
        pump = pump.translating(StreamTranslator::new(from, to, stream_context(worker, call)));
    }
    let (mut held, mut held_bytes, mut ended) = (Vec::new(), 0, false);
    let (mut tokens, mut error) = (0, None);
    loop {
        match poll_fn(|cx| pump.poll_step(cx)).await {
            Step::Events { error: Some(error), progress: false, .. } => {
                return Err(stream_error(error));
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

async fn whole(target: &Target<'_>, reply: Reply) -> Result<Attempted, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let body = collect(reply.body, worker.shared.config.reply_bytes_max).await;
    let body = body.map_err(|(outcome, message)| {
        Failure::silent(outcome, view(ErrorKind::Upstream, 502, message))
    })?;
    let mut observer = None;
    if encoded.operation != Operation::CountTokens {
        let seen = observer.insert(Observer::new(wire(encoded.operation)));
        seen.reply(&body).map_err(|malformed| not_a_reply(hop, &malformed, &body))?;
    }
    let mut finish_reason =
        observer.as_ref().and_then(|seen| seen.finish_reason().map(str::to_owned));
    let (from, to) = (hop.model.dialect(), call.caller.dialect());
    let mut losses = encoded.losses.clone();
    let body = if from == to {
        body
    } else {
        let request_id = reply_id();
        let context = ReplyContext {
            model: &call.model,
            request_id: &request_id,
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
    let body = match shape(call, hop) {
        Some(shape) => shape.reply(body),
        None => body,
    };
    Ok(Attempted::Whole(Box::new(Whole {
        model: hop.model.clone(),
        status: 200,
        fields: reply.fields,
        body,
        losses,
        observer,
        finish_reason,
        error: None,
    })))
}

/// How a chat reply must look, when its caller has said so.
fn shape(call: &Call, hop: &Hop) -> Option<Shape> {
    let strict = call.wishes.strict_openai.filter(|_| call.operation == Operation::Chat)?;
    Some(match strict {
        true => Shape::Strict,
        false => Shape::Extended { provider: hop.model.upstream.provider.name.as_str() },
    })
}

fn not_a_reply(hop: &Hop, malformed: &Malformed, body: &[u8]) -> Failure {
    match malformed {
        Malformed::Error(_) => stream_error(errors::parse(hop.model.dialect(), 500, body)),
        Malformed::Json(_) | Malformed::Missing { .. } | Malformed::Empty => {
            let message = malformed.to_string();
            Failure::silent(Outcome::Malformed, view(ErrorKind::Upstream, 502, message))
        }
    }
}

/// An error that came with status 200.
fn stream_error(error: ErrorView) -> Failure {
    let status = match error.kind {
        ErrorKind::RateLimited | ErrorKind::Billing => 429,
        ErrorKind::Overloaded => 529,
        ErrorKind::Authentication => 401,
        ErrorKind::Permission => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::InvalidRequest
        | ErrorKind::ContextLength
        | ErrorKind::ContentFilter
        | ErrorKind::Conflict => 400,
        ErrorKind::TooLarge => 413,
        ErrorKind::Timeout => 504,
        ErrorKind::Upstream | ErrorKind::Internal => 502,
    };
    let error = Box::new(error);
    Failure { outcome: Outcome::StreamError, status, error, reply: None, retry_after: None }
}

/// The upstream's error for the caller: its own bytes within one dialect, else printed anew.
pub(super) fn upstream_error(
    call: &Call,
    hop: &Hop,
    error: &ErrorView,
    reply: UpstreamReply,
) -> Whole {
    let dialect = call.caller.dialect();
    let same = dialect == hop.model.dialect() && !reply.body.is_empty();
    let is_json = gantry_llm::scan::scan(&reply.body).is_ok();
    let body = if same && is_json { reply.body } else { errors::print_body(dialect, error).into() };
    Whole {
        model: hop.model.clone(),
        status: errors::status_for(dialect, error),
        fields: reply.fields,
        body,
        losses: Vec::new(),
        observer: None,
        finish_reason: None,
        error: Some(error.message.clone()),
    }
}

/// The whole body, or why there is none.
async fn collect(mut body: ReplyBody, limit: usize) -> Result<Bytes, (Outcome, String)> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let failed =
        |error| (Outcome::Reset, format!("the upstream's reply broke: {}", sentence(&error)));
    while let Some(data) = body.piece().await.map_err(failed)? {
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            let message = format!("the upstream's reply is larger than {limit} bytes");
            return Err((Outcome::TooLarge, message));
        }
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(begun) => {
                all.extend_from_slice(&begun);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

fn wire(operation: Operation) -> Wire {
    match operation {
        Operation::Chat => Wire::Chat,
        Operation::Completion => Wire::Completion,
        Operation::Embedding => Wire::Embedding,
        Operation::Messages | Operation::CountTokens => Wire::Messages,
    }
}

fn stream_context(worker: &Worker, call: &Call) -> StreamContext {
    StreamContext {
        model: call.model.clone(),
        request_id: reply_id(),
        created_s: worker.shared.clock.unix_ms() / 1000,
        include_usage: call.include_usage,
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
