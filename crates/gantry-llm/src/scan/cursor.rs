//! A position in JSON bytes that moves over whole, validated values.
//!
//! Used by `scan` and `observe`. Grammar: RFC 8259; unpaired surrogate escapes are accepted as the
//! RFC does. UTF-8 is checked on the way: only strings may hold bytes beyond ASCII, and only a
//! string that has some is looked at again.

use super::DEPTH_MAX;
use super::block::{self, Stop};
use super::error::{Fault, Problem};
use std::ops::Range;

/// A string's place, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    surrogates: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, surrogates: false }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether escapes of surrogates, in pairs or not, have been passed.
    pub(crate) fn surrogates(&self) -> bool {
        self.surrogates
    }

    #[inline]
    pub(crate) fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// A key without quotes, unescaped. A key with an unpaired surrogate equals no other key.
    /// `plain` holds one that had to be unescaped.
    #[inline(always)]
    pub(crate) fn name<'b>(&self, key: &Str, plain: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if !key.escaped {
            return self.slice(&key.inner());
        }
        *plain = self.unescaped(key);
        plain
    }

    #[cold]
    fn unescaped(&self, key: &Str) -> Vec<u8> {
        let plain = serde_json::from_slice::<String>(self.slice(&key.range));
        plain.map(String::into_bytes).unwrap_or_default()
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
        match self.peek() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.peek_behind_space(),
        }
    }

    fn peek_behind_space(&mut self) -> Option<u8> {
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
            self.close();
            return Ok(());
        }
        let mut expected = "a string key or `}`";
        loop {
            let key = self.key(expected)?;
            visit(self, key)?;
            match self.peek_value() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.expected("`,` or `}`")),
            }
            expected = "a string key";
        }
        self.close();
        Ok(())
    }

    /// Moves over an array. `visit` is called before each element and must move over it.
    pub(crate) fn array(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open()?;
        if self.peek_value() == Some(b']') {
            self.close();
            return Ok(());
        }
        loop {
            visit(self)?;
            match self.peek_value() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected("`,` or `]`")),
            }
        }
        self.close();
        Ok(())
    }

    /// Moves over any value; returns its place without white space around it.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<Range<usize>, Fault> {
        self.peek_value();
        let start = self.at;
        self.ignore()?;
        Ok(start..self.at)
    }

    /// Moves over any value.
    pub(crate) fn ignore(&mut self) -> Result<(), Fault> {
        let outside = self.depth;
        // One bit for each container that is open, the innermost one's the lowest: whether it is
        // an object. `DEPTH_MAX` keeps them within the number.
        let mut objects: u128 = 0;
        loop {
            match self.peek_value() {
                Some(b'"') => drop(self.string_end()?),
                Some(b'{') => {
                    self.open()?;
                    objects = objects << 1 | 1;
                    if self.peek_value() != Some(b'}') {
                        self.key("a string key or `}`")?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open()?;
                    objects <<= 1;
                    if self.peek_value() != Some(b']') {
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.literal()?,
            }
            if self.ends(outside, &mut objects)? {
                return Ok(());
            }
        }
    }

    /// Behind a value: closes what ends here. Returns whether all is closed; otherwise the cursor
    /// stands before the next value.
    #[inline]
    fn ends(&mut self, outside: u16, objects: &mut u128) -> Result<bool, Fault> {
        while self.depth > outside {
            let in_object = *objects & 1 == 1;
            match (self.peek_value(), in_object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.key("a string key")?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                (_, true) => return Err(self.expected("`,` or `}`")),
                (_, false) => return Err(self.expected("`,` or `]`")),
            }
            *objects >>= 1;
        }
        Ok(true)
    }

    /// Moves over a string; the cursor stands on its first quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Str, Fault> {
        let start = self.at;
        let escaped = self.string_end()?;
        Ok(Str { range: start..self.at, escaped })
    }

    /// Moves over a string; returns whether it has escapes.
    #[inline(always)]
    fn string_end(&mut self) -> Result<bool, Fault> {
        let start = self.at + 1;
        match block::short_string(self.bytes.get(start..).unwrap_or_default()) {
            Some(len) => {
                self.at = start + len + 1;
                Ok(false)
            }
            None => self.long_string(start),
        }
    }

    fn long_string(&mut self, start: usize) -> Result<bool, Fault> {
        let end = block::string(self.bytes.get(start..).unwrap_or_default());
        self.at = start + end.at;
        if !matches!(end.stop, Stop::Quote) {
            return Err(self.unended(end.stop));
        }
        self.at += 1;
        if !end.ascii {
            self.check_utf8(start)?;
        }
        self.surrogates |= end.escapes.surrogates;
        Ok(end.escapes.any)
    }

    #[cold]
    fn unended(&self, stop: Stop) -> Fault {
        self.fault(match stop {
            Stop::Escape => Problem::Escape,
            Stop::Control => Problem::Control,
            Stop::Quote | Stop::End => Problem::End("the closing quote of a string"),
        })
    }

    /// Checks the string that ends before the cursor.
    #[cold]
    fn check_utf8(&self, start: usize) -> Result<(), Fault> {
        let text = self.slice(&(start..self.at - 1));
        if simdutf8::basic::from_utf8(text).is_ok() {
            return Ok(());
        }
        let valid = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
        Err(Fault::new(Problem::Utf8, start + valid))
    }

    #[inline(always)]
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

    /// Moves over a number of few digits and nothing else, as nearly all counts are.
    fn short_count(&mut self) -> Option<u64> {
        self.peek_value();
        let (mut number, mut len) = (0, 0);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at + len) {
            number = number * 10 + u64::from(digit - b'0');
            len += 1;
            // More than eighteen digits may not fit; a number has no leading zero.
            if len > 18 || (len > 1 && number < 10) {
                return None;
            }
        }
        let goes_on = matches!(self.bytes.get(self.at + len), Some(b'.' | b'e' | b'E'));
        if len == 0 || goes_on {
            return None;
        }
        self.at += len;
        Some(number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += len;
        if len == 0 { Err(self.fault(Problem::Number)) } else { Ok(()) }
    }

    fn literal(&mut self) -> Result<(), Fault> {
        let len = match self.rest() {
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => return Err(self.expected("a value")),
        };
        self.at += len;
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

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
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
    if let Some(number) = cursor.short_count() {
        return Ok(Some(number));
    }
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
