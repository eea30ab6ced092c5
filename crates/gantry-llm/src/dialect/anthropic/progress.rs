//! How far the arguments of a streamed tool call have come.
//!
//! The printer of streams feeds it, to know when the next block may begin. It judges brackets only
//! and must never be used to check JSON.

/// Of one call; the default is one that has no arguments yet.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Brackets that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    whole: bool,
}

impl Progress {
    /// Takes the next piece of the arguments, unescaped.
    pub(super) fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                self.in_string = byte != b'"' || self.escaped;
                self.escaped = byte == b'\\' && !self.escaped;
                continue;
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
    }

    /// Whether the object has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

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
            pieces.iter().for_each(|piece| progress.feed(piece));
            assert_eq!(progress.is_whole(), whole, "{pieces:?}");
        }
    }
}
