//! OpenAI's replies and chunks as the observer reads them, with the variants of compatible servers.
//!
//! The rows of OpenAI's operations name them.

use crate::finish::ends;
use crate::observe::usage::{Convention, Counts};
use crate::observe::value::{
    array, error, error_of, keep_first, object as members, owned, says_something, string, text_len,
};
use crate::observe::{Found, Malformed, Notes, Replies, Seen, failed};
use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use crate::sse;

/// `chat.completion`, `chat.completion.chunk` and `text_completion` (legacy).
#[derive(Debug)]
pub(crate) struct Choices;

/// Lists of embeddings; never streamed.
#[derive(Debug)]
pub(crate) struct Embeddings;

impl Replies for Choices {
    fn reply(&self, body: &[u8], notes: &mut Notes) -> Result<(), Malformed> {
        notes.whole(body, object, "choices")
    }

    fn event(&self, event: &sse::Event<'_>, notes: &mut Notes) -> Seen {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            notes.ended = true;
            return Seen::Done;
        }
        let found = notes.object(data, object);
        if event.name == Some("error") {
            let error = found.ok().and_then(|found| found.error);
            return Seen::Error(error.unwrap_or_else(|| error_of(data)));
        }
        if let Ok(found) = &found {
            // Of several choices one may go on when another has stopped.
            notes.stopped = found.finish || notes.stopped && !found.content;
        }
        match found {
            Err(_) => Seen::Malformed,
            Ok(Found { error: Some(error), .. }) => Seen::Error(error),
            Ok(Found { content: true, .. }) => Seen::Content,
            Ok(Found { finish: true, .. }) => Seen::Finish,
            Ok(Found { usage: true, role: false, .. }) => Seen::Usage,
            Ok(Found { body: true, .. }) => Seen::Preamble,
            Ok(_) => Seen::Ignored,
        }
    }
}

impl Replies for Embeddings {
    fn reply(&self, body: &[u8], notes: &mut Notes) -> Result<(), Malformed> {
        notes.whole(body, embeddings, "data")?;
        notes.has_no_output();
        Ok(())
    }

    fn event(&self, event: &sse::Event<'_>, notes: &mut Notes) -> Seen {
        Choices.event(event, notes)
    }
}

/// Reads a list of embeddings; one of none is empty.
fn embeddings(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    object(notes, found, cursor)?;
    found.content |= found.listed;
    Ok(())
}

/// Reads a reply or chunk.
fn object(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    // What servers say that have no envelope: FastAPI's `detail`, a bare `message`.
    let (mut complains, mut identified) = (false, false);
    members(cursor, |cursor, name| {
        match name {
            b"id" => {
                identified = true;
                keep_first(&mut notes.message_id, cursor)?;
            }
            b"model" => keep_first(&mut notes.model, cursor)?,
            b"choices" => found.body |= array(cursor, |cursor| choice(notes, found, cursor))?,
            b"data" => {
                found.body |= array(cursor, |cursor| {
                    found.listed = true;
                    cursor.ignore()
                })?;
            }
            b"usage" => usage(notes, found, cursor)?,
            b"error" => found.fail(error(cursor)?),
            b"object" => {
                let range = cursor.skip()?;
                identified = true;
                // vLLM's older error: the members of the error stand at the top.
                found.is_error |= cursor.slice(&range) == b"\"error\"";
            }
            b"type" => found.is_error |= string(cursor)?.as_deref() == Some("error"),
            b"detail" | b"message" => complains |= says_something(cursor)?,
            // Groq puts the usage of a stream here.
            b"x_groq" => members(cursor, |cursor, name| match name {
                b"usage" => usage(notes, found, cursor),
                b"error" => error(cursor).map(|error| found.fail(error)),
                _ => cursor.ignore(),
            })?,
            // llama.cpp adds its own counts to the last chunk, with or without `usage`.
            b"timings" => {
                if let Some(counts) = Counts::timings(cursor)? {
                    notes.usage_sent(counts, Convention::Inclusive);
                }
            }
            _ => cursor.ignore()?,
        }
        Ok(())
    })?;
    found.is_error |= complains && !found.body && !identified;
    Ok(())
}

fn usage(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if let Some(counts) = Counts::read(cursor, Convention::Inclusive)? {
        notes.usage_sent(counts, Convention::Inclusive);
        found.usage = true;
    }
    Ok(())
}

fn choice(notes: &mut Notes, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut reason = None;
    members(cursor, |cursor, name| {
        match name {
            b"delta" | b"message" => message(found, cursor)?,
            b"text" => produced(found, text_len(cursor)?),
            b"finish_reason" => reason = owned(cursor)?,
            b"error" => found.fail(error(cursor)?),
            _ => cursor.ignore()?,
        }
        Ok(())
    })?;
    if let Some(reason) = reason.filter(|reason| ends(reason)) {
        found.fail(failed(&reason, notes.content || found.content));
        notes.finish_reason = Some(reason);
        found.finish = true;
    }
    Ok(())
}

fn message(found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    // Servers that rename `reasoning_content` to `reasoning` send both for a while.
    let mut reasoning = 0;
    members(cursor, |cursor, name| {
        match name {
            b"role" => found.role |= says_something(cursor)?,
            b"content" | b"refusal" => produced(found, text_len(cursor)?),
            b"reasoning" | b"reasoning_content" => reasoning = reasoning.max(text_len(cursor)?),
            b"tool_calls" => {
                array(cursor, |cursor| tool_call(found, cursor))?;
            }
            b"function_call" => function(found, cursor)?,
            b"error" => found.fail(error(cursor)?),
            b"audio" | b"images" => found.content |= says_something(cursor)?,
            b"reasoning_details" | b"thinking_blocks" => {
                let shown = says_something(cursor)?;
                found.content |= shown;
                found.reasoning |= shown;
            }
            _ => cursor.ignore()?,
        }
        Ok(())
    })?;
    found.reasoning |= reasoning > 0;
    produced(found, reasoning);
    Ok(())
}

fn tool_call(found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    found.content = true;
    members(cursor, |cursor, name| match name {
        b"function" | b"custom" => function(found, cursor),
        _ => cursor.ignore(),
    })
}

fn function(found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    members(cursor, |cursor, name| {
        match name {
            b"name" | b"arguments" | b"input" => produced(found, text_len(cursor)?),
            _ => cursor.ignore()?,
        }
        Ok(())
    })
}

fn produced(found: &mut Found, bytes: u64) {
    found.content |= bytes > 0;
    found.text_bytes += bytes;
}
