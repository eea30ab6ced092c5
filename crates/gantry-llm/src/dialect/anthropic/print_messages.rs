//! Prints neutral turns as the `system` prompt and the messages of a Messages request.
//!
//! Neighbouring turns of one role become one message, tool results first, as Anthropic demands.

use super::print_request::{JSON_INSTRUCTION, cache_control};
use crate::dialect::json::Json;
use crate::neutral::{
    Body, Document, Format, Losses, Media, Part, Request, Role, Str, ToolCall, ToolResult, Turn,
};
use crate::translate::Error;
use std::borrow::Cow;

/// A part on its way into a message.
struct Item<'r, 'a> {
    part: &'r Part<'a>,
    /// A system text that goes in the user's name, marked as what it is.
    marked: bool,
}

/// One message to print.
struct Message<'r, 'a> {
    role: &'static str,
    items: Vec<Item<'r, 'a>>,
}

/// Prints the members `system` and `messages`. `mid_system`: the upstream takes system messages
/// in mid-conversation.
pub(super) fn print(
    request: &Request<'_>,
    mid_system: bool,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    let instruction = matches!(request.format, Some(Format::JsonObject));
    let is_system = |turn: &Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
    let leading = request.turns.iter().take_while(|turn| is_system(turn)).count();
    // Anthropic refuses a conversation without a message: the last system prompt becomes one.
    let only_system = leading == request.turns.len();
    let (system, rest) =
        request.turns.split_at_checked(leading - usize::from(only_system)).unwrap_or_default();
    print_system(system, instruction, json);
    let mut messages: Vec<Message<'_, '_>> = Vec::new();
    for turn in rest {
        let (role, marked) = match turn.role {
            Role::User => ("user", false),
            Role::Assistant => ("assistant", false),
            Role::System | Role::Developer if only_system => {
                losses.approximated(turn.place, "sent as the user's, who must speak first");
                ("user", false)
            }
            Role::System | Role::Developer if mid_system => ("system", false),
            Role::System | Role::Developer => {
                losses.approximated(turn.place, "sent as the user's, marked <system>");
                ("user", true)
            }
        };
        add(turn, role, marked, &mut messages, losses);
    }
    if messages.is_empty() {
        return Err(Error::new("messages", "hold no text, image, document or tool call"));
    }
    json.key("messages");
    json.open(b'[');
    let last = messages.len() - 1;
    for (index, each) in messages.iter().enumerate() {
        message(each, index == last, losses, json);
    }
    json.close(b']');
    Ok(())
}

fn print_system(turns: &[Turn<'_>], instruction: bool, json: &mut Json<'_>) {
    let own: Vec<(&Part<'_>, &Str<'_>)> = turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match &part.body {
            Body::Text(text) if !text.is_blank() => Some((part, text)),
            _ => None,
        })
        .collect();
    match (own.as_slice(), instruction) {
        ([], false) => {}
        ([], true) => json.member_str("system", JSON_INSTRUCTION),
        ([(part, text)], false) if part.cache.is_none() => json.member_str("system", text),
        (parts, _) => {
            json.key("system");
            json.open(b'[');
            for (part, text) in parts {
                text_block(part, text, json);
            }
            if instruction {
                json.open(b'{');
                json.member_str("type", "text");
                json.member_str("text", JSON_INSTRUCTION);
                json.close(b'}');
            }
            json.close(b']');
        }
    }
}

/// Adds a turn to the last message of its role, or as a new one.
fn add<'r, 'a>(
    turn: &'r Turn<'a>,
    role: &'static str,
    marked: bool,
    messages: &mut Vec<Message<'r, 'a>>,
    losses: &mut Losses,
) {
    let items: Vec<Item<'r, 'a>> = turn
        .parts
        .iter()
        .filter(|part| sendable(part, losses))
        .map(|part| Item { part, marked })
        .collect();
    if items.is_empty() {
        losses.dropped(turn.place, "the upstream refuses empty messages");
        return;
    }
    match messages.last_mut().filter(|last| last.role == role) {
        Some(last) => last.items.extend(items),
        None => messages.push(Message { role, items }),
    }
}

fn sendable(part: &Part<'_>, losses: &mut Losses) -> bool {
    match &part.body {
        // Empty content beside tool calls is how many clients say that there is none.
        Body::Text(text) | Body::Refusal(text) => !text.is_blank(),
        Body::Thinking { signature: None, .. } => {
            losses.dropped_often(part.place, "the upstream takes only its own, signed thinking");
            false
        }
        Body::Thinking { .. }
        | Body::RedactedThinking(_)
        | Body::Image(_)
        | Body::Document(_)
        | Body::ToolCall(_)
        | Body::ToolResult(_) => true,
    }
}

fn message(message: &Message<'_, '_>, last: bool, losses: &mut Losses, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("role", message.role);
    json.key("content");
    // The start of the answer, which the model is to continue, must not end in whitespace.
    let prefill = last && message.role == "assistant";
    match message.items.as_slice() {
        [Item { part: Part { cache: None, body: Body::Text(text), place }, marked: false }] => {
            let trimmed = if prefill { text.trim_end() } else { text };
            if trimmed.len() < text.len() {
                losses.approximated(*place, "whitespace at the end is cut");
            }
            json.str(trimmed);
        }
        items => {
            json.open(b'[');
            let result = |item: &&Item<'_, '_>| matches!(item.part.body, Body::ToolResult(_));
            for item in items.iter().filter(result) {
                block(item, losses, json);
            }
            for item in items.iter().filter(|item| !result(item)) {
                block(item, losses, json);
            }
            json.close(b']');
        }
    }
    json.close(b'}');
}

fn block(item: &Item<'_, '_>, losses: &mut Losses, json: &mut Json<'_>) {
    let part = item.part;
    match &part.body {
        Body::Text(text) if item.marked => {
            json.open(b'{');
            json.member_str("type", "text");
            json.key("text");
            json.concat(["<system>\n", text, "\n</system>"]);
            end(part, json);
        }
        Body::Text(text) => text_block(part, text, json),
        Body::Refusal(text) => {
            losses.approximated(part.place, "a refusal is sent as text");
            text_block(part, text, json);
        }
        Body::Image(media) => image(part, media, json),
        Body::Document(document) => self::document(part, document, json),
        Body::ToolCall(call) => tool_use(part, call, losses, json),
        Body::ToolResult(result) => tool_result(part, result, losses, json),
        Body::Thinking { text, signature } => {
            json.open(b'{');
            json.member_str("type", "thinking");
            json.member_str("thinking", text);
            json.member_str("signature", signature.as_deref().unwrap_or_default());
            json.close(b'}');
        }
        Body::RedactedThinking(data) => {
            json.open(b'{');
            json.member_str("type", "redacted_thinking");
            json.member_str("data", data);
            json.close(b'}');
        }
    }
}

/// The cache marker of a block, if any, and its end.
fn end(part: &Part<'_>, json: &mut Json<'_>) {
    if let Some(cache) = part.cache {
        cache_control(cache, json);
    }
    json.close(b'}');
}

fn text_block(part: &Part<'_>, text: &str, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "text");
    json.member_str("text", text);
    end(part, json);
}

fn image(part: &Part<'_>, media: &Media<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "image");
    source(media, json);
    end(part, json);
}

fn document(part: &Part<'_>, document: &Document<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "document");
    source(&document.media, json);
    for (name, text) in [("title", &document.title), ("context", &document.context)] {
        if let Some(text) = text {
            json.member_str(name, text);
        }
    }
    end(part, json);
}

fn source(media: &Media<'_>, json: &mut Json<'_>) {
    json.key("source");
    json.open(b'{');
    match media {
        Media::Base64 { media_type, data } => {
            json.member_str("type", "base64");
            json.member_str("media_type", media_type);
            json.member_str("data", data);
        }
        Media::Url(url) => {
            json.member_str("type", "url");
            json.member_str("url", url);
        }
        Media::Text(text) => {
            json.member_str("type", "text");
            json.member_str("media_type", "text/plain");
            json.member_str("data", text);
        }
    }
    json.close(b'}');
}

fn tool_use(part: &Part<'_>, call: &ToolCall<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "tool_use");
    json.member_str("id", &tool_id(&call.id));
    json.member_str("name", &call.name);
    if input(call, json) {
        let note = "arguments that are no JSON object are sent as {\"arguments\": text}";
        losses.approximated(part.place, note);
    }
    end(part, json);
}

/// Prints the `input` of a call, which must be an object; says whether it had to be wrapped.
pub(super) fn input(call: &ToolCall<'_>, json: &mut Json<'_>) -> bool {
    json.key("input");
    if let Some(object) = call.arguments.as_object() {
        json.raw(object);
        return false;
    }
    json.open(b'{');
    json.member_str("arguments", call.arguments.as_text());
    json.close(b'}');
    true
}

/// Anthropic takes letters, digits, `_` and `-` in ids; other servers also make up `:` and `.`.
fn tool_id(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.chars().map(|c| if fits(c) { c } else { '_' }).collect())
}

fn tool_result(part: &Part<'_>, result: &ToolResult<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "tool_result");
    json.member_str("tool_use_id", &tool_id(&result.id));
    let full = |part: &&Part<'_>| !matches!(&part.body, Body::Text(text) if text.is_empty());
    let mut content = result.content.iter().filter(full).peekable();
    match (content.next(), content.peek()) {
        (None, _) => {}
        (Some(Part { cache: None, body: Body::Text(text), .. }), None) => {
            json.member_str("content", text);
        }
        (Some(first), _) => {
            json.key("content");
            json.open(b'[');
            for part in std::iter::once(first).chain(content) {
                block(&Item { part, marked: false }, losses, json);
            }
            json.close(b']');
        }
    }
    if result.is_error {
        json.member_raw("is_error", "true");
    }
    end(part, json);
}
