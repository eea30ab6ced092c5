//! Anthropic's messages and their stream events as the observer reads them.
//!
//! The row of the operation `messages` names them.

use crate::finish::ends;
use crate::observe::usage::{Convention, Counts};
use crate::observe::value::{
    array, error, error_of, keep_first, object as members, owned, says_something, string, text_len,
};
use crate::observe::{Found, Malformed, Notes, Replies, Seen, failed};
use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use crate::sse;
use std::borrow::Cow;

/// Messages, whole and streamed.
#[derive(Debug)]
pub(crate) struct Messages;

impl Replies for Messages {
    fn reply(&self, body: &[u8], notes: &mut Notes) -> Result<(), Malformed> {
        notes.whole(body, reply, "content")
    }

    fn event(&self, event: &sse::Event<'_>, notes: &mut Notes) -> Seen {
        read_event(event, notes)
    }
}

/// The `type` of an event, or of a block or delta inside it.
#[derive(Debug, Default)]
struct Part<'a> {
    kind: Option<Cow<'a, str>>,
    text_bytes: u64,
}

fn read_event(event: &sse::Event<'_>, notes: &mut Notes) -> Seen {
    let mut found = Found::default();
    let mut part = Part::default();
    let data = event.data.trim_ascii();
    let mut cursor = Cursor::new(data);
    let kind = match cursor.start_of_object() {
        Ok(_) => top(notes, &mut found, &mut part, &mut cursor).ok(),
        Err(_) => None,
    };
    if event.name == Some("error") {
        return Seen::Error(found.error.unwrap_or_else(|| error_of(data)));
    }
    let Some(kind) = kind.filter(|_| cursor.end().is_ok()) else { return Seen::Malformed };
    judge(notes, &mut found);
    if let Some(error) = found.error {
        return Seen::Error(error);
    }
    notes.output_bytes += part.text_bytes;
    notes.count_usage();
    let name = kind.as_deref().or(event.name).unwrap_or_default();
    if name.is_empty() && found.is_error {
        return Seen::Error(error_of(data));
    }
    let seen = match name {
        "message_start" | "ping" => Seen::Preamble,
        "content_block_start" => block_start(&part),
        "content_block_delta" => block_delta(&part),
        "message_delta" => {
            if found.finish {
                Seen::Finish
            } else {
                Seen::Usage
            }
        }
        "message_stop" => {
            notes.ended = true;
            Seen::Done
        }
        "error" => Seen::Error(error_of(data)),
        _ => Seen::Ignored,
    };
    notes.content |= seen == Seen::Content;
    seen
}

/// Reads a whole message.
fn reply(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    members(cursor, |cursor, name| {
        match name {
            b"type" | b"object" => {
                found.is_error |= string(cursor)?.as_deref() == Some("error");
            }
            b"content" => {
                found.body |= array(cursor, |cursor| {
                    let block = part(found, notes, cursor)?;
                    found.content |= block_start(&block) == Seen::Content;
                    found.text_bytes += block.text_bytes;
                    Ok(())
                })?;
            }
            b"error" => found.fail(error(cursor)?),
            _ => message_member(notes, found, cursor, name)?,
        }
        Ok(())
    })?;
    judge(notes, found);
    Ok(())
}

/// A reason to stop may say that there is no answer.
fn judge(notes: &Notes, found: &mut Found) {
    let reason = notes.finish_reason.as_deref().filter(|_| found.finish);
    found.fail(reason.and_then(|reason| failed(reason, notes.content || found.content)));
}

fn top<'a>(
    notes: &mut Notes,
    found: &mut Found,
    inner: &mut Part<'a>,
    cursor: &mut Cursor<'a>,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut kind = None;
    members(cursor, |cursor, name| {
        match name {
            b"type" => kind = string(cursor)?,
            // Elsewhere than in Messages it is what went wrong.
            b"message" if cursor.peek_value() == Some(b'"') => {
                found.is_error |= says_something(cursor)?;
            }
            b"message" => {
                members(cursor, |cursor, name| message_member(notes, found, cursor, name))?;
                notes.usage_begins();
            }
            b"content_block" | b"delta" => *inner = part(found, notes, cursor)?,
            b"usage" => usage(notes, found, cursor)?,
            b"error" => found.fail(error(cursor)?),
            b"detail" => found.is_error |= says_something(cursor)?,
            b"object" => found.is_error |= string(cursor)?.as_deref() == Some("error"),
            _ => cursor.ignore()?,
        }
        Ok(())
    })?;
    Ok(kind)
}

fn message_member(
    notes: &mut Notes,
    found: &mut Found,
    cursor: &mut Cursor<'_>,
    name: &[u8],
) -> Result<(), Fault> {
    match name {
        b"id" => keep_first(&mut notes.message_id, cursor),
        b"model" => keep_first(&mut notes.model, cursor),
        b"stop_reason" => stop_reason(notes, found, cursor),
        b"usage" => usage(notes, found, cursor),
        _ => cursor.ignore(),
    }
}

/// Reads a content block, a block's delta or a message's delta.
fn part<'a>(
    found: &mut Found,
    notes: &mut Notes,
    cursor: &mut Cursor<'a>,
) -> Result<Part<'a>, Fault> {
    let mut part = Part::default();
    members(cursor, |cursor, name| {
        match name {
            b"type" => part.kind = string(cursor)?,
            b"thinking" => {
                let bytes = text_len(cursor)?;
                notes.reasoning |= bytes > 0;
                part.text_bytes += bytes;
            }
            b"text" | b"partial_json" | b"name" => part.text_bytes += text_len(cursor)?,
            // A tool's input; `{}` at the start of a stream.
            b"input" => part.text_bytes += text_len(cursor)?,
            b"stop_reason" => stop_reason(notes, found, cursor)?,
            _ => cursor.ignore()?,
        }
        Ok(())
    })?;
    Ok(part)
}

fn stop_reason(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if let Some(reason) = owned(cursor)?.filter(|reason| ends(reason)) {
        notes.finish_reason = Some(reason);
        found.finish = true;
    }
    Ok(())
}

fn usage(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if let Some(counts) = Counts::read(cursor, Convention::Exclusive)? {
        notes.usage_sent(counts, Convention::Exclusive);
        found.usage = true;
    }
    Ok(())
}

/// Text and thinking blocks begin empty; every other block is the model's work.
fn block_start(part: &Part<'_>) -> Seen {
    match part.kind.as_deref() {
        Some("text" | "thinking") if part.text_bytes == 0 => Seen::Preamble,
        Some(_) => Seen::Content,
        None => Seen::Ignored,
    }
}

fn block_delta(part: &Part<'_>) -> Seen {
    match part.kind.as_deref() {
        Some("text_delta" | "thinking_delta" | "input_json_delta") if part.text_bytes == 0 => {
            Seen::Preamble
        }
        Some(
            "text_delta" | "thinking_delta" | "input_json_delta" | "signature_delta"
            | "citations_delta",
        ) => Seen::Content,
        _ => Seen::Ignored,
    }
}
