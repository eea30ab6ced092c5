//! How far the arguments of a streamed tool call have come.
//!
//! Parsers feed it to know what a fragment belongs to, printers to know when the next block may
//! begin. It judges brackets only and must never be used to check JSON.

use crate::neutral::Text;

/// Of one call; the default is one that has no arguments yet.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Brackets that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    whole: bool,
    begun: bool,
}

impl Progress {
    /// Takes the next piece of the arguments.
    pub(super) fn feed(&mut self, text: &Text<'_>) {
        match text {
            Text::Plain(text) => text.bytes().for_each(|byte| self.step(byte)),
            Text::Owned(text) => text.bytes().for_each(|byte| self.step(byte)),
            Text::Escaped(json) => {
                let inside = json.as_bytes().get(1..json.len().saturating_sub(1));
                self.feed_escaped(inside.unwrap_or_default());
            }
        }
    }

    /// The inside of a JSON string, unescaped as far as it matters here.
    fn feed_escaped(&mut self, mut rest: &[u8]) {
        while let Some((byte, after)) = rest.split_first() {
            let (byte, after) = match (byte, after) {
                (b'\\', [b'u', after @ ..]) => {
                    let digits = after.get(..4).and_then(|digits| str::from_utf8(digits).ok());
                    let unit = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    (unit.unwrap_or(b'u'), after.get(4..).unwrap_or_default())
                }
                (b'\\', [kind @ (b'"' | b'\\'), after @ ..]) => (*kind, after),
                (b'\\', [_, after @ ..]) => (b' ', after),
                (byte, after) => (*byte, after),
            };
            self.step(byte);
            rest = after;
        }
    }

    fn step(&mut self, byte: u8) {
        self.begun |= !byte.is_ascii_whitespace();
        if self.in_string {
            self.in_string = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.whole |= self.depth == 0;
            }
            _ => {}
        }
    }

    /// Whether more than white space has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the object has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use crate::neutral::Text;

    #[test]
    fn knows_the_end_of_an_object_however_it_is_cut() {
        for (pieces, whole) in [
            (vec![], false),
            (vec!["{", "}"], true),
            (vec![r#"{"a":[{"#, r#"}]"#], false),
            (vec![r#"{"a":[{"#, r#"}]"#, "}"], true),
            (vec![r#"{"a":"}"#], false),
            (vec![r#"{"a":"\"#, r#""}"#], false),
            (vec![r#"{"a":"\"#, r#""}"#, r#"\\"#, r#""}"#], true),
            (vec![r#"{"a":"\u00"#, r#"22"}"#], true),
        ] {
            let mut progress = Progress::default();
            pieces.iter().for_each(|piece| progress.feed(&Text::Plain(piece)));
            assert_eq!(progress.is_whole(), whole, "{pieces:?}");
            let mut progress = Progress::default();
            for piece in &pieces {
                let json = serde_json::to_string(piece).unwrap().replace('{', "\\u007B");
                progress.feed(&Text::Escaped(&json));
            }
            assert_eq!(progress.is_whole(), whole, "{pieces:?}, escaped");
        }
    }
}
