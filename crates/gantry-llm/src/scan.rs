//! One validating pass over a JSON object that finds the few top-level fields a gateway acts on.
//!
//! The gateway's decode stage calls [`scan`] on every request body and hands the [`Index`] of its
//! members to `splice`; `observe` shares the cursor. It builds no tree and allocates nothing but
//! the index and an unescaped model name. It never repairs: a body that passes is valid JSON (RFC
//! 8259) and may be forwarded as it is.

mod block;
pub(crate) mod cursor;
mod error;
mod index;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use error::Fault;
pub use error::{Problem, ScanError};
pub use index::Index;
pub(crate) use index::Member;

use cursor::{Cursor, Str, count};
use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting of objects and arrays, the outermost object included.
///
/// 127 is what `serde_json` accepts, so a body that passes here is not refused for its depth when
/// a translation parses it later.
pub const DEPTH_MAX: u16 = 127;

/// Most fields of the outermost object.
///
/// The index takes 48 bytes for a field that may be 5 bytes long; requests have some 20.
pub const MEMBERS_MAX: usize = 4096;

/// The top-level fields of a request. Ranges are byte positions in the scanned body.
///
/// Fields that are `null` count as absent. Counts that are no whole number are `None`: the upstream
/// judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    pub model: Option<Text<'a>>,
    pub stream: Option<Flag>,
    /// The value of `stream_options`, an object.
    pub stream_options: Option<Range<usize>>,
    /// `include_usage` inside `stream_options`.
    pub include_usage: Option<bool>,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub n: Option<u64>,
    /// The value of `messages`, an array.
    pub messages: Option<Range<usize>>,
    /// The value of `input` (embeddings), of any type.
    pub input: Option<Range<usize>>,
    /// The value of `prompt` (legacy completions), of any type.
    pub prompt: Option<Range<usize>>,
    /// The value of `system` (Anthropic Messages), of any type.
    pub system: Option<Range<usize>>,
    /// The value of `tools`, of any type.
    pub tools: Option<Range<usize>>,
    /// Where all top-level members stand.
    pub index: Index,
    /// Whether there are escapes of surrogates, in pairs or not: see [`crate::surrogates`].
    pub surrogates: bool,
}

impl Head<'_> {
    /// Whether the caller asked for a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.as_ref().is_some_and(|flag| flag.value)
    }

    /// The caller's limit of output tokens, under either of its names; the newer name wins.
    #[must_use]
    pub fn output_tokens_max(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

/// A string value, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    pub value: Cow<'a, str>,
    /// Where it stands, quotes included.
    pub range: Range<usize>,
}

/// A boolean value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub value: bool,
    pub range: Range<usize>,
}

/// Checks that `body` is one JSON object and finds the fields of [`Head`].
///
/// # Errors
/// When the body is not valid JSON, is not an object, nests deeper than [`DEPTH_MAX`], has more
/// than [`MEMBERS_MAX`] fields, when `model` or `stream` has the wrong type, or when a field of
/// [`Head`] occurs twice: two parsers could then disagree about what was asked.
pub fn scan(body: &[u8]) -> Result<Head<'_>, ScanError> {
    let mut capture = Capture { seen: 0, head: Head::default() };
    let mut cursor = Cursor::new(body);
    capture.whole(&mut cursor).map_err(|fault| ScanError::new(body, fault))?;
    Ok(capture.head)
}

struct Capture<'a> {
    /// One bit for each captured field that has occurred.
    seen: u16,
    head: Head<'a>,
}

impl<'a> Capture<'a> {
    fn whole(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let mut index = Index::default();
        index.fill(cursor, |cursor, key| self.member(cursor, key))?;
        self.head.index = index;
        self.head.surrogates = cursor.surrogates();
        Ok(())
    }

    fn member(&mut self, cursor: &mut Cursor<'a>, key: &Str) -> Result<(), Fault> {
        match cursor.name(key, &mut Vec::new()) {
            b"model" => {
                self.once(0, "model", key)?;
                self.head.model = Some(Self::model(cursor)?);
            }
            b"stream" => {
                self.once(1, "stream", key)?;
                self.head.stream = stream(cursor)?;
            }
            b"stream_options" => {
                self.once(2, "stream_options", key)?;
                self.stream_options(cursor)?;
            }
            b"max_tokens" => {
                self.once(3, "max_tokens", key)?;
                self.head.max_tokens = count(cursor)?;
            }
            b"max_completion_tokens" => {
                self.once(4, "max_completion_tokens", key)?;
                self.head.max_completion_tokens = count(cursor)?;
            }
            b"n" => {
                self.once(5, "n", key)?;
                self.head.n = count(cursor)?;
            }
            b"messages" => {
                self.once(6, "messages", key)?;
                let is_array = cursor.peek_value() == Some(b'[');
                self.head.messages = Some(cursor.skip()?).filter(|_| is_array);
            }
            b"input" => {
                self.once(7, "input", key)?;
                self.head.input = present(cursor)?;
            }
            b"prompt" => {
                self.once(8, "prompt", key)?;
                self.head.prompt = present(cursor)?;
            }
            b"system" => {
                self.once(9, "system", key)?;
                self.head.system = present(cursor)?;
            }
            b"tools" => {
                self.once(10, "tools", key)?;
                self.head.tools = present(cursor)?;
            }
            _ => cursor.ignore()?,
        }
        Ok(())
    }

    fn once(&mut self, bit: u16, field: &'static str, key: &Str) -> Result<(), Fault> {
        let mask = 1 << bit;
        if self.seen & mask != 0 {
            return Err(Fault::new(Problem::Duplicate(field.into()), key.range.start));
        }
        self.seen |= mask;
        Ok(())
    }

    fn model(cursor: &mut Cursor<'a>) -> Result<Text<'a>, Fault> {
        let first = cursor.peek_value();
        let start = cursor.at();
        if first != Some(b'"') {
            cursor.skip()?;
            return Err(Fault::new(Problem::Type { field: "model", expected: "a string" }, start));
        }
        let found = cursor.string()?;
        let value = if found.escaped {
            // Only an unpaired surrogate is left to fail here; it has no UTF-8 form.
            let plain = serde_json::from_slice::<String>(cursor.slice(&found.range));
            Cow::Owned(plain.map_err(|_| Fault::new(Problem::Surrogate, start))?)
        } else {
            let plain = std::str::from_utf8(cursor.slice(&found.inner()));
            Cow::Borrowed(plain.map_err(|_| Fault::new(Problem::Utf8, start))?)
        };
        Ok(Text { value, range: found.range })
    }

    fn stream_options(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        if cursor.peek_value() != Some(b'{') {
            cursor.skip()?;
            return Ok(());
        }
        let start = cursor.at();
        cursor.object(|cursor, key| {
            if cursor.name(&key, &mut Vec::new()) == b"include_usage" {
                self.once(11, "include_usage", &key)?;
                let range = cursor.skip()?;
                self.head.include_usage = boolean(cursor.slice(&range));
                return Ok(());
            }
            cursor.ignore()
        })?;
        self.head.stream_options = Some(start..cursor.at());
        Ok(())
    }
}

fn stream(cursor: &mut Cursor<'_>) -> Result<Option<Flag>, Fault> {
    let range = cursor.skip()?;
    let bytes = cursor.slice(&range);
    if bytes == b"null" {
        return Ok(None);
    }
    let problem = Problem::Type { field: "stream", expected: "true or false" };
    let value = boolean(bytes).ok_or_else(|| Fault::new(problem, range.start))?;
    Ok(Some(Flag { value, range }))
}

fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

fn present(cursor: &mut Cursor<'_>) -> Result<Option<Range<usize>>, Fault> {
    let range = cursor.skip()?;
    let is_null = cursor.slice(&range) == b"null";
    Ok(Some(range).filter(|_| !is_null))
}
