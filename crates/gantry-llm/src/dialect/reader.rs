//! Reads JSON text from left to right, without building anything.
//!
//! The wire structs of all dialects are filled by it. The grammar is RFC 8259's without unpaired
//! surrogates, which no text can hold. Values that nobody asked for are checked too.

use crate::neutral::{Number, Raw, Text};

/// Deepest nesting of objects and lists; beyond it only an attack on the stack nests.
const DEPTH_MAX: u8 = 128;

/// Where and why reading stopped.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Byte offset; the end of the text if it was cut off.
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Boxed, so that the usual outcome stays small.
pub(crate) type Read<T> = Result<T, Box<Fault>>;

/// A position in a JSON text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
    /// The text begins inside an object, behind a comma.
    inside: bool,
    /// Where the members are that no struct knows, when that is asked for.
    strays: Option<Strays>,
}

/// Members that no struct knows and that say something.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// Offsets of the first ones' values, ascending.
    pub(crate) at: Vec<usize>,
    /// How many there are besides.
    pub(crate) more: usize,
}

/// Most members whose places are kept.
const STRAYS_MAX: usize = 32;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, inside: false, strays: None }
    }

    /// A reader that notes the members that no struct knows.
    pub(crate) fn noting_strays(text: &'a str) -> Self {
        Self { strays: Some(Strays::default()), ..Self::new(text) }
    }

    /// What was noted.
    pub(crate) fn take_strays(&mut self) -> Strays {
        self.strays.take().unwrap_or_default()
    }

    /// A reader of the rest of an object, from the key of a member on.
    pub(crate) fn inside_object(text: &'a str) -> Self {
        Self { depth: 1, inside: true, ..Self::new(text) }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Checks that nothing but whitespace is left.
    pub(crate) fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("trailing characters")),
        }
    }

    /// Moves over whitespace and shows the next byte.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Moves over an object. `member` is called with each key and must move over its value.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &[u8]) -> Read<()>,
    ) -> Read<()> {
        if !std::mem::take(&mut self.inside) {
            if self.peek() != Some(b'{') {
                return Err(self.mistyped("a JSON object"));
            }
            self.open()?;
            if self.peek() == Some(b'}') {
                return self.close();
            }
        }
        loop {
            match self.plain_key() {
                Some(key) => member(self, key)?,
                None => {
                    let key = self.key()?;
                    member(self, key.decode().as_bytes())?;
                }
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.close(),
                _ => return Err(self.expected("`,` or `}`", "an object")),
            }
        }
    }

    /// Moves over a list. `element` must move over one element.
    #[inline]
    pub(crate) fn list(&mut self, mut element: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        if self.peek() != Some(b'[') {
            return Err(self.mistyped("a sequence"));
        }
        self.open()?;
        if self.peek() == Some(b']') {
            return self.close();
        }
        loop {
            element(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.close(),
                _ => return Err(self.expected("`,` or `]`", "a list")),
            }
        }
    }

    /// A string.
    #[inline]
    pub(crate) fn string(&mut self) -> Read<Text<'a>> {
        match self.peek() {
            Some(b'"') => self.string_here(),
            _ => Err(self.mistyped("a string")),
        }
    }

    /// The string whose first quote is the next byte.
    #[inline]
    fn string_here(&mut self) -> Read<Text<'a>> {
        match self.plain_string() {
            Some(text) => Ok(Text::Plain(text)),
            None => self.escaped_string(),
        }
    }

    /// Moves over a string without escapes whose first quote is the next byte, if it is one.
    fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = plain_end(bytes, start);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn skip_string(&mut self) -> Read<()> {
        let bytes = self.text.as_bytes();
        let end = plain_end(bytes, self.at + 1);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(());
        }
        self.escaped_string().map(drop)
    }

    /// Moves over a key and its colon, if there are no escapes and no whitespace around.
    fn plain_key(&mut self) -> Option<&'a [u8]> {
        let bytes = self.text.as_bytes();
        let (b'"', rest) = bytes.get(self.at..)?.split_first()? else { return None };
        let len = plain_end(rest, 0);
        let (key, after) = rest.split_at_checked(len)?;
        let [b'"', b':', ..] = after else { return None };
        self.at += len + 3;
        Some(key)
    }

    /// The string whose first quote is the next byte, and which has escapes or never ends.
    #[inline(never)]
    fn escaped_string(&mut self) -> Read<Text<'a>> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("control character found in a string")),
                None => return Err(self.fault("EOF while parsing a string")),
            }
        }
        self.at += 1;
        Ok(Text::Escaped(self.slice(start, self.at)))
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Read<Number<'a>> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mistyped("a number"));
        }
        let start = self.at;
        self.skip_number()?;
        Ok(Number::new(self.slice(start, self.at)))
    }

    /// A whole number that is not negative, without fraction or exponent.
    pub(crate) fn unsigned(&mut self) -> Read<u64> {
        self.peek();
        let start = self.at;
        let mut value = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            let times_ten = value.and_then(|value| value.checked_mul(10));
            value = times_ten.and_then(|value| value.checked_add(u64::from(digit - b'0')));
            self.at += 1;
            if value == Some(0) {
                // No digit may follow a leading zero.
                break;
            }
        }
        let ends = self.at > start && !matches!(self.byte(), Some(b'.' | b'e' | b'E'));
        value.filter(|_| ends).ok_or_else(|| {
            self.at = start;
            self.mistyped("a whole number that is not negative")
        })
    }

    /// `true` or `false`.
    pub(crate) fn bool(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b't') => self.literal("true").map(|()| true),
            Some(b'f') => self.literal("false").map(|()| false),
            _ => Err(self.mistyped("a boolean")),
        }
    }

    /// Moves over a `null`, if there is one.
    #[inline]
    pub(crate) fn null(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b'n') => self.literal("null").map(|()| true),
            _ => Ok(false),
        }
    }

    /// Any value, as it is written.
    pub(crate) fn raw(&mut self) -> Read<Raw<'a>> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(Raw::new(self.slice(start, self.at)))
    }

    /// Moves over any value.
    pub(crate) fn skip(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.object(|reader, _| reader.skip()),
            Some(b'[') => self.list(Self::skip),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            _ => Err(self.expected("value", "a value")),
        }
    }

    /// Moves over the value of a member that no struct knows.
    #[inline]
    pub(crate) fn stray(&mut self) -> Read<()> {
        if self.strays.is_none() { self.skip() } else { self.note_stray() }
    }

    #[cold]
    fn note_stray(&mut self) -> Read<()> {
        self.peek();
        let start = self.at;
        let raw = self.raw()?;
        let Some(strays) = &mut self.strays else { return Ok(()) };
        match raw.get() {
            text if is_hollow(text) => {}
            _ if strays.at.len() < STRAYS_MAX => strays.at.push(start),
            _ => strays.more += 1,
        }
        Ok(())
    }

    /// A fault at this place.
    #[cold]
    pub(crate) fn fault(&self, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { at: self.at, message: message.into() })
    }

    /// A member occurs twice.
    #[cold]
    pub(crate) fn duplicate(&self, field: &[u8]) -> Box<Fault> {
        self.fault(format!("duplicate field `{}`", String::from_utf8_lossy(field)))
    }

    /// A fault of the object that was just read.
    #[cold]
    pub(crate) fn missing(&self, field: &str) -> Box<Fault> {
        self.fault(format!("missing field `{field}`"))
    }

    /// A key and its colon, in any spelling.
    #[inline(never)]
    fn key(&mut self) -> Read<Text<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string key", "an object"));
        }
        let key = self.string_here()?;
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`", "an object"));
        }
        self.at += 1;
        Ok(key)
    }

    fn escape(&mut self) -> Read<()> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let high = self.unit(self.at)?;
                let low = matches!(high, 0xD800..0xDC00).then(|| self.unit(self.at + 6));
                match (high, low.transpose()?) {
                    (_, Some(0xDC00..0xE000)) => self.at += 12,
                    (0xDC00..0xE000, _) | (_, Some(_)) => {
                        return Err(self.fault("unpaired surrogate in an escape"));
                    }
                    (_, None) => self.at += 6,
                }
            }
            Some(_) => return Err(self.fault("invalid escape")),
            None => {
                self.at += 1;
                return Err(self.fault("EOF while parsing a string"));
            }
        }
        Ok(())
    }

    /// The UTF-16 unit of the `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Read<u32> {
        let digits = self.text.get(at..at + 6).and_then(|escape| escape.strip_prefix("\\u"));
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        unit.ok_or_else(|| self.fault("invalid escape"))
    }

    fn skip_number(&mut self) -> Read<()> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Read<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += len;
        if len == 0 { Err(self.fault("invalid number")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Read<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("value", "a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn open(&mut self) -> Read<()> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault("recursion limit exceeded"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Read<()> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    #[cold]
    fn expected(&mut self, what: &str, inside: &str) -> Box<Fault> {
        match self.peek() {
            None => self.fault(format!("EOF while parsing {inside}")),
            Some(_) => self.fault(format!("expected {what}")),
        }
    }

    /// A fault at the value that comes, which is valid JSON of another type, or none.
    #[cold]
    fn mistyped(&mut self, expected: &str) -> Box<Fault> {
        let first = self.peek();
        let at = self.at;
        let found = match self.raw() {
            Err(fault) => return fault,
            Ok(raw) => raw.get(),
        };
        let found = match first {
            Some(b'"') => format!("string {found}"),
            Some(b'{') => "map".to_owned(),
            Some(b'[') => "sequence".to_owned(),
            Some(b't' | b'f') => format!("boolean `{found}`"),
            Some(b'n') => "null".to_owned(),
            _ if found.contains(['.', 'e', 'E']) => format!("floating point `{found}`"),
            _ => format!("integer `{found}`"),
        };
        let message = format!("invalid type: {found}, expected {expected}");
        Box::new(Fault { at, message })
    }
}

/// Whether a value says nothing: null, false, empty, or an object of such values.
pub(crate) fn is_hollow(json: &str) -> bool {
    hollow(&mut Reader::new(json)).unwrap_or(false)
}

fn hollow(reader: &mut Reader<'_>) -> Read<bool> {
    let mut all = true;
    match reader.peek() {
        Some(b'"') => return Ok(reader.string()?.is_empty()),
        Some(b'{') => reader.object(|reader, _| {
            all &= hollow(reader)?;
            Ok(())
        })?,
        Some(b'[') => reader.list(|reader| {
            all = false;
            reader.skip()
        })?,
        Some(b'f' | b'n') => reader.skip()?,
        _ => all = false,
    }
    Ok(all)
}

/// Where the bytes from `at` on stop being the plain inside of a string.
///
/// Most strings are short, or short between two escapes: they end within the first block.
#[inline]
pub(super) fn plain_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()).map(first_special) {
        Some(Some(offset)) => at + offset,
        Some(None) => long_plain_end(bytes, at + BLOCK_BYTES),
        None => long_plain_end(bytes, at),
    }
}

#[inline(never)]
fn long_plain_end(bytes: &[u8], at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((blocks, after)) = rest.split_first_chunk::<{ 2 * BLOCK_BYTES }>() {
        if blocks.map(special) != [0; 2 * BLOCK_BYTES] {
            break;
        }
        rest = after;
    }
    while let Some((block, after)) = rest.split_first_chunk() {
        match first_special(block) {
            Some(offset) => return bytes.len() - rest.len() + offset,
            None => rest = after,
        }
    }
    let tail = rest.iter().take_while(|byte| special(**byte) == 0).count();
    bytes.len() - rest.len() + tail
}

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;

/// Where the first special byte of a block is.
#[inline(always)]
fn first_special(block: &[u8; BLOCK_BYTES]) -> Option<usize> {
    let half = |half: Option<&[u8; 8]>| half.map_or(0, |half| special_bytes(*half));
    let low = half(block.first_chunk());
    if low != 0 {
        return Some(low.trailing_zeros() as usize / 8);
    }
    let high = half(block.last_chunk());
    (high != 0).then(|| 8 + high.trailing_zeros() as usize / 8)
}

/// The high bit of each special byte. Bits above the lowest may be wrong (a borrow of the
/// subtraction), the lowest is exact: S. E. Anderson, "Bit Twiddling Hacks", "byte less than n".
/// Flipping bit 1 puts the quote, and no other byte, among those below 0x21.
#[inline(always)]
fn special_bytes(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5C)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & (ONES * 0x80)
}

/// All bits for a byte that ends or escapes something in a string, none for others.
#[inline]
fn special(byte: u8) -> u8 {
    if (byte < 0x20) | (byte == b'"') | (byte == b'\\') { 0xFF } else { 0 }
}

#[cfg(test)]
mod tests;
