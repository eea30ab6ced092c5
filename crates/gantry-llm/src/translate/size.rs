//! Measures prompts that have no neutral form: chat with audio, embeddings, completions.
//!
//! `translate::prompt_text_bytes` calls it when the parser of a dialect refuses a body. It counts
//! what the model reads as text, and never the bytes of a picture, a recording or a file: those
//! are attachments, however large they are.

use super::PromptSize;
use crate::observe::value::{array, object, string, text_len};
use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use gantry_model::estimate::BYTES_PER_TOKEN;

/// What a part of a message is to the model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Image,
    Document,
    /// Sent back unread.
    Sealed,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "image" | "image_url" | "input_image" => Self::Image,
            "audio" | "audio_url" | "container_upload" | "document" | "file" | "input_audio"
            | "input_file" | "input_video" | "video" | "video_url" => Self::Document,
            "redacted_thinking" => Self::Sealed,
            _ => Self::Text,
        }
    }
}

/// The size of a body of any API; `None` when it is not JSON.
pub(super) fn of(body: &[u8]) -> Option<PromptSize> {
    let mut size = PromptSize::default();
    let mut cursor = Cursor::new(body);
    object(&mut cursor, |cursor, name| match name {
        b"messages" => array(cursor, |cursor| {
            size.messages += 1;
            message(cursor, &mut size)
        })
        .map(drop),
        b"system" | b"input" | b"prompt" | b"suffix" => content(cursor, &mut size),
        b"tools" | b"functions" => raw(cursor, &mut size),
        _ => cursor.ignore(),
    })
    .ok()?;
    Some(size)
}

fn message(cursor: &mut Cursor<'_>, size: &mut PromptSize) -> Result<(), Fault> {
    object(cursor, |cursor, name| match name {
        b"content" | b"refusal" | b"reasoning" | b"reasoning_content" | b"thinking_blocks" => {
            content(cursor, size)
        }
        b"tool_calls" => array(cursor, |cursor| part(cursor, size)).map(drop),
        b"function_call" => raw(cursor, size),
        _ => cursor.ignore(),
    })
}

/// A text, a token, a part, or a list of such.
fn content(cursor: &mut Cursor<'_>, size: &mut PromptSize) -> Result<(), Fault> {
    match cursor.peek_value() {
        Some(b'[') => array(cursor, |cursor| content(cursor, size)).map(drop),
        Some(b'{') => part(cursor, size),
        Some(b'0'..=b'9') => {
            // Embeddings and completions take tokens instead of texts.
            size.text_bytes += usize::try_from(BYTES_PER_TOKEN).unwrap_or_default();
            cursor.ignore()
        }
        _ => text(cursor, size),
    }
}

/// A part counts by its type, which may stand behind its content.
fn part(cursor: &mut Cursor<'_>, size: &mut PromptSize) -> Result<(), Fault> {
    let mut kind = Kind::Text;
    let mut inner = PromptSize::default();
    object(cursor, |cursor, name| {
        match name {
            b"type" => kind = string(cursor)?.map_or(Kind::Text, |name| Kind::of(&name)),
            b"arguments" | b"function" | b"input" => raw(cursor, &mut inner)?,
            b"id" | b"tool_use_id" | b"signature" | b"cache_control" => cursor.ignore()?,
            b"data" | b"file_data" | b"b64_json" | b"encrypted_content" => {
                cursor.ignore()?;
                inner.documents += 1;
            }
            _ => content(cursor, &mut inner)?,
        }
        Ok(())
    })?;
    match kind {
        Kind::Text => {
            size.text_bytes += inner.text_bytes;
            size.images += inner.images;
            size.documents += inner.documents;
        }
        Kind::Image => size.images += 1,
        Kind::Document => size.documents += 1,
        Kind::Sealed => {}
    }
    Ok(())
}

/// A string; one that holds a file in base64 is an attachment.
fn text(cursor: &mut Cursor<'_>, size: &mut PromptSize) -> Result<(), Fault> {
    cursor.peek_value();
    let start = cursor.at();
    let len = text_len(cursor)?;
    let head = cursor.slice(&(start..cursor.at()));
    if head.starts_with(b"\"data:image/") {
        size.images += 1;
    } else if head.starts_with(b"\"data:") && is_base64(head) {
        size.documents += 1;
    } else {
        size.text_bytes += usize::try_from(len).unwrap_or(usize::MAX);
    }
    Ok(())
}

/// Whether a `data:` URL says that base64 follows; its media type is short.
fn is_base64(url: &[u8]) -> bool {
    const MARK: &[u8] = b";base64,";
    let head = url.get(..128).unwrap_or(url);
    head.windows(MARK.len()).any(|part| part == MARK)
}

/// A value that the model reads as it is written.
fn raw(cursor: &mut Cursor<'_>, size: &mut PromptSize) -> Result<(), Fault> {
    size.text_bytes += cursor.skip()?.len();
    Ok(())
}
