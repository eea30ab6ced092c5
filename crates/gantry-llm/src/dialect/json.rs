//! Writes JSON straight into a byte buffer.
//!
//! The printers use it. It places commas by looking at the last byte written, so it must never be
//! given raw JSON that ends in an opening bracket, which no complete value does.

use super::reader::plain_end;
use crate::neutral::Text;

/// Appends JSON to a buffer.
pub(crate) struct Json<'o> {
    pub(crate) out: &'o mut Vec<u8>,
}

impl<'o> Json<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A comma, unless a value cannot precede.
    #[inline]
    fn separate(&mut self) {
        match self.out.last() {
            None | Some(b'{' | b'[' | b':' | b' ' | b'\n') => {}
            Some(_) => self.out.push(b','),
        }
    }

    /// A run of JSON as it is, with its own commas; for what is always the same.
    #[inline]
    pub(crate) fn run(&mut self, json: &'static str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Opens an object or a list.
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
    }

    /// Closes what `open` opened.
    #[inline]
    pub(crate) fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// The name of a member; its value comes next. `name` needs no escapes.
    pub(crate) fn key(&mut self, name: &str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A string.
    pub(crate) fn str(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        escape(self.out, text);
        self.out.push(b'"');
    }

    /// A string, as the body it came from spelled it.
    pub(crate) fn text(&mut self, text: &Text<'_>) {
        self.separate();
        self.out.push(b'"');
        copy(self.out, text);
        self.out.push(b'"');
    }

    /// One string made of several pieces.
    pub(crate) fn concat<'t>(&mut self, pieces: impl IntoIterator<Item = Piece<'t>>) {
        self.separate();
        self.out.push(b'"');
        for piece in pieces {
            match piece {
                Piece::Str(text) => escape(self.out, text),
                Piece::Text(text) => copy(self.out, text),
            }
        }
        self.out.push(b'"');
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A number.
    pub(crate) fn u64(&mut self, value: u64) {
        self.separate();
        if let Ok(digit @ 0..=9) = u8::try_from(value) {
            return self.out.push(b'0' + digit);
        }
        let mut digits = [0_u8; 20];
        let mut rest = value;
        let mut first = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            first = at;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(first..).unwrap_or_default());
    }

    pub(crate) fn member_str(&mut self, name: &str, value: &str) {
        self.key(name);
        self.str(value);
    }

    pub(crate) fn member_text(&mut self, name: &str, value: &Text<'_>) {
        self.key(name);
        self.text(value);
    }

    pub(crate) fn member_raw(&mut self, name: &str, value: &str) {
        self.key(name);
        self.raw(value);
    }

    pub(crate) fn member_u64(&mut self, name: &str, value: u64) {
        self.key(name);
        self.u64(value);
    }
}

/// A part of a string that is put together.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'t> {
    Str(&'t str),
    Text(&'t Text<'t>),
}

/// Appends the inside of a JSON string.
pub(crate) fn copy(out: &mut Vec<u8>, text: &Text<'_>) {
    match text {
        Text::Plain(plain) => out.extend_from_slice(plain.as_bytes()),
        Text::Escaped(json) => {
            let inside = json.as_bytes().get(1..json.len() - 1);
            out.extend_from_slice(inside.unwrap_or_default());
        }
        Text::Owned(text) => escape(out, text),
    }
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at_checked(plain_end(rest, 0)).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((&special, after)) = after.split_first() else { return };
        rest = after;
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(hex(special >> 4));
                out.push(hex(special & 15));
            }
        }
    }
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::{Json, escape};
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn escaped_text_reads_back(text in any::<String>()) {
            let mut out = vec![b'"'];
            escape(&mut out, &text);
            out.push(b'"');
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_read_back(value in any::<u64>()) {
            let mut out = Vec::new();
            Json::new(&mut out).u64(value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn commas_stand_between_members_and_elements_only() {
        let mut out = b"data: ".to_vec();
        let mut json = Json::new(&mut out);
        json.open(b'{');
        json.member_u64("a", 0);
        json.key("b");
        json.open(b'[');
        json.str("x");
        json.raw("{}");
        json.close(b']');
        json.member_str("c", "{");
        json.member_raw("d", "null");
        json.close(b'}');
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"data: {"a":0,"b":["x",{}],"c":"{","d":null}"#
        );
    }
}
