//! What the wire structs of all dialects share: the macro for bodies with unknown fields, and
//! errors that name the field.
//!
//! Wire structs are plain serde structs with optional fields, because servers and clients leave
//! out what they like; tagged enums would buffer each value and so copy each string.

use crate::translate::Error;
use serde::Deserialize;

/// Makes a struct of optional fields plus `unknown`, which keeps the fields it does not know, in
/// order, unless they are null. serde's `flatten` would buffer the whole body instead.
macro_rules! wire_fields {
    ($vis:vis struct $name:ident { $($field:ident : $ty:ty),* $(,)? }) => {
        #[derive(Default)]
        $vis struct $name<'a> {
            $($vis $field: Option<$ty>,)*
            $vis unknown: Vec<(
                crate::neutral::Str<'a>,
                &'a serde_json::value::RawValue,
            )>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Fields<'a>(std::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Fields<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a JSON object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut fields = $name::default();
                        while let Some(key) = map.next_key::<crate::neutral::Str<'a>>()? {
                            match &*key {
                                $(stringify!($field) => fields.$field = map.next_value()?,)*
                                _ => {
                                    let raw: &serde_json::value::RawValue = map.next_value()?;
                                    if raw.get() != "null" {
                                        fields.unknown.push((key, raw));
                                    }
                                }
                            }
                        }
                        Ok(fields)
                    }
                }
                from.deserialize_map(Fields(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use wire_fields;

/// Parses a body; an error names the field where the body stopped making sense.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default().to_owned();
        let cut_off = error.is_eof();
        let offset = if cut_off { body.len() } else { offset(body, error.line(), error.column()) };
        Error { field: path_at(body, offset), message }
    })
}

/// Byte offset of a one-based line and column.
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        body.split(|b| *b == b'\n').take(line.saturating_sub(1)).map(|l| l.len() + 1).sum();
    before + column.saturating_sub(1)
}

/// One level of nesting on the way to an offset.
enum Level {
    Object(String),
    List(usize),
}

/// Path of the value at an offset, such as `messages[1].content`; empty at the top.
fn path_at(body: &[u8], offset: usize) -> String {
    let head = body.get(..offset.min(body.len())).unwrap_or_default();
    let mut levels: Vec<Level> = Vec::new();
    let mut string: Option<Vec<u8>> = None;
    let mut last = String::new();
    let mut escaped = false;
    for &byte in head {
        if let Some(text) = &mut string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    last = String::from_utf8_lossy(text).into_owned();
                    string = None;
                }
                _ => text.push(byte),
            }
            continue;
        }
        match (byte, levels.last_mut()) {
            (b'"', _) => string = Some(Vec::new()),
            (b'{', _) => levels.push(Level::Object(String::new())),
            (b'[', _) => levels.push(Level::List(0)),
            (b'}' | b']', _) => drop(levels.pop()),
            (b':', Some(Level::Object(key))) => *key = std::mem::take(&mut last),
            (b',', Some(Level::List(index))) => *index += 1,
            _ => {}
        }
    }
    join(&levels)
}

fn join(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::List(index) => path.push_str(&format!("[{index}]")),
            Level::Object(key) if key.is_empty() => {}
            Level::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::neutral::Str;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow, rename = "role")]
        _role: Str<'a>,
    }

    wire_fields!(
        struct Body {
            messages: Vec<Inner<'a>>,
            max_tokens: u64,
        }
    );

    #[test]
    fn unknown_fields_are_kept_and_nulls_are_absent() {
        let body = br#"{"a":1,"max_tokens":null,"b":null,"c":{"x":[]}}"#;
        let fields: Body<'_> = parse(body).unwrap();
        let unknown: Vec<_> = fields.unknown.iter().map(|(k, v)| (&**k, v.get())).collect();
        assert_eq!(unknown, [("a", "1"), ("c", r#"{"x":[]}"#)]);
        assert!(fields.max_tokens.is_none());
    }

    #[test]
    fn errors_name_the_field() {
        for (body, field, message) in [
            (
                r#"{"max_tokens":"many"}"#,
                "max_tokens",
                "invalid type: string \"many\", expected u64",
            ),
            (
                "{\n\"messages\":[{\"role\":\"a\"},\n{\"role\":7}]}",
                "messages[1].role",
                "invalid type",
            ),
            (r#"{"messages":[{"role":"a"},{}]}"#, "messages[1]", "missing field `role`"),
            (r#"{"messages":[{"role":"a"}"#, "messages[0]", "EOF"),
            (r#"[]"#, "", "invalid type: sequence, expected a JSON object"),
        ] {
            let Err(error) = parse::<Body<'_>>(body.as_bytes()) else {
                panic!("{body} was taken");
            };
            assert_eq!(error.field, field, "{body}");
            assert!(error.message.starts_with(message), "{body}: {}", error.message);
        }
    }
}
