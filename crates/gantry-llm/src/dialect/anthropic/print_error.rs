//! Prints errors in Anthropic's envelope.
//!
//! `mod.rs` calls it for Gantry's own refusals and for errors of upstreams of other dialects.

use crate::context::Code;
use crate::dialect::json::{Json, Piece};
use crate::dialect::read_error::PROMPT_AND_CAP;
use crate::dialect::wire::{self, wire};
use crate::neutral::{ErrorKind, ErrorView, Raw, Str};

/// The body of an error reply, and the data of an error event.
pub(super) fn print(error: &ErrorView, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    json.open(b'{');
    json.member_str("type", "error");
    json.key("error");
    json.open(b'{');
    json.member_str("type", name(error.kind));
    json.key("message");
    match (error.kind, &error.param) {
        (ErrorKind::ContextLength, _) => context_length(&error.message, &mut json),
        (_, Some(param)) => json.concat([param, ": ", &error.message].map(Piece::Str)),
        (_, None) => json.str(&error.message),
    }
    details(error.code.as_deref(), &mut json);
    json.close(b'}');
    json.member_str("request_id", &error.request_id);
    json.close(b'}');
}

/// What the SDK's tool runner reads to send the whole conversation again.
fn details(code: Option<&str>, json: &mut Json<'_>) {
    if let Some(code) = code.and_then(Code::parse) {
        json.key("details");
        json.open(b'{');
        json.member_str("error_code", code.as_str());
        json.close(b'}');
    }
}

/// Anthropic's error has no code for this: clients, Claude Code among them, know it by the wording
/// and then make the conversation shorter, or lower the output cap.
fn context_length(message: &str, json: &mut Json<'_>) {
    const PROMPT: &str = "prompt is too long";
    let known = message.contains(PROMPT) || message.contains(PROMPT_AND_CAP);
    let head = if known { ["", ""] } else { [PROMPT, ": "] };
    json.concat(head.into_iter().chain([message]).map(Piece::Str));
}

wire! {
    struct Envelope<'a> {
        may kind as "type": Str<'a>,
        may error: Raw<'a>,
    }

    struct Detail<'a> {
        may kind as "type": Str<'a>,
        may message: Str<'a>,
    }
}

/// Whether a body is an error as Anthropic's clients read it:
/// `{"type": "error", "error": {"type": …, "message": …}}`.
pub(super) fn is_envelope(body: &[u8]) -> bool {
    let mut envelope = Envelope::default();
    wire::parse_into(&mut envelope, body).is_ok()
        && envelope.kind.as_deref() == Some("error")
        && envelope.error.is_some_and(|raw| {
            let detail = wire::parse_text::<Detail<'_>>(raw.get()).unwrap_or_default();
            [detail.kind, detail.message]
                .into_iter()
                .all(|text| text.is_some_and(|text| !text.is_empty()))
        })
}

/// Anthropic's `error.type` of a kind.
fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::Conflict => "conflict_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Upstream | ErrorKind::Internal => "api_error",
    }
}
