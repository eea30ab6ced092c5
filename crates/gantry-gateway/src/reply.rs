//! Responses to the caller: whole replies, streams and refusals, with Gantry's headers.

use crate::attempt::{Attempted, Stream, Whole};
use crate::body::ReplyBody;
use crate::decode::Call;
use crate::headers::{self, ConnectionOptions};
use crate::prompt::Prompt;
use crate::refusal::{Refusal, RefusalKind};
use crate::relay::Relay;
use crate::settle::{Ending, Ledger, Observed};
use crate::snapshot::Model;
use gantry_http::http1::{Field, FieldLines, Fields, LOWERED_BYTES};
use gantry_http::server::Response;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorView};
use gantry_model::record::{Loss, LossKind};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use std::borrow::Cow;
use std::time::Duration;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Room for the header fields of a usual reply.
const USUAL_BYTES: usize = 512;

/// Longest `x-gantry-fidelity`; the record has the whole list.
const FIDELITY_CHARS_MAX: usize = 1024;

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
    let mut lines = FieldLines::with_capacity(USUAL_BYTES);
    identify(&mut lines, &ledger);
    lines.field(&CONTENT_TYPE, &JSON);
    ledger.settle(Ending::ok(200));
    Response::new(StatusCode::OK, lines, ReplyBody::whole(body))
}

/// What a browser may send. No record is left: nobody has asked for a model yet.
pub(crate) fn preflight(lines: FieldLines) -> Response<ReplyBody> {
    Response::new(StatusCode::NO_CONTENT, lines, ReplyBody::Whole(None))
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
    let mut lines = FieldLines::with_capacity(USUAL_BYTES);
    identify(&mut lines, &ledger);
    lines.field(&CONTENT_TYPE, &JSON);
    if let Some(wait) = refusal.retry_after {
        print_wait(&mut lines, wait);
    }
    if let Some(methods) = &refusal.allow {
        lines.line(ALLOW.as_str().as_bytes(), methods.as_bytes());
    }
    if refusal.kind == RefusalKind::Unauthenticated {
        lines.field(&WWW_AUTHENTICATE, &HeaderValue::from_static("Bearer"));
    }
    let status = StatusCode::from_u16(view.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = ReplyBody::whole(errors::print_body(ledger.api.dialect, &view));
    ledger.refuse(refusal);
    Response::new(status, lines, body)
}

fn whole(reply: Whole, prompt: &Prompt, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.resolved(&reply.model, &reply.losses);
    ledger.log_reply(&reply.body);
    let mut lines = carried(Sent::of(&reply.fields, &reply.model, reply.altered), &ledger);
    describe(&mut lines, &reply.model, &reply.losses, &ledger);
    lines.field(&CONTENT_TYPE, &JSON);
    // The attempt has just ended and looked at the clock.
    let (now_us, elapsed_us) = (ledger.now_us(), ledger.elapsed_us());
    if let Some(seen) = &reply.observer {
        // Earlier targets, pauses and the caller's upload are not this target's time.
        let spent_us = now_us.saturating_sub(reply.started_us);
        let spent = seen.usage().map(|usage| (spent_us, usage.output.max(1)));
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
    timing(&mut lines, elapsed_us);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    match reply.error {
        None => ledger.settle(Ending::ok(reply.status)),
        Some(error) => {
            let ours = matches!(reply.status, 401 | 403 | 404 | 408 | 429) || reply.status >= 500;
            let fault = if ours { "upstream" } else { "caller" };
            ledger.settle(Ending { status: reply.status, refusal: "", fault, error });
        }
    }
    Response::new(status, lines, ReplyBody::whole(reply.body))
}

fn stream(reply: Stream, prompt: Prompt, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.resolved(&reply.pump.model, &reply.losses);
    let mut lines =
        carried(Sent::of(&reply.fields, &reply.pump.model, reply.pump.alters()), &ledger);
    describe(&mut lines, &reply.pump.model, &reply.losses, &ledger);
    lines.field(&CONTENT_TYPE, &EVENT_STREAM);
    if !reply.fields.contains(CACHE_CONTROL.as_str()) {
        lines.field(&CACHE_CONTROL, &HeaderValue::from_static("no-cache"));
    }
    // Some proxies in front would collect the stream otherwise.
    lines.line(b"x-accel-buffering", b"no");
    let relay = Relay::new(reply, prompt, ledger);
    Response::new(StatusCode::OK, lines, ReplyBody::Relay(Box::new(relay)))
}

/// What an upstream sent beside the body.
struct Sent<'a> {
    fields: &'a Fields,
    dialect: &'static dyn Dialect,
    /// The body's bytes are not the upstream's.
    altered: bool,
}

impl<'a> Sent<'a> {
    fn of(fields: &'a Fields, model: &Model, altered: bool) -> Self {
        Self { fields, dialect: model.dialect(), altered }
    }
}

/// The upstream's headers that mean something to the caller.
fn carried(sent: Sent<'_>, ledger: &Ledger) -> FieldLines {
    let Sent { fields: upstream, dialect, altered } = sent;
    let options = ConnectionOptions::of(upstream);
    let mut lines = FieldLines::with_capacity(USUAL_BYTES);
    let of_several = ledger.applied.is_some();
    let (mut id, mut other_id) = (None, None);
    for field in upstream.iter() {
        if field.is(headers::REQUEST_ID) {
            id = Some(field.value());
        } else if field.is(headers::ANTHROPIC_REQUEST_ID) {
            other_id = Some(field.value());
        } else if keeps(field, dialect, of_several)
            && !(altered && is_of_bytes(field))
            && !options.name(field)
        {
            lines.line(field.name(), field.value());
        }
    }
    if let Some(id) = id.or(other_id) {
        lines.line(headers::UPSTREAM_REQUEST_ID.as_bytes(), id);
    }
    identify(&mut lines, ledger);
    lines
}

/// Only what the upstream's dialect lists is carried: an upstream says much that a caller of
/// Gantry must not hear (cookies, reporting endpoints, names of accounts). Rate limits of one of
/// several targets would mislead, so a virtual model keeps them back.
fn keeps(field: Field<'_>, dialect: &dyn Dialect, of_several: bool) -> bool {
    let mut room = [0; LOWERED_BYTES];
    let name = field.lowered(&mut room);
    dialect.carries_reply_header(name) && !(of_several && names_a_rate_limit(name))
}

/// Whether a field holds for the very bytes of a body.
fn is_of_bytes(field: Field<'_>) -> bool {
    ["content-md5", "content-digest", "repr-digest", "digest", "etag"]
        .iter()
        .any(|name| field.is(name))
}

fn names_a_rate_limit(name: &[u8]) -> bool {
    const WORD: &[u8] = b"ratelimit";
    name.windows(WORD.len()).any(|part| part == WORD)
}

fn identify(lines: &mut FieldLines, ledger: &Ledger) {
    let id = ledger.id().digits();
    if let Some(name) = ledger.api.dialect.request_id_header() {
        lines.line(name.as_bytes(), &id);
    }
    lines.line(headers::REQUEST_ID.as_bytes(), &id);
}

/// What answered, by which rule, and what a translation lost.
fn describe(lines: &mut FieldLines, model: &Model, losses: &[Loss], ledger: &Ledger) {
    if let Some(id) = &model.id_header {
        lines.line(headers::RESOLVED_MODEL.as_bytes(), id.as_bytes());
    }
    if let Some(applied) = ledger.applied.as_ref().and_then(|model| model.applied.as_ref()) {
        lines.line(headers::APPLIED.as_bytes(), applied.as_bytes());
    }
    if !losses.is_empty() {
        lines.line(headers::FIDELITY.as_bytes(), fidelity(losses).as_bytes());
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

/// `server-timing` (W3C): the whole time in milliseconds.
fn timing(lines: &mut FieldLines, elapsed_us: u64) {
    let mut text = String::with_capacity(32);
    text.push_str("total;dur=");
    text.push_str(itoa::Buffer::new().format(elapsed_us / 1000));
    lines.line(headers::SERVER_TIMING.as_bytes(), text.as_bytes());
}

fn print_wait(lines: &mut FieldLines, wait: Duration) {
    let ms = wait.as_millis();
    let names = [(headers::RETRY_AFTER_MS, ms), (RETRY_AFTER.as_str(), ms.div_ceil(1000))];
    for (name, number) in names {
        lines.line(name.as_bytes(), number.to_string().as_bytes());
    }
}
