//! Prints neutral turns as the `system` prompt and the messages of a Messages request.
//!
//! Neighbouring turns of one role become one message, tool results first, as Anthropic demands.

use crate::context::Error;
use crate::dialect::json::{Json, Piece};
use crate::dialect::print_blocks::{cache_control, input, redacted, thinking};
use crate::neutral::{
    Body, Document, Losses, Media, Part, Place, Request, Role, Text, ToolCall, ToolResult, Turn,
};
use std::borrow::Cow;

/// Stands behind an answer that the caller began and the upstream does not continue by itself.
const CONTINUE: &str = "Continue your last message from where it ends, without repeating it.";

/// What the upstream takes of a conversation, and what it has to be told in it.
pub(super) struct Terms<'r> {
    /// System messages in mid-conversation.
    pub(super) mid_system: bool,
    /// An assistant message at the end, which the answer continues.
    pub(super) prefill: bool,
    /// What the answer has to look like, for the system prompt.
    pub(super) instruction: Option<&'r str>,
}

/// A part on its way into a message.
struct Item<'r> {
    part: &'r Part<'r>,
    /// A system text that goes in the user's name, marked as what it is.
    marked: bool,
}

/// A turn that goes into a message.
struct Kept<'r> {
    turn: &'r Turn<'r>,
    role: &'static str,
    marked: bool,
}

/// Prints the members `system` and `messages`.
pub(super) fn print(
    request: &Request<'_>,
    terms: &Terms<'_>,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    let is_system = |turn: &Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
    let leading = request.turns.iter().take_while(|turn| is_system(turn)).count();
    // Anthropic refuses a conversation without a message: the last system prompt becomes one.
    let only_system = leading == request.turns.len();
    let (system, rest) =
        request.turns.split_at_checked(leading - usize::from(only_system)).unwrap_or_default();
    system.iter().flat_map(|turn| &turn.parts).for_each(|part| report_blank(part, losses));
    print_system(system, terms.instruction, json);
    let mut kept = Vec::with_capacity(rest.len());
    for turn in rest {
        let (role, marked) = match turn.role {
            Role::User => ("user", false),
            Role::Assistant => ("assistant", false),
            Role::System | Role::Developer if only_system => {
                losses.approximated(turn.place, "sent as the user's, who must speak first");
                ("user", false)
            }
            Role::System | Role::Developer if terms.mid_system => ("system", false),
            Role::System | Role::Developer => {
                losses.approximated(turn.place, "sent as the user's, marked <system>");
                ("user", true)
            }
        };
        turn.parts.iter().for_each(|part| report_unsigned(part, losses));
        turn.parts.iter().try_for_each(refuse_type)?;
        if turn.parts.iter().any(sendable) {
            turn.parts.iter().for_each(|part| report_blank(part, losses));
            kept.push(Kept { turn, role, marked });
        } else {
            losses.dropped(turn.place, "the upstream refuses empty messages");
        }
    }
    let Some(last) = kept.last().map(|last| last.turn) else {
        return Err(Error::new("messages", "hold no text, image, document or tool call"));
    };
    let begun = last.role == Role::Assistant
        && !last.parts.iter().any(|part| matches!(part.body, Body::ToolCall(_)));
    let prefill = begun && terms.prefill;
    json.run(r#","messages":["#);
    for turns in kept.chunk_by(|one, next| one.role == next.role) {
        let is_last = turns.last().is_some_and(|turn| turn.turn.place == last.place);
        message(turns, is_last && prefill, losses, json);
    }
    if begun && !prefill {
        let note = "a user's message that asks to continue it is added: no prefill is taken";
        losses.approximated(last.place, note);
        json.open(b'{');
        json.member_str("role", "user");
        json.member_str("content", CONTINUE);
        json.close(b'}');
    }
    json.close(b']');
    Ok(())
}

fn print_system(turns: &[Turn<'_>], instruction: Option<&str>, json: &mut Json<'_>) {
    let parts = || {
        turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.body {
            Body::Text(text) if !text.is_blank() => Some((part, text)),
            _ => None,
        })
    };
    let mut first_two = parts();
    match (first_two.next(), first_two.next(), instruction) {
        (None, _, None) => {}
        (None, _, Some(instruction)) => json.member_str("system", instruction),
        (Some((part, text)), None, None) if part.cache.is_none() => {
            json.member_text("system", text);
        }
        (Some(_), _, _) => {
            json.key("system");
            json.open(b'[');
            parts().for_each(|(part, text)| text_block(part, text, json));
            if let Some(instruction) = instruction {
                json.open(b'{');
                json.member_str("type", "text");
                json.member_str("text", instruction);
                json.close(b'}');
            }
            json.close(b']');
        }
    }
}

/// Refuses files of a type that Anthropic does not read, by name ("Vision", "PDF support").
fn refuse_type(part: &Part<'_>) -> Result<(), Error> {
    let (media, takes) = match &part.body {
        Body::Image(media) => {
            (media, ["image/jpeg", "image/png", "image/gif", "image/webp"].as_slice())
        }
        Body::Document(document) => (&document.media, ["application/pdf"].as_slice()),
        Body::ToolResult(result) => return result.content.iter().try_for_each(refuse_type),
        _ => return Ok(()),
    };
    match media {
        Media::Base64 { media_type, .. } if !takes.contains(&&**media_type) => {
            let message = format!(
                "the upstream reads no files of type `{}`: send text, a PDF or a picture",
                &**media_type
            );
            Err(Error::new(part.place, message))
        }
        Media::Base64 { .. } | Media::Url(_) | Media::Text(_) => Ok(()),
    }
}

fn report_unsigned(part: &Part<'_>, losses: &mut Losses) {
    if matches!(part.body, Body::Thinking { signature: None, .. }) {
        losses.dropped_often(part.place, "the upstream takes only its own, signed thinking");
    }
}

/// Reports a text that is not sent, unless nothing is in it.
fn report_blank(part: &Part<'_>, losses: &mut Losses) {
    let (Body::Text(text) | Body::Refusal(text)) = &part.body else { return };
    if !text.is_blank() {
        return;
    }
    if !text.is_empty() {
        losses.dropped_often(part.place, "the upstream refuses blank text");
    }
    if part.cache.is_some() {
        let path = format!("{}.cache_control", part.place);
        losses.dropped(path, "stands on a text that is not sent");
    }
}

fn sendable(part: &Part<'_>) -> bool {
    match &part.body {
        // Empty content beside tool calls is how many clients say that there is none.
        Body::Text(text) | Body::Refusal(text) => !text.is_blank(),
        Body::Thinking { signature, .. } => signature.is_some(),
        Body::RedactedThinking(_)
        | Body::Image(_)
        | Body::Document(_)
        | Body::ToolCall(_)
        | Body::ToolResult(_) => true,
    }
}

/// Prints neighbouring turns of one role as one message. `prefill`: it is the start of the answer,
/// which the model continues and which must not end in whitespace.
fn message(turns: &[Kept<'_>], prefill: bool, losses: &mut Losses, json: &mut Json<'_>) {
    let role = turns.first().map_or("user", |turn| turn.role);
    json.open(b'{');
    json.run(r#""role":""#);
    json.run(role);
    json.run(r#"","content":"#);
    let items = || {
        turns.iter().flat_map(|turn| {
            let parts = turn.turn.parts.iter().filter(|part| sendable(part));
            parts.map(|part| Item { part, marked: turn.marked })
        })
    };
    let mut first_two = items();
    match (first_two.next(), first_two.next()) {
        (
            Some(Item { part: Part { cache: None, body: Body::Text(text), place }, marked: false }),
            None,
        ) => {
            if prefill {
                trimmed(text, *place, losses, json);
            } else {
                json.text(text);
            }
        }
        _ => {
            json.open(b'[');
            let result = |item: &Item<'_>| matches!(item.part.body, Body::ToolResult(_));
            items().filter(result).for_each(|item| block(&item, losses, json));
            let mut rest = items().filter(|item| !result(item)).peekable();
            while let Some(item) = rest.next() {
                match &item.part.body {
                    Body::Text(text) if prefill && rest.peek().is_none() => {
                        json.open(b'{');
                        json.member_str("type", "text");
                        json.key("text");
                        trimmed(text, item.part.place, losses, json);
                        end(item.part, json);
                    }
                    _ => block(&item, losses, json),
                }
            }
            json.close(b']');
        }
    }
    json.close(b'}');
}

/// A text without whitespace at its end.
fn trimmed(text: &Text<'_>, place: Place, losses: &mut Losses, json: &mut Json<'_>) {
    let text = text.decode();
    let trimmed = text.trim_end();
    if trimmed.len() < text.len() {
        losses.approximated(place, "whitespace at the end is cut");
    }
    json.str(trimmed);
}

fn block(item: &Item<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    let part = item.part;
    match &part.body {
        Body::Text(text) if item.marked => {
            json.open(b'{');
            json.member_str("type", "text");
            json.key("text");
            json.concat([Piece::Str("<system>\n"), Piece::Text(text), Piece::Str("\n</system>")]);
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
        Body::Thinking { text, signature } => thinking(text, signature.as_ref(), json),
        Body::RedactedThinking(data) => redacted(data, json),
    }
}

/// The cache marker of a block, if any, and its end.
fn end(part: &Part<'_>, json: &mut Json<'_>) {
    if let Some(cache) = part.cache {
        cache_control(cache, json);
    }
    json.close(b'}');
}

fn text_block(part: &Part<'_>, text: &Text<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "text");
    json.member_text("text", text);
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
    if let Some(title) = &document.title {
        json.member_str("title", title);
    }
    if let Some(context) = &document.context {
        json.member_text("context", context);
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
            json.member_text("data", data);
        }
        Media::Url(url) => {
            json.member_str("type", "url");
            json.member_text("url", url);
        }
        Media::Text(text) => {
            json.member_str("type", "text");
            json.member_str("media_type", "text/plain");
            json.member_text("data", text);
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
            json.member_text("content", text);
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
