//! Responses to the caller: whole replies, streams and refusals, with Gantry's headers.

use crate::attempt::{Attempted, Stream, Whole};
use crate::body::ReplyBody;
use crate::decode::Call;
use crate::headers;
use crate::receive::Caller;
use crate::refusal::{Refusal, RefusalKind};
use crate::relay::Relay;
use crate::settle::{Ending, Ledger, Observed};
use crate::snapshot::Model;
use bytes::Bytes;
use gantry_llm::errors::{self, ErrorView};
use gantry_model::catalogue::Dialect;
use gantry_model::record::{Loss, LossKind};
use gantry_runtime::http1::Fields;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::borrow::Cow;
use std::time::Duration;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Longest `x-gantry-fidelity`; the record has the whole list.
const FIDELITY_CHARS_MAX: usize = 1024;

/// About what providers count for one image of a megapixel, or a page of a document.
const TOKENS_PER_ATTACHMENT: u64 = 1_000;

/// What the pipeline came to, before it is a response.
pub(crate) enum Answer {
    /// Gantry's own JSON.
    Local(Vec<u8>),
    Upstream(Answered),
}

/// An upstream's answer with what its relay needs of the call.
pub(crate) struct Answered {
    attempted: Attempted,
    prompt: Prompt,
}

/// The prompt, for an estimate of its tokens in case the upstream reports none.
pub(crate) enum Prompt {
    Body(Bytes),
    /// Larger bodies are counted at once, so that a stream does not keep them.
    Tokens(u64),
}

/// Bodies up to this size are kept for the length of a stream.
const KEPT_PROMPT_BYTES_MAX: usize = 32 * 1024;

impl Prompt {
    fn of(call: &Call) -> Self {
        if !call.stream {
            return Self::Body(call.body.clone());
        }
        if call.body.len() <= KEPT_PROMPT_BYTES_MAX {
            // A copy, since the original lies in a read buffer that is larger.
            return Self::Body(Bytes::copy_from_slice(&call.body));
        }
        Self::Tokens(prompt_tokens(call.caller.dialect(), &call.body))
    }

    /// Estimated tokens.
    pub(crate) fn tokens(&self, dialect: Dialect) -> u64 {
        match self {
            Self::Body(body) => prompt_tokens(dialect, body),
            Self::Tokens(tokens) => *tokens,
        }
    }
}

/// Estimated tokens of a prompt: its text, and a round number for each image and document.
pub(crate) fn prompt_tokens(dialect: Dialect, body: &[u8]) -> u64 {
    let size = gantry_llm::translate::prompt_text_bytes(dialect, body);
    let attached = (size.images + size.documents) as u64;
    gantry_model::estimate::prompt_tokens(size.text_bytes as u64, 1)
        .saturating_add(attached.saturating_mul(TOKENS_PER_ATTACHMENT))
}

impl Answer {
    pub(crate) fn upstream(call: &Call, attempted: Attempted) -> Self {
        Self::Upstream(Answered { attempted, prompt: Prompt::of(call) })
    }

    /// The response; it carries the ledger on, or settles it.
    pub(crate) fn into_response(self, ledger: Ledger) -> Response<ReplyBody> {
        match self {
            Self::Local(body) => local(body, ledger),
            Self::Upstream(answered) => match answered.attempted {
                Attempted::Whole(reply) => whole(*reply, &answered.prompt, ledger),
                Attempted::Stream(reply) => stream(*reply, answered.prompt, ledger),
            },
        }
    }
}

fn local(body: Vec<u8>, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.look();
    ledger.with(|record| record.response_bytes = body.len() as u64);
    let mut headers = HeaderMap::with_capacity(3);
    identify(&mut headers, &ledger);
    headers.insert(CONTENT_TYPE, JSON);
    ledger.settle(Ending::ok(200));
    respond(StatusCode::OK, headers, ReplyBody::whole(body))
}

/// What a browser may send. No record is left: nobody has asked for a model yet.
pub(crate) fn preflight(headers: HeaderMap) -> Response<ReplyBody> {
    respond(StatusCode::NO_CONTENT, headers, ReplyBody::Whole(None))
}

/// Gantry's own no, in the caller's envelope.
pub(crate) fn refuse(refusal: &Refusal, ledger: Ledger) -> Response<ReplyBody> {
    let view = ErrorView {
        status: refusal.kind.status(),
        kind: refusal.kind.error_kind(),
        code: Some(refusal.kind.name().to_owned()),
        param: None,
        message: refusal.public.clone(),
        request_id: ledger.id().to_string(),
    };
    let mut headers = HeaderMap::with_capacity(5);
    identify(&mut headers, &ledger);
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(wait) = refusal.retry_after {
        insert_wait(&mut headers, wait);
    }
    if let Some(method) = &refusal.allow {
        set(&mut headers, ALLOW, value(method.to_string()));
    }
    if refusal.kind == RefusalKind::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let status = StatusCode::from_u16(view.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = ReplyBody::whole(errors::print_body(ledger.caller.dialect(), &view));
    ledger.refuse(refusal);
    respond(status, headers, body)
}

fn whole(reply: Whole, prompt: &Prompt, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.resolved(&reply.model, &reply.losses);
    ledger.log_reply(&reply.body);
    let mut headers = carried(&reply.fields, &ledger);
    describe(&mut headers, &reply.model, &reply.losses, &ledger);
    headers.insert(CONTENT_TYPE, JSON);
    // The attempt has just ended and looked at the clock.
    let (now_us, elapsed_us) = (ledger.now_us(), ledger.elapsed_us());
    if let Some(seen) = &reply.observer {
        let spent = seen.usage().map(|usage| (elapsed_us, usage.output.max(1)));
        reply.model.health.measured(now_us, None, spent);
        ledger.observed(&Observed {
            usage: seen.usage(),
            usage_is_final: seen.usage_is_final(),
            usage_is_doubted: seen.usage_is_doubted(),
            output_bytes: seen.output_bytes(),
            prompt,
        });
        let finish_reason = reply.finish_reason.unwrap_or_default();
        ledger.with(|record| record.finish_reason = finish_reason);
    }
    timing(&mut headers, elapsed_us);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    match reply.error {
        None => ledger.settle(Ending::ok(reply.status)),
        Some(error) => {
            let ours = matches!(reply.status, 401 | 403 | 404 | 408 | 429) || reply.status >= 500;
            let fault = if ours { "upstream" } else { "caller" };
            ledger.settle(Ending { status: reply.status, refusal: "", fault, error });
        }
    }
    respond(status, headers, ReplyBody::whole(reply.body))
}

fn stream(reply: Stream, prompt: Prompt, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.resolved(&reply.pump.model, &reply.losses);
    let mut headers = carried(&reply.fields, &ledger);
    describe(&mut headers, &reply.pump.model, &reply.losses, &ledger);
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Some proxies in front would collect the stream otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let relay = Relay::new(reply, prompt, ledger);
    respond(StatusCode::OK, headers, ReplyBody::Relay(Box::new(relay)))
}

fn respond(status: StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The upstream's headers that mean something to the caller.
fn carried(upstream: &Fields, ledger: &Ledger) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(upstream.len() + 8);
    let of_several = ledger.applied.is_some();
    let (mut id, mut other_id) = (None, None);
    for field in upstream.iter() {
        let Some(name) = field.header_name() else { continue };
        if name == headers::REQUEST_ID {
            id = field.header_value();
        } else if name == headers::ANTHROPIC_REQUEST_ID {
            other_id = field.header_value();
        } else if keeps(&name, of_several)
            && let Some(value) = field.header_value()
        {
            headers.append(name, value);
        }
    }
    set(&mut headers, headers::UPSTREAM_REQUEST_ID, id.or(other_id));
    identify(&mut headers, ledger);
    headers
}

/// Rate-limit headers of one of several targets would mislead, so a virtual model keeps them back.
fn keeps(name: &HeaderName, of_several: bool) -> bool {
    let name = name.as_str();
    let kept_back = matches!(
        name,
        "alt-svc"
            | "connection"
            | "content-length"
            | "content-type"
            | "date"
            | "keep-alive"
            | "server"
            | "set-cookie"
            | "strict-transport-security"
            | "transfer-encoding"
    );
    // Which pages may read a reply is not the upstream's to say.
    let cors = name.starts_with("access-control-");
    let misleading = of_several && name.contains("ratelimit");
    !kept_back && !cors && !misleading
}

fn identify(headers: &mut HeaderMap, ledger: &Ledger) {
    let id = ledger.id().digits();
    let value = HeaderValue::from_bytes(&id).ok();
    if ledger.caller == Caller::Anthropic {
        set(headers, headers::ANTHROPIC_REQUEST_ID, value.clone());
    }
    set(headers, headers::REQUEST_ID, value);
}

/// What answered, by which rule, and what a translation lost.
fn describe(headers: &mut HeaderMap, model: &Model, losses: &[Loss], ledger: &Ledger) {
    set(headers, headers::RESOLVED_MODEL, model.id_header.clone());
    let applied = ledger.applied.as_ref().and_then(|model| model.applied.clone());
    set(headers, headers::APPLIED, applied);
    if !losses.is_empty() {
        set(headers, headers::FIDELITY, value(fidelity(losses)));
    }
}

fn fidelity(losses: &[Loss]) -> String {
    let mut text = String::new();
    for loss in losses {
        let verb = match loss.kind {
            LossKind::Dropped => "dropped",
            LossKind::Approximated => "approximated",
        };
        let item = format!("{verb} {}", in_header(&loss.field));
        if text.len() + item.len() > FIDELITY_CHARS_MAX {
            text.push_str("; and more");
            break;
        }
        let comma = if text.is_empty() { "" } else { "; " };
        text.push_str(comma);
        text.push_str(&item);
    }
    text
}

/// A caller's name for a field, of which a header can only show ASCII.
fn in_header(field: &str) -> Cow<'_, str> {
    let fits = |c: char| c == ' ' || c.is_ascii_graphic();
    if field.chars().all(fits) {
        return Cow::Borrowed(field);
    }
    Cow::Owned(field.chars().map(|c| if fits(c) { c } else { '?' }).collect())
}

/// `server-timing` (W3C): the whole time and Gantry's own part, in milliseconds.
fn timing(headers: &mut HeaderMap, elapsed_us: u64) {
    let mut text = String::with_capacity(32);
    text.push_str("total;dur=");
    text.push_str(itoa::Buffer::new().format(elapsed_us / 1000));
    set(headers, headers::SERVER_TIMING, value(text));
}

fn insert_wait(headers: &mut HeaderMap, wait: Duration) {
    set(headers, headers::RETRY_AFTER_MS, value(wait.as_millis().to_string()));
    let seconds = wait.as_millis().div_ceil(1000);
    set(headers, RETRY_AFTER, value(seconds.to_string()));
}

/// Sets a header that has a value.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
