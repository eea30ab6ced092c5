//! Chat replies with less or more than OpenAI's schema, as their caller asks for it.
//!
//! The gateway calls it on replies that are in OpenAI's dialect already, only for callers who send
//! `x-tfy-strict-openai`. It prints the members of the objects that it changes without the white
//! space between them, and never touches a reply that has no `choices`, such as an error.

use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use crate::sse::{self, Edit};
use bytes::Bytes;
use std::borrow::Cow;

/// What a caller wants of a chat reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but OpenAI's schema: no reasoning, no `provider`, no finer reasons to stop.
    Strict,
    /// All there is, and the name of the provider as `provider`, unless the reply names one.
    Extended { provider: Cow<'static, str> },
}

/// Members of a choice that other servers, or Gantry itself, add.
const IN_CHOICE: [&[u8]; 3] = [b"native_finish_reason", b"stop_reason", b"stop_details"];

/// Members of a message or delta that hold reasoning.
const IN_MESSAGE: [&[u8]; 4] =
    [b"reasoning_content", b"reasoning", b"reasoning_details", b"thinking_blocks"];

const PROVIDER: &[u8] = b"provider";

impl Shape {
    /// A whole reply in this shape; what is no chat reply stays as it is.
    #[must_use]
    pub fn reply(&self, body: Bytes) -> Bytes {
        self.reshaped(&body).map_or(body, Bytes::from)
    }

    /// Whole events of a stream in this shape.
    #[must_use]
    pub fn events(&self, complete: &[u8]) -> Bytes {
        sse::edited(complete, |event| self.reshaped(&event.data).map_or(Edit::Keep, Edit::Data))
    }

    fn reshaped(&self, json: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(json.len() + 32);
        let (mut choices, mut provider) = (false, false);
        let mut cursor = Cursor::new(json);
        let read = members(&mut cursor, &mut out, |cursor, name, out| {
            choices |= name == b"choices";
            provider |= name == PROVIDER;
            match self {
                Self::Strict if name == b"choices" => elements(cursor, out, choice),
                Self::Strict if name == PROVIDER => drop_value(cursor),
                Self::Strict | Self::Extended { .. } => copy(cursor, out),
            }
        });
        if read.and_then(|()| cursor.end()).is_err() || !choices {
            return None;
        }
        match self {
            Self::Extended { provider: name } if !provider => {
                out.pop();
                out.extend_from_slice(b",\"provider\":");
                // A string always prints.
                out.extend(serde_json::to_vec(name).unwrap_or_default());
                out.push(b'}');
            }
            Self::Strict | Self::Extended { .. } => {}
        }
        Some(out)
    }
}

fn choice(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    members(cursor, out, |cursor, name, out| match name {
        b"message" | b"delta" => members(cursor, out, |cursor, name, out| {
            if IN_MESSAGE.contains(&name) { drop_value(cursor) } else { copy(cursor, out) }
        })
        .map(|()| true),
        name if IN_CHOICE.contains(&name) => drop_value(cursor),
        _ => copy(cursor, out),
    })
}

/// Prints an object with those members for which `value` has printed something and says so; any
/// other value is copied.
fn members<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Vec<u8>,
    mut value: impl FnMut(&mut Cursor<'a>, &[u8], &mut Vec<u8>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    if cursor.peek_value() != Some(b'{') {
        return copy(cursor, out).map(drop);
    }
    out.push(b'{');
    let mut any = false;
    cursor.object(|cursor, key| {
        let before = out.len();
        if any {
            out.push(b',');
        }
        out.extend_from_slice(cursor.slice(&key.range));
        out.push(b':');
        let mut plain = Vec::new();
        let name = cursor.name(&key, &mut plain);
        match value(cursor, name, out)? {
            true => any = true,
            false => out.truncate(before),
        }
        Ok(())
    })?;
    out.push(b'}');
    Ok(())
}

/// Prints an array by its elements; any other value is copied.
fn elements<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Vec<u8>,
    mut element: impl FnMut(&mut Cursor<'a>, &mut Vec<u8>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    if cursor.peek_value() != Some(b'[') {
        return copy(cursor, out);
    }
    out.push(b'[');
    let mut any = false;
    cursor.array(|cursor| {
        if std::mem::replace(&mut any, true) {
            out.push(b',');
        }
        element(cursor, out)
    })?;
    out.push(b']');
    Ok(true)
}

fn copy(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Fault> {
    let range = cursor.skip()?;
    out.extend_from_slice(cursor.slice(&range));
    Ok(true)
}

fn drop_value(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
    cursor.ignore().map(|()| false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENDED: Shape = Shape::Extended { provider: Cow::Borrowed("aws-bedrock") };

    #[track_caller]
    fn check(shape: Shape, from: &'static str, to: &str) {
        let shaped = shape.reply(Bytes::from_static(from.as_bytes()));
        assert_eq!(std::str::from_utf8(&shaped).unwrap(), to);
    }

    #[test]
    fn strict_takes_out_what_openai_has_no_name_for_and_keeps_the_rest() {
        check(
            Shape::Strict,
            r#"{"provider":"x","id":"a", "n":1.0e2,"choices":[
              {"index":0,"message":{"reasoning_content":"hm","role":"assistant","content":"é",
               "thinking_blocks":[{"signature":"s"}],"refusal":null},
               "stop_reason":"END","finish_reason":"stop"},
              {"delta":{"reasoning":"hm"}}],"usage":{"provider":1}}"#,
            concat!(
                r#"{"id":"a","n":1.0e2,"choices":[{"index":0,"#,
                r#""message":{"role":"assistant","content":"é","refusal":null},"#,
                r#""finish_reason":"stop"},{"delta":{}}],"usage":{"provider":1}}"#
            ),
        );
    }

    #[test]
    fn extended_names_the_provider_unless_the_reply_does() {
        check(
            EXTENDED,
            r#"{"choices":[{"message":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"message":{"reasoning_content":"hm"}}],"provider":"aws-bedrock"}"#,
        );
        check(
            EXTENDED,
            r#"{"pr\u006fvider":"Azure","choices":[]}"#,
            r#"{"pr\u006fvider":"Azure","choices":[]}"#,
        );
    }

    #[test]
    fn what_is_no_chat_reply_stays_as_it_is() {
        for text in [r#"{ "error" : {"message":"no"}}"#, "[DONE]", "", "{\"choices\":[", "[1]"] {
            check(Shape::Strict, text, text);
            check(EXTENDED, text, text);
        }
    }

    #[test]
    fn odd_types_are_copied() {
        let odd = r#"{"choices":[null,{"message":"text","delta":[1]}],"provider":null}"#;
        let strict = r#"{"choices":[null,{"message":"text","delta":[1]}]}"#;
        check(Shape::Strict, odd, strict);
        check(EXTENDED, odd, odd);
    }

    #[test]
    fn every_event_of_a_stream_is_shaped_but_its_end_mark() {
        let stream = concat!(
            ": hello\n\ndata: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\r\n\r\n",
            ": on\nid: 7\ndata: {\"choices\":[],\ndata: \"provider\":\"x\",\n",
            "data: \"n\":[1,\ndata:2]}\n\n",
            "data: {\"choices\":[],\"provider\":\"x\"}\n\ndata: [DONE]\n\n"
        );
        let shaped = Shape::Strict.events(stream.as_bytes());
        let expected = concat!(
            ": hello\n\ndata: {\"choices\":[{\"delta\":{}}]}\n\n",
            ": on\nid: 7\ndata: {\"choices\":[],\"n\":[1,\ndata: 2]}\n\n",
            "data: {\"choices\":[]}\n\ndata: [DONE]\n\n"
        );
        assert_eq!(std::str::from_utf8(&shaped).unwrap(), expected);
    }
}
