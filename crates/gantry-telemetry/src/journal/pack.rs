//! The part of MessagePack that records are made of: empty values, flags, whole numbers, texts,
//! lists and maps. <https://github.com/msgpack/msgpack/blob/master/spec.md>
//!
//! [`Fields`] writes, for the journal's writer; [`Cursor`] reads, for the lake and for tests. It is
//! written out here because both run once per request and field, on the whole of the load: a
//! general serializer costs several times as many instructions. Pure; no input makes it panic.

#[cfg(test)]
mod tests;

use super::names;
use gantry_model::record::table::{FieldWriter, Place, Row};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Lists and maps deeper than this are malformed: reading them takes stack.
const DEPTH_MAX: usize = 64;

/// Writes a map with the numbers of fields as keys, field by field, for
/// [`Row::write`](gantry_model::record::table::Row::write).
pub(super) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: u16,
}

impl<'a> Fields<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        // The number of entries follows in `end`.
        out.extend_from_slice(&[0xde, 0, 0]);
        Self { out, start, count: 0 }
    }

    pub(super) fn end(self) {
        let count = self.count.to_be_bytes();
        if let Some(slot) = self.out.get_mut(self.start + 1..self.start + 3) {
            slot.copy_from_slice(&count);
        }
    }

    /// Writes the key; the caller writes exactly one value after it.
    #[inline]
    pub(super) fn key(&mut self, key: u8) -> &mut Vec<u8> {
        self.count += 1;
        self.out.push(key);
        self.out
    }

    /// The bytes of a map by itself; left out when it has no field.
    pub(super) fn map_bytes(&mut self, key: u8, write: impl FnOnce(&mut Fields<'_>)) {
        let start = self.out.len();
        // The number of bytes follows below.
        self.out.extend_from_slice(&[key, 0xc6, 0, 0, 0, 0]);
        let mut fields = Fields::begin(self.out);
        write(&mut fields);
        let written = fields.count > 0;
        fields.end();
        if !written {
            self.out.truncate(start);
            return;
        }
        self.count += 1;
        // A frame holds far less than the 4 GiB that the length can say: longer ones are refused.
        let bytes = u32::try_from(self.out.len() - start - 6).unwrap_or(u32::MAX);
        if let Some(slot) = self.out.get_mut(start + 2..start + 6) {
            slot.copy_from_slice(&bytes.to_be_bytes());
        }
    }
}

impl FieldWriter for Fields<'_> {
    #[inline]
    fn text(&mut self, number: u8, value: &str, always: bool) {
        if always || !value.is_empty() {
            self.count += 1;
            keyed_text(self.out, number, value);
        }
    }

    #[inline]
    fn number(&mut self, number: u8, value: u64, always: bool) {
        if always || value != 0 {
            self.count += 1;
            keyed_number(self.out, number, value);
        }
    }

    #[inline]
    fn signed(&mut self, number: u8, value: i64) {
        signed(self.key(number), value);
    }

    #[inline]
    fn flag(&mut self, number: u8, value: bool) {
        if value {
            self.key(number).push(0xc3);
        }
    }

    #[inline]
    fn texts(&mut self, number: u8, values: &[String]) {
        if !values.is_empty() {
            let out = self.key(number);
            head(out, 0x90, 0xdc, values.len());
            values.iter().for_each(|value| text(out, value));
        }
    }

    #[inline]
    fn map(&mut self, number: u8, pairs: &BTreeMap<String, String>) {
        if !pairs.is_empty() {
            let out = self.key(number);
            head(out, 0x80, 0xde, pairs.len());
            for (key, value) in pairs {
                text(out, key);
                text(out, value);
            }
        }
    }

    #[inline]
    fn object<T: Row>(&mut self, number: u8, value: &T) {
        append_row(self.key(number), value);
    }

    #[inline]
    fn objects<T: Row>(&mut self, number: u8, values: &[T]) {
        if !values.is_empty() {
            let out = self.key(number);
            head(out, 0x90, 0xdc, values.len());
            values.iter().for_each(|value| append_row(out, value));
        }
    }
}

/// An object within a record.
fn append_row<T: Row>(out: &mut Vec<u8>, value: &T) {
    let mut fields = Fields::begin(out);
    value.write(Place::Own, &mut fields);
    fields.end();
}

/// A key and its text. Expanded for each field: a call would cost half as much again.
#[inline(always)]
fn keyed_text(out: &mut Vec<u8>, key: u8, value: &str) {
    // Most texts are short: then key and length go out as one.
    match u8::try_from(value.len()) {
        Ok(short @ 0..32) => out.extend_from_slice(&[key, 0xa0 | short]),
        Ok(_) | Err(_) => {
            out.push(key);
            text_length(out, value.len());
        }
    }
    // A frame holds far less than the 4 GiB that the length can say: longer ones are refused.
    out.extend_from_slice(value.as_bytes());
}

/// A key and its number.
#[inline]
fn keyed_number(out: &mut Vec<u8>, key: u8, value: u64) {
    match u8::try_from(value) {
        Ok(few @ 0..0x80) => out.extend_from_slice(&[key, few]),
        Ok(_) | Err(_) => {
            out.push(key);
            number(out, value);
        }
    }
}

#[inline]
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    text_length(out, value.len());
    out.extend_from_slice(value.as_bytes());
}

/// Beginning of a text of so many bytes.
fn text_length(out: &mut Vec<u8>, bytes: usize) {
    match u32::try_from(bytes).unwrap_or(u32::MAX) {
        short @ 0..32 => out.push(0xa0 | short.to_le_bytes()[0]),
        byte @ 32..0x100 => out.extend_from_slice(&[0xd9, byte.to_le_bytes()[0]]),
        long => {
            out.push(0xdb);
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
}

#[inline(never)]
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    let [.., c, b, a] = value.to_be_bytes();
    match value {
        0..0x80 => out.push(a),
        0x80..0x100 => out.extend_from_slice(&[0xcc, a]),
        0x100..0x1_0000 => out.extend_from_slice(&[0xcd, b, a]),
        0x1_0000..0x1_0000_0000 => {
            let [_, _, _, _, d, ..] = value.to_be_bytes();
            out.extend_from_slice(&[0xce, d, c, b, a]);
        }
        _ => {
            let [h, g, f, e, d, ..] = value.to_be_bytes();
            out.extend_from_slice(&[0xcf, h, g, f, e, d, c, b, a]);
        }
    }
}

/// A number that may be below zero.
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => number(out, value),
        Err(_) => {
            out.push(0xd3);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// Beginning of a list or map of `count` elements or entries.
#[inline]
fn head(out: &mut Vec<u8>, short: u8, middle: u8, count: usize) {
    match u32::try_from(count).unwrap_or(u32::MAX) {
        few @ 0..16 => out.push(short | few.to_le_bytes()[0]),
        some @ 16..0x1_0000 => {
            let [_, _, b, a] = some.to_be_bytes();
            out.extend_from_slice(&[middle, b, a]);
        }
        many => {
            out.push(middle + 1);
            out.extend_from_slice(&many.to_be_bytes());
        }
    }
}

/// The bytes are not the MessagePack that a record is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a record: it is malformed")]
pub struct Malformed;

/// One value, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    Nil,
    Flag(bool),
    /// A number from 0 on.
    Number(u64),
    /// A number below 0.
    Negative(i64),
    /// A number that is not whole; no field has one today.
    Real(f64),
    /// Not checked to be UTF-8: whoever needs it checks many at once.
    Text(&'a [u8]),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// So many values follow.
    List(u32),
    /// So many keys follow, each with its value.
    Map(u32),
}

/// What a value in a map is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// One of [`super::names`], or of a later version's.
    Number(u8),
    /// Not checked to be UTF-8.
    Name(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The name. A number of a later version is told as it is, so that its value is kept.
    #[must_use]
    pub fn name(self) -> Cow<'a, [u8]> {
        match self {
            Self::Name(name) => name.into(),
            Self::Number(number) => match names::name(number) {
                Some(name) => name.as_bytes().into(),
                None => format!("field_{number}").into_bytes().into(),
            },
        }
    }
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value; of a list or a map only its beginning.
    ///
    /// # Errors
    /// At the end, and at what records have none of: extensions.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(match first {
            0x00..=0x7f => Token::Number(first.into()),
            0x80..=0x8f => Token::Map((first & 0x0f).into()),
            0x90..=0x9f => Token::List((first & 0x0f).into()),
            0xa0..=0xbf => Token::Text(self.slice((first & 0x1f).into())?),
            0xc0 => Token::Nil,
            0xc2 => Token::Flag(false),
            0xc3 => Token::Flag(true),
            0xc4 => Token::Bytes(self.bytes_after(1)?),
            0xc5 => Token::Bytes(self.bytes_after(2)?),
            0xc6 => Token::Bytes(self.bytes_after(4)?),
            0xca => Token::Real(f32::from_be_bytes(self.bytes()?).into()),
            0xcb => Token::Real(f64::from_be_bytes(self.bytes()?)),
            0xcc => Token::Number(u8::from_be_bytes(self.bytes()?).into()),
            0xcd => Token::Number(u16::from_be_bytes(self.bytes()?).into()),
            0xce => Token::Number(u32::from_be_bytes(self.bytes()?).into()),
            0xcf => Token::Number(u64::from_be_bytes(self.bytes()?)),
            0xd0 => whole(i8::from_be_bytes(self.bytes()?).into()),
            0xd1 => whole(i16::from_be_bytes(self.bytes()?).into()),
            0xd2 => whole(i32::from_be_bytes(self.bytes()?).into()),
            0xd3 => whole(i64::from_be_bytes(self.bytes()?)),
            0xd9 => Token::Text(self.bytes_after(1)?),
            0xda => Token::Text(self.bytes_after(2)?),
            0xdb => Token::Text(self.bytes_after(4)?),
            0xdc => Token::List(u16::from_be_bytes(self.bytes()?).into()),
            0xdd => Token::List(u32::from_be_bytes(self.bytes()?)),
            0xde => Token::Map(u16::from_be_bytes(self.bytes()?).into()),
            0xdf => Token::Map(u32::from_be_bytes(self.bytes()?)),
            0xe0..=0xff => Token::Negative(i8::from_be_bytes([first]).into()),
            _ => return Err(Malformed),
        })
    }

    /// The next value, which has to be a text.
    ///
    /// # Errors
    /// As [`Cursor::token`], and when it is anything else.
    #[inline]
    pub fn text(&mut self) -> Result<&'a [u8], Malformed> {
        match self.token()? {
            Token::Text(text) => Ok(text),
            _ => Err(Malformed),
        }
    }

    /// The next value, which has to be a key of a map.
    ///
    /// # Errors
    /// As [`Cursor::token`], and when it is anything else.
    #[inline]
    pub fn key(&mut self) -> Result<Key<'a>, Malformed> {
        if let Some((&number @ 0..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(Key::Number(number));
        }
        self.text().map(Key::Name)
    }

    /// Passes over these bytes; false when others follow. As no value is the beginning of another,
    /// a whole value's bytes stand for the value.
    #[inline]
    pub fn eat(&mut self, bytes: &[u8]) -> bool {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The next value, when it is a number below 2^32 in its usual form; else it is unread.
    ///
    /// It says nothing that [`Cursor::token`] does not, in a third of the time.
    #[inline]
    pub fn small_number(&mut self) -> Option<u32> {
        let (number, rest) = match *self.0 {
            [few @ 0..0x80, ref rest @ ..] => (few.into(), rest),
            [0xcc, a, ref rest @ ..] => (a.into(), rest),
            [0xcd, b, a, ref rest @ ..] => (u16::from_be_bytes([b, a]).into(), rest),
            [0xce, d, c, b, a, ref rest @ ..] => (u32::from_be_bytes([d, c, b, a]), rest),
            _ => return None,
        };
        self.0 = rest;
        Some(number)
    }

    /// The next value, when it is a text of less than 256 bytes in its usual form; else it is
    /// unread. As [`Cursor::small_number`].
    #[inline]
    pub fn small_text(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = match *self.0 {
            [first @ 0xa0..0xc0, ref rest @ ..] => (first & 0x1f, rest),
            [0xd9, length, ref rest @ ..] => (length, rest),
            _ => return None,
        };
        let (text, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        Some(text)
    }

    /// The bytes from here to where `end` is, a later state of this cursor.
    #[must_use]
    pub fn bytes_to(&self, end: &Self) -> &'a [u8] {
        self.0.get(..self.0.len().saturating_sub(end.0.len())).unwrap_or_default()
    }

    /// Passes over the whole next value.
    ///
    /// # Errors
    /// As [`Cursor::token`].
    pub fn skip(&mut self) -> Result<(), Malformed> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            left = match self.token()? {
                Token::List(count) => left.saturating_add(count.into()),
                Token::Map(count) => left.saturating_add(u64::from(count) * 2),
                _ => left,
            };
        }
        Ok(())
    }

    /// Appends the whole next value as JSON. After an error `json` holds a part of it.
    ///
    /// # Errors
    /// As [`Cursor::token`], at raw bytes, and when a key is none or the value is too deep.
    pub fn append_json(&mut self, json: &mut Vec<u8>) -> Result<(), Malformed> {
        self.append_value(json, DEPTH_MAX)
    }

    #[inline]
    fn append_value(&mut self, json: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
        if let Some(text) = self.small_text() {
            append_text(json, text);
            return Ok(());
        }
        if let Some(number) = self.small_number() {
            append_number(json, number.into());
            return Ok(());
        }
        let token = self.token()?;
        self.append_token(token, json, depth)
    }

    fn append_token(
        &mut self,
        token: Token<'a>,
        json: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let inner = depth.checked_sub(1).ok_or(Malformed)?;
        match token {
            Token::Nil => json.extend_from_slice(b"null"),
            Token::Flag(true) => json.extend_from_slice(b"true"),
            Token::Flag(false) => json.extend_from_slice(b"false"),
            Token::Number(number) => append_number(json, number),
            Token::Negative(number) => {
                json.push(b'-');
                append_number(json, number.unsigned_abs());
            }
            Token::Real(real) if real.is_finite() => {
                json.extend_from_slice(format!("{real:?}").as_bytes())
            }
            Token::Real(_) => json.extend_from_slice(b"null"),
            Token::Text(text) => append_text(json, text),
            // They mean nothing without what they belong to.
            Token::Bytes(_) => return Err(Malformed),
            Token::List(count) => {
                json.push(b'[');
                for number in 0..count {
                    if number > 0 {
                        json.push(b',');
                    }
                    self.append_value(json, inner)?;
                }
                json.push(b']');
            }
            Token::Map(count) => {
                json.push(b'{');
                for number in 0..count {
                    if number > 0 {
                        json.push(b',');
                    }
                    append_key(json, self.key()?);
                    self.append_value(json, inner)?;
                }
                json.push(b'}');
            }
        }
        Ok(())
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    #[inline]
    fn slice(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// As many bytes as the next `width` bytes say.
    fn bytes_after(&mut self, width: usize) -> Result<&'a [u8], Malformed> {
        let length = self.slice(width)?;
        self.slice(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }
}

fn whole(value: i64) -> Token<'static> {
    u64::try_from(value).map_or(Token::Negative(value), Token::Number)
}

/// Appends decimal digits.
fn append_number(json: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    json.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends a key as JSON, with the colon.
pub fn append_key(json: &mut Vec<u8>, key: Key<'_>) {
    let known = match key {
        Key::Number(number) => names::json(number),
        Key::Name(_) => None,
    };
    match known {
        Some(known) => json.extend_from_slice(known.as_bytes()),
        None => {
            append_text(json, &key.name());
            json.push(b':');
        }
    }
}

/// Appends a text as a JSON string.
pub fn append_text(json: &mut Vec<u8>, text: &[u8]) {
    json.push(b'"');
    let (words, rest) = text.as_chunks::<8>();
    if words.iter().all(|word| is_plain(*word)) && rest.iter().all(|byte| !is_special(*byte)) {
        json.extend_from_slice(text);
    } else {
        text.iter().for_each(|byte| append_escaped(json, *byte));
    }
    json.push(b'"');
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether none of eight bytes needs an escape, found without a look at each. As in "Bit Twiddling
/// Hacks" (Anderson): a byte less than n has its high bit set in `(x - n) & !x`.
fn is_plain(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7) == 0
}

fn append_escaped(json: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => json.extend_from_slice(b"\\\""),
        b'\\' => json.extend_from_slice(b"\\\\"),
        b'\n' => json.extend_from_slice(b"\\n"),
        b'\r' => json.extend_from_slice(b"\\r"),
        b'\t' => json.extend_from_slice(b"\\t"),
        0..0x20 => json.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        _ => json.push(byte),
    }
}
