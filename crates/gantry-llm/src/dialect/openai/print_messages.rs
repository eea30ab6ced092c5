//! Prints neutral turns as the messages of a chat completion request.
//!
//! Tool results become `tool` messages, which hold text only: pictures and files in them move to
//! the user's message that follows.

use super::cache::{Marker, Markers, lost};
use crate::context::Error;
use crate::dialect::json::{Json, Piece as Word};
use crate::neutral::{
    Arguments, Body, Document, Losses, Media, Part, Place, Role, Text, ToolCall, ToolResult, Turn,
};
use gantry_model::facts::Quirks;

/// Stands between texts that were separate blocks and become one string.
const GAP: &str = "\n\n";

/// Prints the list of messages, and what tells the upstream to continue the last one.
///
/// Neighbouring turns of one side become one message, as Anthropic understands them: the results
/// of a message's tool calls must follow it at once.
pub(super) fn print(
    turns: &[Turn<'_>],
    (quirks, markers): (&Quirks, Markers),
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    let kept = kept(turns, losses);
    if kept.is_empty() {
        return Err(Error::new("messages", "hold nothing that can be sent to this upstream"));
    }
    json.open(b'[');
    for alike in kept.chunk_by(|one, next| one.role == next.role && merges(one.role)) {
        let Some(turn) = alike.first() else { continue };
        match turn.role {
            Role::System => system("system", turn, (markers, losses), json),
            Role::Developer if quirks.developer_role => {
                system("developer", turn, (markers, losses), json)
            }
            Role::Developer => system("system", turn, (markers, losses), json),
            Role::User => user(alike, markers, losses, json)?,
            Role::Assistant => assistant(alike, (quirks, markers), losses, json),
        }
    }
    json.close(b']');
    if let Some(begun) = kept.last().filter(|turn| is_begun_answer(turn)) {
        if quirks.continues_answers {
            json.member_raw("continue_final_message", "true");
            json.member_raw("add_generation_prompt", "false");
        } else {
            let note = "the upstream may begin a new answer instead of continuing this one";
            losses.approximated(begun.place, note);
        }
    }
    Ok(())
}

/// The turns to send. An assistant's message without a word or a call is none to models, and some
/// servers refuse the whole conversation because of it (Mistral, Kimi).
fn kept<'t, 'a>(turns: &'t [Turn<'a>], losses: &mut Losses) -> Vec<&'t Turn<'a>> {
    let mut kept = Vec::with_capacity(turns.len());
    for alike in turns.chunk_by(|one, next| one.role == next.role) {
        let Some(Turn { role: Role::Assistant, .. }) = alike.first() else {
            for turn in alike {
                if turn.role == Role::User && turn.parts.is_empty() {
                    losses.dropped(turn.place, "nothing is left of it to send");
                } else {
                    kept.push(turn);
                }
            }
            continue;
        };
        let parts = || alike.iter().flat_map(|turn| &turn.parts);
        if parts().any(speaks) {
            kept.extend(alike);
            continue;
        }
        report_assistant(parts(), false, losses);
        for part in parts() {
            if text_of(part).is_some_and(|text| !text.is_empty()) {
                losses.dropped_often(part.place, "a message of blank text says nothing");
            }
        }
    }
    kept
}

/// Whether a part of an assistant's message says or calls something.
fn speaks(part: &Part<'_>) -> bool {
    let call = matches!(part.body, Body::ToolCall(_));
    call || text_of(part).is_some_and(|text| !text.is_blank())
}

fn merges(role: Role) -> bool {
    matches!(role, Role::User | Role::Assistant)
}

/// Whether a last turn is the start of the answer, which Anthropic's models continue.
fn is_begun_answer(turn: &Turn<'_>) -> bool {
    turn.role == Role::Assistant
        && turn.parts.iter().any(|part| text_of(part).is_some_and(|text| !text.is_blank()))
        && !turn.parts.iter().any(|part| matches!(part.body, Body::ToolCall(_)))
}

/// System prompts go as one string, which the templates of all open models understand.
fn system(
    role: &'static str,
    turn: &Turn<'_>,
    (markers, losses): (Markers, &mut Losses),
    json: &mut Json<'_>,
) {
    json.open(b'{');
    json.run(r#""role":""#);
    json.run(role);
    json.run(r#"","content":"#);
    let marks: Vec<_> = turn.parts.iter().map(|part| markers.of_part(part, losses)).collect();
    if marks.iter().any(Option::is_some) {
        json.open(b'[');
        for (part, mark) in turn.parts.iter().zip(marks) {
            if let Some(text) = text_of(part) {
                text_part([Word::Text(text)], mark, json);
            }
        }
        json.close(b']');
        return json.close(b'}');
    }
    join(turn.parts.iter().filter_map(text_of).map(Word::Text), GAP, json);
    json.close(b'}');
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => Some(text),
        _ => None,
    }
}

fn join<'t>(texts: impl Iterator<Item = Word<'t>>, gap: &'t str, json: &mut Json<'_>) {
    let mut first = true;
    json.concat(texts.flat_map(|text| {
        let before = if std::mem::take(&mut first) { "" } else { gap };
        [Word::Str(before), text]
    }));
}

/// What a user's message is made of.
enum Piece<'p, 'a> {
    Part(&'p Part<'a>),
    /// Says which tool result the next pieces come from.
    From(&'p str),
}

/// Prints neighbouring turns: the results of all, then the rest of all.
fn user(
    turns: &[&Turn<'_>],
    markers: Markers,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    if let [turn] = turns
        && let [part @ Part { body: Body::Text(text), .. }] = turn.parts.as_slice()
    {
        let mark = markers.of_part(part, losses);
        json.open(b'{');
        json.run(r#""role":"user","content":"#);
        marked(mark, json, |json| json.text(text));
        json.close(b'}');
        return Ok(());
    }
    let mut pieces = Vec::new();
    let mut results = false;
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        if let Body::ToolResult(result) = &part.body {
            results = true;
            tool(result, part, markers, losses, json);
            let mut attached = result.content.iter().filter(|part| text_of(part).is_none());
            if let Some(first) = attached.next() {
                let note = "moved to a user message, because tool messages hold text only";
                losses.approximated(first.place, note);
                pieces.push(Piece::From(&result.id));
                pieces.push(Piece::Part(first));
                pieces.extend(attached.map(Piece::Part));
            }
        }
    }
    let all = turns.iter().flat_map(|turn| &turn.parts);
    let own = all.filter(|part| !matches!(part.body, Body::ToolResult(_)));
    pieces.extend(own.map(Piece::Part));
    if results && pieces.is_empty() {
        return Ok(());
    }
    json.open(b'{');
    json.member_str("role", "user");
    json.key("content");
    match pieces.as_slice() {
        [] => json.str(""),
        [Piece::Part(part @ Part { body: Body::Text(text), .. })] => {
            marked(markers.of_part(part, losses), json, |json| json.text(text));
        }
        _ => {
            json.open(b'[');
            for piece in &pieces {
                content_piece(piece, markers, losses, json)?;
            }
            json.close(b']');
        }
    }
    json.close(b'}');
    Ok(())
}

fn tool(
    result: &ToolResult<'_>,
    part: &Part<'_>,
    markers: Markers,
    losses: &mut Losses,
    json: &mut Json<'_>,
) {
    json.open(b'{');
    json.member_str("role", "tool");
    json.member_str("tool_call_id", &result.id);
    json.key("content");
    if result.is_error {
        let path = format!("{}.is_error", part.place);
        losses.approximated(path, "said in the text, because tool messages have no such flag");
    }
    // One text comes of all: the last marker in it or on it stands behind it.
    let texts = result.content.iter().filter(|part| text_of(part).is_some());
    let marks = texts.chain([part]).filter_map(|part| markers.of_part(part, losses));
    let mark = marks.reduce(|_, last| last);
    let head = result.is_error.then_some("The tool failed:");
    let texts = result.content.iter().filter_map(text_of).map(Word::Text);
    marked(mark, json, |json| join(head.map(Word::Str).into_iter().chain(texts), GAP, json));
    json.close(b'}');
}

/// Prints a content: the text alone, or in a part with a marker.
fn marked(mark: Option<Marker>, json: &mut Json<'_>, text: impl FnOnce(&mut Json<'_>)) {
    let Some(mark) = mark else { return text(json) };
    json.open(b'[');
    json.open(b'{');
    json.member_str("type", "text");
    json.key("text");
    text(json);
    mark.print(json);
    json.close(b'}');
    json.close(b']');
}

fn content_piece(
    piece: &Piece<'_, '_>,
    markers: Markers,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    let part = match piece {
        Piece::From(id) => {
            let head = ["Attached to the result of tool call ", id, ":"];
            text_part(head.map(Word::Str), None, json);
            return Ok(());
        }
        Piece::Part(part) => part,
    };
    let mark = markers.of_part(part, losses);
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => text_part([Word::Text(text)], mark, json),
        Body::Image(media) => image(media, mark, json),
        Body::Document(document) => {
            return self::document(document, (part.place, mark), losses, json);
        }
        Body::Thinking { .. } | Body::RedactedThinking(_) | Body::ToolCall(_) => {
            losses.dropped(part.place, "belongs into an assistant message");
        }
        // Printed before, as messages of their own; results in results do not exist.
        Body::ToolResult(_) => {}
    }
    Ok(())
}

fn text_part<'t>(
    pieces: impl IntoIterator<Item = Word<'t>>,
    mark: Option<Marker>,
    json: &mut Json<'_>,
) {
    json.open(b'{');
    json.member_str("type", "text");
    json.key("text");
    json.concat(pieces);
    end(mark, json);
}

/// The marker of a part, if any, and its end.
fn end(mark: Option<Marker>, json: &mut Json<'_>) {
    if let Some(mark) = mark {
        mark.print(json);
    }
    json.close(b'}');
}

fn image(media: &Media<'_>, mark: Option<Marker>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "image_url");
    json.key("image_url");
    json.open(b'{');
    json.key("url");
    match media {
        Media::Base64 { media_type, data } => data_url(media_type, data, json),
        Media::Url(url) | Media::Text(url) => json.text(url),
    }
    json.close(b'}');
    end(mark, json);
}

fn data_url(media_type: &str, data: &Text<'_>, json: &mut Json<'_>) {
    let head = ["data:", media_type, ";base64,"].map(Word::Str);
    json.concat(head.into_iter().chain([Word::Text(data)]));
}

fn document(
    document: &Document<'_>,
    (place, mark): (Place, Option<Marker>),
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
    let title = document.title.as_deref();
    match &document.media {
        Media::Url(_) => {
            let message = "the upstream takes no documents by URL: send the bytes";
            return Err(Error::new(place, message));
        }
        Media::Text(text) => {
            losses.approximated(place, "a text document is sent as text");
            let head = title.map(|title| ["Document: ", title, GAP].map(Word::Str));
            text_part(head.into_iter().flatten().chain([Word::Text(text)]), mark, json);
        }
        Media::Base64 { media_type, data } => {
            json.open(b'{');
            json.member_str("type", "file");
            json.key("file");
            json.open(b'{');
            json.key("filename");
            // OpenAI tells the type by the name's extension.
            let title = title.unwrap_or("document");
            let pdf = &**media_type == "application/pdf" && !title.ends_with(".pdf");
            json.concat([title, if pdf { ".pdf" } else { "" }].map(Word::Str));
            json.key("file_data");
            data_url(media_type, data, json);
            json.close(b'}');
            end(mark, json);
        }
    }
    if let Some(context) = &document.context {
        text_part([Word::Str("About the document above: "), Word::Text(context)], None, json);
        losses.approximated(format!("{place}.context"), "sent as text after the document");
    }
    Ok(())
}

fn assistant(
    turns: &[&Turn<'_>],
    (quirks, markers): (&Quirks, Markers),
    losses: &mut Losses,
    json: &mut Json<'_>,
) {
    let parts = || turns.iter().flat_map(|turn| &turn.parts);
    let calls = parts().any(|part| matches!(part.body, Body::ToolCall(_)));
    // Without calls no server needs it, and some refuse it.
    let back = quirks.reasoning_back && calls;
    report_assistant(parts(), back, losses);
    json.open(b'{');
    json.run(r#""role":"assistant","content":"#);
    let mut mark = None;
    for part in parts().filter(|part| part.cache.is_some()) {
        match text_of(part) {
            Some(_) => mark = markers.of_part(part, losses).or(mark),
            None => lost(format!("{}.cache_control", part.place), losses),
        }
    }
    if parts().filter_map(text_of).any(|text| !text.is_empty()) {
        marked(mark, json, |json| json.concat(by_turn(turns, text_of)));
    } else {
        json.run("null");
    }
    let mut thinking = by_turn(turns, thinking_of).peekable();
    if back && thinking.peek().is_some() {
        json.key(&quirks.reasoning_field);
        json.concat(thinking);
    }
    if calls {
        json.key("tool_calls");
        json.open(b'[');
        tool_calls(parts(), quirks, json);
        json.close(b']');
    }
    json.close(b'}');
}

/// The texts of each turn as they are, with a gap between turns.
fn by_turn<'t>(
    turns: &'t [&'t Turn<'t>],
    of: impl Fn(&'t Part<'t>) -> Option<&'t Text<'t>> + Copy,
) -> impl Iterator<Item = Word<'t>> {
    let mut first = true;
    turns.iter().flat_map(move |turn| {
        let mut texts = turn.parts.iter().filter_map(of).peekable();
        let gap = texts.peek().is_some() && !std::mem::take(&mut first);
        gap.then_some(Word::Str(GAP)).into_iter().chain(texts.map(Word::Text))
    })
}

fn thinking_of<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    match &part.body {
        Body::Thinking { text, .. } => Some(text),
        _ => None,
    }
}

/// Reports what an assistant's message loses; `back`: its thinking is sent.
fn report_assistant<'p>(
    parts: impl Iterator<Item = &'p Part<'p>>,
    back: bool,
    losses: &mut Losses,
) {
    let mut calls = false;
    for part in parts {
        match &part.body {
            Body::Thinking { .. } if back => {}
            Body::Thinking { .. } | Body::RedactedThinking(_) => {
                losses.dropped_often(part.place, "the upstream does not take thinking back");
            }
            Body::ToolCall(_) => calls = true,
            Body::Text(_) | Body::Refusal(_) if calls => {
                losses.approximated(part.place, "text after a tool call is sent before it");
            }
            Body::Text(_) | Body::Refusal(_) => {}
            Body::Image(_) | Body::Document(_) | Body::ToolResult(_) => {
                losses.dropped(part.place, "does not fit into an assistant message");
            }
        }
    }
}

/// Prints the calls. Servers that want signatures back want at least one with the first call.
fn tool_calls<'p, 'a: 'p>(
    parts: impl Iterator<Item = &'p Part<'a>>,
    quirks: &Quirks,
    json: &mut Json<'_>,
) {
    let mut stand_in = Some(&*quirks.call_signature).filter(|text| !text.is_empty());
    let signed = stand_in.is_some();
    for part in parts {
        if let Body::ToolCall(call) = &part.body {
            let known = call.signature.as_ref().filter(|_| signed).map(Word::Text);
            print_call(call, &call.id, known.or(stand_in.map(Word::Str)), json);
            stand_in = None;
        }
    }
}

/// A tool call as requests and replies write it.
pub(super) fn print_call(
    call: &ToolCall<'_>,
    id: &str,
    signature: Option<Word<'_>>,
    json: &mut Json<'_>,
) {
    json.open(b'{');
    json.member_str("id", id);
    json.member_str("type", "function");
    if let Some(signature) = signature {
        json.run(r#","extra_content":{"google":{"thought_signature":"#);
        json.concat([signature]);
        json.run("}}");
    }
    json.key("function");
    json.open(b'{');
    json.member_str("name", &call.name);
    json.key("arguments");
    match &call.arguments {
        // No arguments are an empty object.
        Arguments::Text(text) if text.is_blank() => json.str("{}"),
        Arguments::Text(text) => json.text(text),
        Arguments::Json(raw) => json.str(raw.get()),
    }
    json.close(b'}');
    json.close(b'}');
}
