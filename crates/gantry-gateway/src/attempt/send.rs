//! One attempt: sign, send, wait for the reply's beginning, judge it.

use super::broken::Break;
use super::collect::Collected;
use super::encode::{Encoded, request_head};
use super::failure::{Failure, Outcome, UpstreamReply, retry_after, status_blames_target};
use super::limit::Limit;
use super::patience::within;
use super::print::{Order, Printer};
use super::pump::{Fittings, Framer, Pump, Step};
use super::reply::{End, Frames, Gated, Head, Reply};
use super::scrub::Secrets;
use super::sign::{Unsigned, sign};
use super::{Begin, Target};
use crate::decode::Call;
use crate::route::Hop;
use crate::shared::Worker;
use bytes::Bytes;
use gantry_http::http1::Fields;
use gantry_http::pool;
use gantry_llm::errors::{self, ErrorKind, ErrorView};
use gantry_llm::observe::Unread;
use gantry_llm::shape::Shape;
use gantry_llm::sse::Splitter;
use gantry_llm::stream::StreamContext;
use gantry_runtime::errors::sentence;
use http::{Method, header};
use std::future::poll_fn;
use std::time::Duration;

/// Largest error reply that is read.
const ERROR_BYTES_MAX: usize = 1024 * 1024;

/// Longest wait for the body of an error, whose status has said the most: official APIs send both
/// at once.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(2);

/// Sends the call and waits until its reply can be given to the caller.
pub(super) async fn send(target: &Target<'_>, begin: Begin) -> Result<Box<Reply>, Failure> {
    let (call, config) = (target.call, &target.worker.shared.config);
    let limit = Limit::of(call.stream, &call.wishes, config, begin.left);
    let patience = begin.patience;
    // It outlives the wait, for what came of a reply is to be counted.
    let mut slot = None;
    let exchange = exchange(target, begin, &mut slot);
    let done = within(limit.time, patience, target.worker, exchange).await;
    let mut done = done.unwrap_or_else(|| {
        let error = view(ErrorKind::Timeout, limit.status, limit.message());
        Err(Failure { hurried: limit.hurried, ..Failure::silent(limit.outcome, error) })
    });
    if let Err(failure) = &mut done {
        failure.seen = slot.filter(|pump| pump.metered).map(|pump| Box::new(pump.into_seen()));
    }
    done
}

async fn exchange(
    target: &Target<'_>,
    begin: Begin,
    slot: &mut Option<Pump>,
) -> Result<Box<Reply>, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let mut head = request_head(call, hop, encoded, begin.span.as_ref());
    let unsigned = Unsigned {
        method: &Method::POST,
        path: encoded.path.as_str(),
        body: &encoded.body,
        now_ms: begin.now_ms,
    };
    sign(hop, &unsigned, &mut head);
    let request = head.with_body(encoded.body.clone());
    let reply = worker
        .pool
        .send(&hop.model.upstream.endpoint, &request, begin.now_us, &target.begun)
        .await
        .map_err(|error| broken(&error))?;
    if !reply.status.is_success() {
        return Err(refused(target, reply).await);
    }
    gate(target, reply, begin.now_us, slot).await
}

/// No reply at all. Its addresses are for whoever runs the gateway.
fn broken(error: &pool::Error) -> Failure {
    let (outcome, public) = match error {
        pool::Error::Connect(_) => (Outcome::Connect, "the upstream could not be reached"),
        pool::Error::Broken { .. } => (Outcome::Reset, "the upstream broke the connection"),
    };
    let error_view = view(ErrorKind::Upstream, 502, public.to_owned());
    Failure { detail: sentence(error), ..Failure::silent(outcome, error_view) }
}

/// An error status, with what comes of its body in time.
async fn refused(target: &Target<'_>, mut reply: pool::Reply) -> Failure {
    let Target { worker, hop, encoded, .. } = *target;
    let status = reply.status.as_u16();
    let mut collected = Collected::default();
    let read = poll_fn(|cx| collected.poll_whole(&mut reply.body, ERROR_BYTES_MAX, cx));
    let whole = matches!(tokio::time::timeout(ERROR_BODY_WAIT, read).await, Ok(Ok(())));
    let mut body = collected.take();
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
        status,
        retry_after: retry_after(&reply.fields, worker.shared.clock.unix_ms()),
        reply: Some(Box::new(UpstreamReply {
            fields: reply.fields,
            body,
            came_with: Some(status),
        })),
        ..Failure::silent(Outcome::Status, error)
    }
}

/// The reply is judged and held back until its first token, or all of a whole one, is there.
async fn gate(
    target: &Target<'_>,
    reply: pool::Reply,
    started_us: u64,
    slot: &mut Option<Pump>,
) -> Result<Box<Reply>, Failure> {
    let Target { worker, call, hop, encoded, .. } = *target;
    let config = &worker.shared.config;
    let fields = reply.fields;
    let pump = slot.insert(Pump::new(hop, reply.body, fittings(target)));
    let (mut held, mut held_bytes, mut tokens) = (Held::default(), 0, 0);
    let end = loop {
        match poll_fn(|cx| pump.poll_step(cx)).await {
            Step::Events { bytes, error: Some(told), progress: false, .. } => {
                // An event is no body: it is printed anew.
                let body = if call.stream { Bytes::new() } else { bytes };
                return Err(stream_error(
                    worker,
                    told.view,
                    UpstreamReply { fields, body, came_with: None },
                ));
            }
            Step::Events { bytes, progress, tokens: new, error } => {
                held_bytes += bytes.len();
                held.add(bytes);
                tokens += new;
                match error {
                    Some(error) => break End::Error(error),
                    None if progress || held_bytes > config.gate_bytes_max => break End::Open,
                    None => {}
                }
            }
            Step::Ended { bytes } => {
                held.add(bytes);
                break End::Ended;
            }
            Step::Blocked(why) => break End::Blocked(why),
            Step::Failed(broken) => return Err(early_break(&broken)),
        }
    };
    let mut losses = encoded.losses.clone();
    let request_losses = losses.len();
    losses.extend_from_slice(pump.losses());
    let head = Head {
        model: hop.model.clone(),
        status: 200,
        fields,
        altered: pump.alters(),
        losses,
        request_losses,
        started_us,
    };
    let Held { first, more } = held;
    // It was put there above.
    let Some(pump) = slot.take() else { return Err(early_break(&Break::Empty)) };
    let gated = Gated { pump, stream: call.stream, first, more, tokens, end };
    Ok(Box::new(Reply { head, frames: Frames::Gated(gated) }))
}

/// Frames that wait for the gate. Most replies have one.
#[derive(Default)]
struct Held {
    first: Bytes,
    more: Vec<Bytes>,
}

impl Held {
    fn add(&mut self, bytes: Bytes) {
        match self.first.is_empty() {
            true => self.first = bytes,
            false => self.more.push(bytes),
        }
    }
}

/// What the reply's way out is made of.
fn fittings(target: &Target<'_>) -> Fittings {
    let Target { worker, call, hop, encoded, .. } = *target;
    let config = &worker.shared.config;
    // Only these have a neutral form, in which screens look.
    let spoken = call.exchange.elsewhere.meaning().is_some();
    let order = Order {
        from: hop.model.dialect(),
        to: call.dialect(),
        context: || stream_context(worker, call, encoded),
        screens: worker.shared.hooks.screens().filter(|_| spoken),
    };
    let replies = encoded.exchange.replies;
    let (framer, printer) = match call.stream {
        true => (Framer::Events(Splitter::new(config.event_bytes_max)), Printer::stream(order)),
        false => {
            (Framer::Whole(Collected::default(), config.reply_bytes_max), Printer::whole(order))
        }
    };
    Fittings {
        framer,
        replies: replies.unwrap_or(&Unread),
        metered: replies.is_some(),
        printer,
        strip_usage: encoded.usage_added,
        shape: shape(call, hop),
    }
}

/// A reply that broke before its first token.
fn early_break(broken: &Break) -> Failure {
    let outcome = match broken {
        Break::Reset(_) => Outcome::Reset,
        Break::TooLarge(_) => Outcome::TooLarge,
        Break::Cut | Break::Malformed(_) | Break::NoReply(_) | Break::Empty => Outcome::Malformed,
    };
    let (_, message) = broken.describe();
    Failure::silent(outcome, view(ErrorKind::Upstream, 502, message))
}

/// How a chat reply must look, when its caller has said so.
fn shape(call: &Call, hop: &Hop) -> Option<Shape> {
    let strict = call.wishes.strict_openai.filter(|_| call.exchange.reshapes)?;
    Some(match strict {
        true => Shape::Strict,
        false => Shape::Extended { provider: hop.model.upstream.provider.clone().into() },
    })
}

/// An error that came with status 200. `said` may have no body, which is printed anew then.
fn stream_error(worker: &Worker, mut error: ErrorView, said: UpstreamReply) -> Failure {
    error.status = meant_status(&error);
    Failure {
        status: error.status,
        retry_after: retry_after(&said.fields, worker.shared.clock.unix_ms()),
        reply: Some(Box::new(said)),
        ..Failure::silent(Outcome::StreamError, error)
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

/// The upstream's error for the caller: its own bytes where they are the caller's envelope, else
/// printed anew. Within one dialect the status is the upstream's own.
pub(super) fn upstream_error(
    call: &Call,
    hop: &Hop,
    error: &ErrorView,
    reply: UpstreamReply,
) -> Box<Reply> {
    let dialect = call.dialect();
    let UpstreamReply { fields, body, came_with } = reply;
    let same = dialect == hop.model.dialect();
    let body = match same && dialect.owns_error(&body) {
        true => body,
        false => errors::print_body(dialect, error).into(),
    };
    let head = Head {
        status: match came_with {
            Some(status @ 400..) if same => status,
            _ => errors::status_for(dialect, error),
        },
        fields,
        // Perhaps by stars only, in place of a credential.
        altered: true,
        ..Head::of(&hop.model)
    };
    Box::new(Reply { head, frames: Frames::Said { body, error: Some(error.message.clone()) } })
}

fn is_json(body: &[u8]) -> bool {
    gantry_llm::scan::scan(body).is_ok()
}

/// Whether a body is compressed, although Gantry asks for none that is.
fn coded(fields: &Fields) -> bool {
    let coding = fields.get(header::CONTENT_ENCODING.as_str());
    coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
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
