//! Errors in the callers' and the upstreams' dialects.
//!
//! The gateway parses what an upstream answered with `parse`, and prints its own refusals and the
//! upstreams' errors with `print_body` and `print_event`. Nothing here decides on retries.

mod parse;
pub(crate) mod view;

pub use parse::parse;
pub(crate) use parse::parse_value;
pub use view::{ErrorKind, ErrorView};

use crate::dialect::json::{Json, Piece};
use gantry_model::facts::Dialect;

/// The body of an HTTP error in the caller's envelope.
#[must_use]
pub fn print_body(dialect: Dialect, error: &ErrorView) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + 160);
    print(dialect, error, &mut out);
    out
}

/// An SSE event that says what went wrong after a stream began. OpenAI's streams end with it,
/// without `[DONE]`.
#[must_use]
pub fn print_event(dialect: Dialect, error: &ErrorView) -> Vec<u8> {
    let mut out = match dialect {
        Dialect::OpenAi => b"data: ".to_vec(),
        Dialect::Anthropic => b"event: error\ndata: ".to_vec(),
    };
    print(dialect, error, &mut out);
    out.extend_from_slice(b"\n\n");
    out
}

/// The HTTP status to send the error with. 529 is Anthropic's own; others know 503.
#[must_use]
pub fn status_for(dialect: Dialect, error: &ErrorView) -> u16 {
    match (error.kind, dialect) {
        (ErrorKind::InvalidRequest, Dialect::OpenAi) if error.status == 422 => 422,
        (ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter, _) => 400,
        (ErrorKind::Authentication, _) => 401,
        (ErrorKind::Permission, _) => 403,
        (ErrorKind::NotFound, _) => 404,
        (ErrorKind::Conflict, _) => 409,
        (ErrorKind::TooLarge, _) => 413,
        (ErrorKind::RateLimited, _) | (ErrorKind::Billing, Dialect::OpenAi) => 429,
        (ErrorKind::Billing, Dialect::Anthropic) => 402,
        (ErrorKind::Overloaded, Dialect::OpenAi) => 503,
        (ErrorKind::Overloaded, Dialect::Anthropic) => 529,
        (ErrorKind::Timeout, _) => 504,
        (ErrorKind::Upstream, _) if (500..=504).contains(&error.status) => error.status,
        (ErrorKind::Upstream, _) => 502,
        (ErrorKind::Internal, _) => 500,
    }
}

fn print(dialect: Dialect, error: &ErrorView, out: &mut Vec<u8>) {
    match dialect {
        Dialect::OpenAi => print_openai(error, out),
        Dialect::Anthropic => print_anthropic(error, out),
    }
}

fn print_openai(error: &ErrorView, out: &mut Vec<u8>) {
    let (kind, code) = openai_names(error.kind);
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

fn print_anthropic(error: &ErrorView, out: &mut Vec<u8>) {
    let mut json = Json::new(out);
    json.open(b'{');
    json.member_str("type", "error");
    json.key("error");
    json.open(b'{');
    json.member_str("type", anthropic_name(error.kind));
    json.key("message");
    match (error.kind, &error.param) {
        (ErrorKind::ContextLength, _) => context_length(&error.message, &mut json),
        (_, Some(param)) => json.concat([param, ": ", &error.message].map(Piece::Str)),
        (_, None) => json.str(&error.message),
    }
    json.close(b'}');
    json.member_str("request_id", &error.request_id);
    json.close(b'}');
}

/// Anthropic's error has no code for this: clients, Claude Code among them, know it by the wording
/// and then make the conversation shorter, or lower the output cap.
fn context_length(message: &str, json: &mut Json<'_>) {
    const PROMPT: &str = "prompt is too long";
    let known = message.contains(PROMPT) || message.contains(parse::PROMPT_AND_CAP);
    let head = if known { ["", ""] } else { [PROMPT, ": "] };
    json.concat(head.into_iter().chain([message]).map(Piece::Str));
}

/// OpenAI's `type` of a kind, and its `code` where there is a usual one.
fn openai_names(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
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

/// Anthropic's `error.type` of a kind.
fn anthropic_name(kind: ErrorKind) -> &'static str {
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
