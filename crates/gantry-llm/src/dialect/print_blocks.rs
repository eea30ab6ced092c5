//! Prints content blocks of Messages, for requests and for replies.
//!
//! OpenAI's dialect carries thinking blocks of the same form in `thinking_blocks`.

use crate::dialect::json::Json;
use crate::dialect::wire;
use crate::neutral::{Arguments, Cache, Text, ToolCall};
use crate::surrogates::mended_text;
use std::borrow::Cow;

/// A thinking block.
pub(crate) fn thinking(text: &Text<'_>, signature: Option<&Text<'_>>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "thinking");
    json.member_text("thinking", text);
    json.member_text("signature", signature.unwrap_or(&Text::Plain("")));
    json.close(b'}');
}

/// A thinking block that only its provider can read.
pub(crate) fn redacted(data: &Text<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "redacted_thinking");
    json.member_text("data", data);
    json.close(b'}');
}

/// Prints the `input` of a call, which must be an object; says whether it had to be wrapped.
pub(crate) fn input(call: &ToolCall<'_>, json: &mut Json<'_>) -> bool {
    json.key("input");
    let text = match &call.arguments {
        Arguments::Json(raw) => Cow::Borrowed(raw.get()),
        Arguments::Text(text) => text.decode(),
    };
    let trimmed = text.trim();
    match &call.arguments {
        Arguments::Text(_) if trimmed.is_empty() => json.raw("{}"),
        Arguments::Text(_) if wire::is_object(trimmed) => json.raw(&mended_text(trimmed)),
        Arguments::Json(_) if trimmed.starts_with('{') => json.raw(&mended_text(trimmed)),
        Arguments::Text(_) | Arguments::Json(_) => {
            json.open(b'{');
            json.member_str("arguments", &text);
            json.close(b'}');
            return true;
        }
    }
    false
}

/// Prints the `cache_control` member.
pub(crate) fn cache_control(cache: Cache, json: &mut Json<'_>) {
    let value = match cache {
        Cache::Default => r#"{"type":"ephemeral"}"#,
        Cache::OneHour => r#"{"type":"ephemeral","ttl":"1h"}"#,
    };
    json.member_raw("cache_control", value);
}
