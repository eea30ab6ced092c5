//! Strings and values that borrow from the body they were read from.
//!
//! The wire structs and the neutral form use them. Prose goes through a translation unread, so it
//! stays as the body spells it; only names, ids and the like are unescaped.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A string for the code to look at: unescaped, borrowed unless it contained escapes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Str<'_> {
    /// Whether nothing but whitespace is in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0.trim_start().is_empty()
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// The quotes around a JSON string.
const QUOTES_BYTES: usize = 2;

/// A string to pass on: printers copy it as the body spelled it.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Needs no escapes in JSON.
    Plain(&'a str),
    /// A JSON string with its quotes, whose escapes the reader has checked.
    Escaped(&'a str),
    /// Any text, not escaped yet.
    Owned(String),
}

impl<'a> Text<'a> {
    /// The text itself.
    #[must_use]
    pub fn decode(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(json) => Cow::Owned(unescape(json)),
            Self::Owned(text) => Cow::Borrowed(text),
        }
    }

    /// The text itself, as long-lived as the body where it has no escapes.
    #[must_use]
    pub fn into_str(self) -> Str<'a> {
        Str(match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(json) => Cow::Owned(unescape(json)),
            Self::Owned(text) => Cow::Owned(text),
        })
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Plain(text) => text.is_empty(),
            Self::Escaped(_) => false,
            Self::Owned(text) => text.is_empty(),
        }
    }

    /// Whether nothing but whitespace is in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Plain(text) => text.trim_start().is_empty(),
            // Most texts begin with a letter, which settles it without unescaping.
            Self::Escaped(json) => match json.as_bytes().get(1) {
                Some(first) if first.is_ascii_graphic() && *first != b'\\' => false,
                _ => unescape(json).trim().is_empty(),
            },
            Self::Owned(text) => text.trim_start().is_empty(),
        }
    }

    /// Bytes of the text itself.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Escaped(json) => unescaped_len(json.as_bytes()).saturating_sub(QUOTES_BYTES),
            Self::Owned(text) => text.len(),
        }
    }

    /// Appends the text itself.
    pub fn push_to(&self, to: &mut String) {
        to.push_str(&self.decode());
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Plain("")
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

/// The content of a JSON string that is known to be one.
fn unescape(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_default()
}

/// UTF-8 length of a JSON string's inside after unescaping. Each half of a surrogate pair counts 2.
pub(crate) fn unescaped_len(raw: &[u8]) -> usize {
    let mut len = 0;
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        len += at;
        let escape = rest.get(at + 1..).unwrap_or_default();
        let (taken, made) = match escape {
            [b'u', digits @ ..] => (5, utf8_len(digits.get(..4).unwrap_or_default())),
            _ => (1, 1),
        };
        len += made;
        rest = escape.get(taken..).unwrap_or_default();
    }
    len + rest.len()
}

fn utf8_len(digits: &[u8]) -> usize {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    match u16::from_str_radix(text, 16).unwrap_or_default() {
        0..=0x7F => 1,
        0x80..=0x7FF | 0xD800..=0xDFFF => 2,
        _ => 3,
    }
}

/// A JSON value as the body spells it, without whitespace around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// `json` must be one whole, valid value.
    pub(crate) fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &'a str {
        self.0
    }
}

impl Default for Raw<'_> {
    fn default() -> Self {
        Self("null")
    }
}

/// A JSON number as the body spells it, so that no digit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// `json` must be one whole, valid number.
    pub(crate) fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &'a str {
        self.0
    }

    /// Whether it is greater than one.
    #[must_use]
    pub fn exceeds_one(&self) -> bool {
        match self.0.as_bytes() {
            // Nearly all temperatures: a sign, or no whole part and no exponent.
            [b'-', ..] => false,
            [b'0', rest @ ..] if !rest.iter().any(u8::is_ascii_alphabetic) => false,
            _ => self.0.parse::<f64>().is_ok_and(|value| value > 1.0),
        }
    }
}

impl Default for Number<'_> {
    fn default() -> Self {
        Self("0")
    }
}

/// A field that is either a string or something else (a list of parts, an object).
#[derive(Clone, Debug)]
pub enum StrOr<S, T> {
    Str(S),
    Other(T),
}

#[cfg(test)]
mod tests {
    use super::{Number, Text};

    #[test]
    fn blank_texts_are_told_in_all_spellings() {
        for (text, blank) in [
            (Text::Plain(""), true),
            (Text::Plain(" "), true),
            (Text::Plain("\u{a0}"), true),
            (Text::Plain(" a"), false),
            (Text::Escaped(r#""\n \u0020""#), true),
            (Text::Escaped(r#"" \t""#), true),
            (Text::Escaped(r#""a\n""#), false),
            (Text::Escaped(r#""\n\n.""#), false),
            (Text::Owned("\n".to_owned()), true),
            (Text::Owned("\nb".to_owned()), false),
        ] {
            assert_eq!(text.is_blank(), blank, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_compared_with_one() {
        for (json, exceeds) in [
            ("0.2", false),
            ("0", false),
            ("1", false),
            ("1.0", false),
            ("-3", false),
            ("1.01", true),
            ("2", true),
            ("0.2e1", true),
            ("10e-1", false),
        ] {
            assert_eq!(Number::new(json).exceeds_one(), exceeds, "{json}");
        }
    }

    #[test]
    fn escaped_texts_are_unescaped() {
        let text = Text::Escaped(r#""a\n\u00e4\ud83d\ude00\"""#);
        assert_eq!(text.decode(), "a\nä😀\"");
        assert_eq!(text.len(), "a\nä😀\"".len());
        assert_eq!(&*text.into_str(), "a\nä😀\"");
    }
}
