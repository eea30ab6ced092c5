//! Responses to the caller: whole replies, streams and refusals, with Gantry's headers.

use crate::attempt::{Frames, Gated, Head, Reply};
use crate::body::ReplyBody;
use crate::decode::Call;
use crate::headers::{self, ConnectionOptions};
use crate::prompt::Prompt;
use crate::refusal::{Refusal, RefusalKind};
use crate::relay::{Inflow, Out, Relay, relay};
use crate::settle::{Ending, Fact, Ledger};
use crate::snapshot::Model;
use bytes::Bytes;
use gantry_http::http1::{Field, FieldLines, Fields, LOWERED_BYTES};
use gantry_http::server::Response;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorView};
use gantry_model::ids::RequestId;
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
    reply: Box<Reply>,
    prompt: Prompt,
}

/// What the stages came to, with the request's ledger.
pub(crate) struct Done {
    pub(crate) answered: Result<Answer, Refusal>,
    pub(crate) ledger: Ledger,
}

/// What follows on a head that went out before the reply was there.
pub(crate) enum Rest {
    Relay(Box<Relay>),
    /// The last bytes of all.
    Last(Bytes),
}

/// Whose reply it is, without a ledger.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    id: RequestId,
    dialect: &'static dyn Dialect,
}

impl Caller {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        Self { id: ledger.id(), dialect: ledger.api.dialect }
    }

    /// An error as the last event of a stream.
    pub(crate) fn error_event(&self, mut view: ErrorView) -> Bytes {
        view.request_id = self.id.to_string();
        errors::print_event(self.dialect, &view).into()
    }

    /// The head of a stream of which nothing is known yet.
    pub(crate) fn early_head(&self) -> FieldLines {
        let mut lines = FieldLines::with_capacity(USUAL_BYTES);
        identify(&mut lines, self);
        print_kind(&mut lines, true, &Fields::default());
        lines
    }
}

impl Done {
    /// The response; it carries the ledger on, or settles it.
    pub(crate) fn into_response(self) -> Response<ReplyBody> {
        match self.answered {
            Ok(answer) => answer.into_response(self.ledger),
            Err(refusal) => refuse(&refusal, self.ledger),
        }
    }

    /// What is left to send of a stream whose head has gone out.
    pub(crate) fn into_rest(self) -> Rest {
        match self.answered {
            Ok(Answer::Upstream(answered)) => rest(answered, self.ledger),
            // Gantry's own answers wait for nobody.
            Ok(Answer::Local(body)) => Rest::Last(body.into()),
            Err(refusal) => refuse_late(&refusal, self.ledger),
        }
    }
}

impl Answer {
    pub(crate) async fn upstream(call: &Call, reply: Box<Reply>) -> Self {
        Self::Upstream(Answered { reply, prompt: Prompt::of(call).await })
    }

    fn into_response(self, ledger: Ledger) -> Response<ReplyBody> {
        match self {
            Self::Local(body) => local(body, ledger),
            Self::Upstream(Answered { reply, prompt }) => upstream(*reply, prompt, ledger),
        }
    }
}

fn local(body: Vec<u8>, mut ledger: Ledger) -> Response<ReplyBody> {
    ledger.look();
    ledger.note(Fact::Replied { bytes: body.len() as u64, body: None });
    let mut lines = FieldLines::with_capacity(USUAL_BYTES);
    identify(&mut lines, &Caller::of(&ledger));
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
    let view = view(refusal, &ledger);
    let mut lines = FieldLines::with_capacity(USUAL_BYTES);
    identify(&mut lines, &Caller::of(&ledger));
    lines.field(&CONTENT_TYPE, &JSON);
    if let Some(wait) = refusal.retry_after {
        print_wait(&mut lines, wait);
    }
    if refusal.is_final() {
        lines.line(headers::SHOULD_RETRY.as_bytes(), b"false");
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

fn view(refusal: &Refusal, ledger: &Ledger) -> ErrorView {
    ErrorView {
        status: refusal.kind.status(),
        kind: refusal.kind.error_kind(),
        code: Some(refusal.kind.name().to_owned()),
        param: None,
        message: refusal.public.clone(),
        request_id: ledger.id().to_string(),
    }
}

/// Gantry's own no behind a head that said 200.
fn refuse_late(refusal: &Refusal, mut ledger: Ledger) -> Rest {
    let event = Caller::of(&ledger).error_event(view(refusal, &ledger));
    ledger.note(Fact::Replied { bytes: event.len() as u64, body: ledger.logged(&event) });
    ledger.refuse_late(refusal);
    Rest::Last(event)
}

/// An upstream's answer behind a head that said 200.
fn rest(answered: Answered, mut ledger: Ledger) -> Rest {
    let Answered { reply, prompt } = answered;
    let Reply { head, frames } = *reply;
    resolved(&head, &prompt, &mut ledger);
    let (body, error) = match frames {
        Frames::Gated(gated) => return rest_of(gated, &head, prompt, ledger),
        Frames::Said { body, error } => (body, error.unwrap_or_default()),
    };
    let caller = Caller::of(&ledger);
    let event = caller.error_event(errors::parse(caller.dialect, head.status, &body));
    ledger.note(Fact::Replied { bytes: event.len() as u64, body: ledger.logged(&event) });
    let fault = fault(head.status);
    ledger.settle(Ending { status: 200, refusal: "stream_error", fault, error });
    Rest::Last(event)
}

fn rest_of(gated: Gated, head: &Head, prompt: Prompt, ledger: Ledger) -> Rest {
    let (started_us, request_losses) = (head.started_us, head.request_losses);
    match relay(Inflow { gated, started_us, request_losses, prompt }, ledger) {
        Out::Whole(body) => Rest::Last(body),
        Out::Stream(relay) => Rest::Relay(relay),
        Out::Blocked(refusal, ledger) => refuse_late(&refusal, ledger),
    }
}

/// Tells the ledger who answers, and what of the request is still held.
fn resolved(head: &Head, prompt: &Prompt, ledger: &mut Ledger) {
    ledger.note(Fact::Resolved { model: &head.model, losses: &head.losses });
    ledger.note(Fact::BodyKept(prompt.held_bytes()));
}

/// The head of what a model or its upstream says, and the beginning of the rest.
fn upstream(reply: Reply, prompt: Prompt, mut ledger: Ledger) -> Response<ReplyBody> {
    let Reply { head, frames } = reply;
    resolved(&head, &prompt, &mut ledger);
    let mut lines = carried(Sent::of(&head.fields, &head.model, head.altered), &ledger);
    describe(&mut lines, &head.model, &head.losses, &ledger);
    let gated = match frames {
        Frames::Gated(gated) => gated,
        Frames::Said { body, error } => return said(&head, lines, (body, error), ledger),
    };
    print_kind(&mut lines, gated.stream, &head.fields);
    if !gated.stream {
        timing(&mut lines, ledger.elapsed_us());
    }
    let (started_us, request_losses) = (head.started_us, head.request_losses);
    let body = match relay(Inflow { gated, started_us, request_losses, prompt }, ledger) {
        Out::Whole(body) => ReplyBody::whole(body),
        Out::Stream(relay) => ReplyBody::Relay(relay),
        Out::Blocked(refusal, ledger) => return refuse(&refusal, ledger),
    };
    Response::new(StatusCode::OK, lines, body)
}

fn print_kind(lines: &mut FieldLines, stream: bool, upstream: &Fields) {
    if !stream {
        lines.field(&CONTENT_TYPE, &JSON);
        return;
    }
    lines.field(&CONTENT_TYPE, &EVENT_STREAM);
    if !upstream.contains(CACHE_CONTROL.as_str()) {
        lines.field(&CACHE_CONTROL, &HeaderValue::from_static("no-cache"));
    }
    // Some proxies in front would collect the stream otherwise.
    lines.line(b"x-accel-buffering", b"no");
}

/// A body that needs no relay: an upstream's error, or what Gantry itself has counted.
fn said(
    head: &Head,
    mut lines: FieldLines,
    (body, error): (Bytes, Option<String>),
    mut ledger: Ledger,
) -> Response<ReplyBody> {
    ledger.note(Fact::Replied { bytes: body.len() as u64, body: ledger.logged(&body) });
    lines.field(&CONTENT_TYPE, &JSON);
    timing(&mut lines, ledger.elapsed_us());
    let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    match error {
        None => ledger.settle(Ending::ok(head.status)),
        Some(error) => {
            let fault = fault(head.status);
            ledger.settle(Ending { status: head.status, refusal: "", fault, error });
        }
    }
    Response::new(status, lines, ReplyBody::whole(body))
}

/// Whose fault an upstream's error is.
fn fault(status: u16) -> &'static str {
    let ours = matches!(status, 401 | 403 | 404 | 408 | 429) || status >= 500;
    if ours { "upstream" } else { "caller" }
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
    let of_several = ledger.applied().is_some();
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
    identify(&mut lines, &Caller::of(ledger));
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

fn identify(lines: &mut FieldLines, caller: &Caller) {
    let id = caller.id.digits();
    if let Some(name) = caller.dialect.request_id_header() {
        lines.line(name.as_bytes(), &id);
    }
    lines.line(headers::REQUEST_ID.as_bytes(), &id);
}

/// What answered, by which rule, and what a translation lost.
fn describe(lines: &mut FieldLines, model: &Model, losses: &[Loss], ledger: &Ledger) {
    if let Some(id) = &model.id_header {
        lines.line(headers::RESOLVED_MODEL.as_bytes(), id.as_bytes());
    }
    if let Some(applied) = ledger.applied().and_then(|model| model.applied.as_ref()) {
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
