//! Cuts texts that others wrote to a bound.
//!
//! Records and refusals are made of what callers and upstreams write; both end here before they
//! are kept, logged or sent. It never cuts inside a character.

/// Stands in place of what was cut out.
const GAP: &str = "\u{2026}";

/// Leaves at most `bytes_max` bytes of `text`, the mark of the cut included.
pub fn end(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let kept = head(text, bytes_max.saturating_sub(GAP.len())).len();
        // The rest's memory goes too, or what is cut would be held all the same.
        let mut short = String::with_capacity(kept + GAP.len());
        short.push_str(text.get(..kept).unwrap_or_default());
        short.push_str(GAP);
        *text = short;
    }
}

/// The same for a message, whose end often says what to do: the middle goes.
#[must_use]
pub fn middle(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let room = bytes_max.saturating_sub(GAP.len());
    let begin = head(&text, room - room / 4);
    let end = tail(&text, room / 4);
    format!("{begin}{GAP}{end}")
}

/// The longest beginning of at most so many bytes.
#[must_use]
pub fn head(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

fn tail(text: &str, bytes_max: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_within_its_bound_stays_and_a_longer_one_is_cut_between_characters() {
        let cases = [
            ("", 8, "", ""),
            ("12345678", 8, "12345678", "12345678"),
            ("123456789", 8, "12345\u{2026}", "1234\u{2026}9"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", 8, "\u{e9}\u{e9}\u{2026}", "\u{e9}\u{e9}\u{2026}"),
            ("1234", 3, "\u{2026}", "\u{2026}"),
        ];
        for (text, most, at_end, in_middle) in cases {
            let mut cut = text.to_owned();
            end(&mut cut, most);
            assert_eq!(cut, at_end, "{text}");
            assert_eq!(middle(text.to_owned(), most), in_middle, "{text}");
            assert!(cut.len() <= most && cut.capacity() <= most.max(text.len()));
        }
    }
}
