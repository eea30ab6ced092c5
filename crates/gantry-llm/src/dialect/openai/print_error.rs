//! Prints errors in OpenAI's envelope.
//!
//! `mod.rs` calls it for Gantry's own refusals and for errors of upstreams of other dialects.

use crate::dialect::json::Json;
use crate::dialect::wire::{self, wire};
use crate::neutral::{ErrorKind, ErrorView, Raw, Str};

/// The body of an error reply, and the data of an error event.
pub(super) fn print(error: &ErrorView, out: &mut Vec<u8>) {
    let (kind, code) = names(error.kind);
    let mut json = Json::new(out);
    json.open(b'{');
    json.key("error");
    json.open(b'{');
    json.member_str("message", &error.message);
    json.member_str("type", kind);
    for (name, value) in [("param", &error.param), ("code", &error.code)] {
        json.key(name);
        match value.as_deref().or(code.filter(|_| name == "code")) {
            Some(text) => json.str(text),
            None => json.raw("null"),
        }
    }
    json.close(b'}');
    json.close(b'}');
}

wire! {
    struct Envelope<'a> {
        may error: Raw<'a>,
    }

    struct Detail<'a> {
        may message: Str<'a>,
    }
}

/// Whether a body is an error as OpenAI's clients read it: `{"error": {"message": …}}`.
pub(super) fn is_envelope(body: &[u8]) -> bool {
    let mut envelope = Envelope::default();
    wire::parse_into(&mut envelope, body).is_ok()
        && envelope.error.is_some_and(|raw| {
            let detail = wire::parse_text::<Detail<'_>>(raw.get()).ok();
            detail.and_then(|detail| detail.message).is_some_and(|message| !message.is_empty())
        })
}

/// OpenAI's `type` of a kind, and its `code` where there is a usual one.
fn names(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::NotFound => ("invalid_request_error", None),
        ErrorKind::Authentication => ("invalid_request_error", Some("invalid_api_key")),
        ErrorKind::Permission => ("permission_error", None),
        ErrorKind::Conflict => ("invalid_request_error", Some("conflict")),
        ErrorKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
        ErrorKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::Billing => ("insufficient_quota", Some("insufficient_quota")),
        ErrorKind::ContextLength => ("invalid_request_error", Some("context_length_exceeded")),
        ErrorKind::ContentFilter => ("invalid_request_error", Some("content_filter")),
        ErrorKind::Overloaded => ("server_error", Some("overloaded")),
        ErrorKind::Timeout => ("server_error", Some("timeout")),
        ErrorKind::Upstream => ("server_error", Some("upstream_error")),
        ErrorKind::Internal => ("server_error", None),
    }
}
