//! Small values of replies: strings, their lengths, errors. Lenient: a wrong type counts as absent.

use super::UpstreamError;
use crate::neutral::unescaped_len;
use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use std::borrow::Cow;
use std::ops::Range;

/// Moves over an object, calling `visit` for its members, or over any other value.
pub(crate) fn object<'a>(
    cursor: &mut Cursor<'a>,
    mut visit: impl FnMut(&mut Cursor<'a>, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if cursor.peek_value() != Some(b'{') {
        return cursor.ignore();
    }
    cursor.object(|cursor, key| {
        let mut plain = Vec::new();
        let name = cursor.name(&key, &mut plain);
        visit(cursor, name)
    })
}

/// Moves over an array, calling `visit` for its elements, or over any other value. Returns whether
/// it was an array.
pub(crate) fn array<'a>(
    cursor: &mut Cursor<'a>,
    visit: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    if cursor.peek_value() != Some(b'[') {
        cursor.skip()?;
        return Ok(false);
    }
    cursor.array(visit)?;
    Ok(true)
}

/// Keeps the first string that is not empty.
pub(crate) fn keep_first(kept: &mut Option<String>, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if kept.is_some() {
        return cursor.ignore();
    }
    *kept = owned(cursor)?.filter(|text| !text.is_empty());
    Ok(())
}

/// A string, unescaped; `None` for any other value.
pub(crate) fn string<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    if cursor.peek_value() != Some(b'"') {
        cursor.ignore()?;
        return Ok(None);
    }
    let found = cursor.string()?;
    if found.escaped {
        return Ok(serde_json::from_slice(cursor.slice(&found.range)).ok().map(Cow::Owned));
    }
    Ok(std::str::from_utf8(cursor.slice(&found.inner())).ok().map(Cow::Borrowed))
}

/// A string to keep.
pub(crate) fn owned(cursor: &mut Cursor<'_>) -> Result<Option<String>, Fault> {
    Ok(string(cursor)?.map(Cow::into_owned))
}

/// How many bytes of text a value stands for: a string's length after unescaping, the raw length
/// of a list or object with members, otherwise 0.
pub(crate) fn text_len(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let len = match cursor.peek_value() {
        Some(b'"') => {
            let text = cursor.string()?;
            let raw = cursor.slice(&text.inner());
            if text.escaped { unescaped_len(raw) } else { raw.len() }
        }
        Some(b'[' | b'{') => {
            let range = cursor.skip()?;
            if is_empty(cursor, &range) { 0 } else { range.len() }
        }
        _ => {
            cursor.skip()?;
            0
        }
    };
    Ok(len as u64)
}

/// Moves over a value; returns whether it says something: not `null`, `""`, `[]` or `{}`.
pub(crate) fn says_something(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
    let range = cursor.skip()?;
    Ok(cursor.slice(&range) != b"null" && !is_empty(cursor, &range))
}

/// The error in an object's `error` member, or the object's own members where there is none (vLLM's
/// older form), or the text itself.
pub(crate) fn error_of(data: &[u8]) -> Box<UpstreamError> {
    let mut error = UpstreamError::default();
    let mut cursor = Cursor::new(data);
    let is_text = std::str::from_utf8(data).is_ok();
    if !is_text || members(&mut cursor, &mut error).is_err() {
        error.message = Some(String::from_utf8_lossy(data).into_owned());
    }
    Box::new(error)
}

/// Reads an error value: an object, or a string that is the message. `None` for what servers
/// write beside good answers: `null`, `false`, nothing between quotes or brackets.
pub(crate) fn error(cursor: &mut Cursor<'_>) -> Result<Option<Box<UpstreamError>>, Fault> {
    let mut error = UpstreamError::default();
    match cursor.peek_value() {
        Some(b'n' | b'f') => return cursor.skip().map(|_| None),
        Some(b'"') => {
            error.message = owned(cursor)?;
            if error.message.as_deref() == Some("") {
                return Ok(None);
            }
        }
        Some(b'[') => {
            if !says_something(cursor)? {
                return Ok(None);
            }
        }
        _ => members(cursor, &mut error)?,
    }
    Ok(Some(Box::new(error)))
}

fn members(cursor: &mut Cursor<'_>, error: &mut UpstreamError) -> Result<(), Fault> {
    object(cursor, |cursor, name| {
        match name {
            b"type" => error.kind = owned(cursor)?,
            b"message" => error.message = owned(cursor)?,
            b"code" => error.code = code(cursor)?,
            b"error" if cursor.peek_value() == Some(b'{') => members(cursor, error)?,
            _ => cursor.ignore()?,
        }
        Ok(())
    })
}

fn code(cursor: &mut Cursor<'_>) -> Result<Option<String>, Fault> {
    let is_number = matches!(cursor.peek_value(), Some(b'0'..=b'9' | b'-'));
    if !is_number {
        return owned(cursor);
    }
    let range = cursor.skip()?;
    Ok(Some(String::from_utf8_lossy(cursor.slice(&range)).into_owned()))
}

fn is_empty(cursor: &Cursor<'_>, range: &Range<usize>) -> bool {
    match cursor.slice(range) {
        [b'"', inner @ .., b'"'] => inner.is_empty(),
        [b'[' | b'{', inner @ .., _] => inner.trim_ascii().is_empty(),
        _ => false,
    }
}
