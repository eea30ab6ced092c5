//! OpenAI's replies and chunks, with the variants of compatible servers.

use super::usage::Counts;
use super::value::{array, error, keep_first, object as members, owned, says_something, text_len};
use super::{Found, Observer, Wire};
use crate::scan::Fault;
use crate::scan::cursor::Cursor;

/// Reads a reply or chunk; the cursor stands on its `{`.
pub(super) fn object(
    observer: &mut Observer,
    found: &mut Found,
    cursor: &mut Cursor<'_>,
) -> Result<(), Fault> {
    members(cursor, |cursor, name| {
        match name {
            b"id" => keep_first(&mut observer.message_id, cursor)?,
            b"model" => keep_first(&mut observer.model, cursor)?,
            b"choices" => found.body |= array(cursor, |cursor| choice(observer, found, cursor))?,
            b"data" => {
                found.body |= array(cursor, |cursor| {
                    found.content |= observer.wire == Wire::Embedding;
                    cursor.ignore()
                })?;
            }
            b"usage" => usage(observer, found, cursor)?,
            b"error" => found.error = error(cursor)?,
            b"object" => {
                let range = cursor.skip()?;
                // vLLM's older error: the members of the error stand at the top.
                found.is_error = cursor.slice(&range) == b"\"error\"";
            }
            // Groq puts the usage of a stream here.
            b"x_groq" => members(cursor, |cursor, name| match name {
                b"usage" => usage(observer, found, cursor),
                b"error" => error(cursor).map(|error| found.error = error),
                _ => cursor.ignore(),
            })?,
            // llama.cpp adds its own counts to the last chunk, with or without `usage`.
            b"timings" => {
                let counts = Counts::timings(cursor)?;
                if observer.counts.is_none() {
                    observer.counts = counts;
                    observer.counts_output |= observer.counts.is_some();
                }
            }
            _ => cursor.ignore()?,
        }
        Ok(())
    })
}

fn usage(observer: &mut Observer, found: &mut Found, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if let Some(counts) = Counts::read_openai(cursor)? {
        observer.counts = Some(counts);
        observer.counts_output = true;
        found.usage = true;
    }
    Ok(())
}

fn choice(
    observer: &mut Observer,
    found: &mut Found,
    cursor: &mut Cursor<'_>,
) -> Result<(), Fault> {
    members(cursor, |cursor, name| {
        match name {
            b"delta" | b"message" => message(found, cursor)?,
            b"text" => produced(found, text_len(cursor)?),
            b"finish_reason" => {
                if let Some(reason) = owned(cursor)?.filter(|reason| !reason.is_empty()) {
                    observer.finish_reason = Some(reason);
                    found.finish = true;
                }
            }
            _ => cursor.ignore()?,
        }
        Ok(())
    })
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
