//! A position in JSON bytes that moves over whole, validated values.
//!
//! Used by `scan`, `splice` and `observe`. The bytes must be valid UTF-8: whoever makes a cursor
//! has checked that. Grammar: RFC 8259; unpaired surrogate escapes are accepted as the RFC does.

use super::{DEPTH_MAX, Problem};
use std::borrow::Cow;
use std::ops::Range;

/// A problem at a byte position, before line and column are known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) problem: Problem,
    pub(crate) at: usize,
}

impl Fault {
    pub(crate) fn new(problem: Problem, at: usize) -> Self {
        Self { problem, at }
    }
}

/// A string's place, quotes included.
#[derive(Clone, Debug)]
pub(crate) struct Str {
    pub(crate) range: Range<usize>,
    pub(crate) escaped: bool,
}

impl Str {
    /// The place between the quotes.
    pub(crate) fn inner(&self) -> Range<usize> {
        self.range.start + 1..self.range.end - 1
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u16,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// A key without quotes, unescaped. A key with an unpaired surrogate equals no other key.
    #[inline]
    pub(crate) fn name(&self, key: &Str) -> Cow<'a, [u8]> {
        if key.escaped {
            let plain = serde_json::from_slice::<String>(self.slice(&key.range));
            return Cow::Owned(plain.map(String::into_bytes).unwrap_or_default());
        }
        Cow::Borrowed(self.slice(&key.inner()))
    }

    /// Moves to the `{` of the whole body.
    pub(crate) fn start_of_object(&mut self) -> Result<usize, Fault> {
        match self.peek_value() {
            Some(b'{') => Ok(self.at),
            Some(_) => Err(self.fault(Problem::NotObject)),
            None => Err(self.fault(Problem::End("a JSON object"))),
        }
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek_value() {
            None => Ok(()),
            Some(_) => Err(self.fault(Problem::Trailing)),
        }
    }

    /// Moves over white space and shows the next byte.
    #[inline]
    pub(crate) fn peek_value(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Moves over an object. `visit` is called behind each `:` and must move over the value.
    pub(crate) fn object(
        &mut self,
        mut visit: impl FnMut(&mut Self, Str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open()?;
        if self.peek_value() == Some(b'}') {
            return self.close();
        }
        let mut expected = "a string key or `}`";
        loop {
            let key = self.key(expected)?;
            visit(self, key)?;
            match self.peek_value() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.close(),
                _ => return Err(self.expected("`,` or `}`")),
            }
            expected = "a string key";
        }
    }

    /// Moves over an array. `visit` is called before each element and must move over it.
    pub(crate) fn array(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open()?;
        if self.peek_value() == Some(b']') {
            return self.close();
        }
        loop {
            visit(self)?;
            match self.peek_value() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.close(),
                _ => return Err(self.expected("`,` or `]`")),
            }
        }
    }

    /// Moves over any value; returns its place without white space around it.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<Range<usize>, Fault> {
        let first = self.peek_value();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{') => self.object(|cursor, _| cursor.ignore())?,
            Some(b'[') => self.array(|cursor| cursor.ignore())?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.expected("a value")),
        }
        Ok(start..self.at)
    }

    /// Moves over any value.
    #[inline]
    pub(crate) fn ignore(&mut self) -> Result<(), Fault> {
        self.skip().map(|_| ())
    }

    /// Moves over a string; the cursor stands on its first quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Str, Fault> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault(Problem::Control)),
                None => return Err(self.fault(Problem::End("the closing quote of a string"))),
            }
        }
        Ok(Str { range: start..self.at, escaped })
    }

    fn key(&mut self, expected: &'static str) -> Result<Str, Fault> {
        if self.peek_value() != Some(b'"') {
            return Err(self.expected(expected));
        }
        let key = self.string()?;
        if self.peek_value() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.fault(Problem::Escape));
                }
                self.at += 6;
            }
            _ => return Err(self.fault(Problem::Escape)),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += len;
        if len == 0 { Err(self.fault(Problem::Number)) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(Problem::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected(&self, what: &'static str) -> Fault {
        let ended = self.at >= self.bytes.len();
        self.fault(if ended { Problem::End(what) } else { Problem::Expected(what) })
    }

    fn fault(&self, problem: Problem) -> Fault {
        Fault::new(problem, self.at)
    }
}

/// Moves over a value; a whole number that is not negative is returned, `100.0` and `1e2` too.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Fault> {
    let range = cursor.skip()?;
    let text = std::str::from_utf8(cursor.slice(&range)).unwrap_or_default();
    Ok(text.parse().ok().or_else(|| whole(text.parse().ok()?)))
}

fn whole(number: f64) -> Option<u64> {
    // Below 2^53 every whole number has an exact double.
    let fits = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fits.then_some(number as u64)
}

/// How many bytes from the start belong to a string without any special meaning.
///
/// Most strings are short, or short between two escapes: they end within the first four words.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut words = 0;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let specials = special_bytes(u64::from_le_bytes(*word));
        if specials != 0 {
            return bytes.len() - rest.len() + specials.trailing_zeros() as usize / 8;
        }
        rest = after;
        words += 1;
        if words == 4 {
            rest = skip_plain_blocks(rest);
            words = 0;
        }
    }
    let tail = rest.iter().take_while(|byte| !is_special(**byte)).count();
    bytes.len() - rest.len() + tail
}

/// Drops blocks of 32 plain bytes. The inner loop compiles to vector compares, which is what makes
/// long prompts cheap.
fn skip_plain_blocks(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        if block.iter().fold(false, |any, &byte| any | is_special(byte)) {
            break;
        }
        rest = after;
    }
    rest
}

fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The high bit of each special byte of `word`. Bits above the lowest may be wrong (a borrow of the
/// subtraction), the lowest is exact: S. E. Anderson, "Bit Twiddling Hacks", "byte less than n".
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES * 0x80)
}
