//! What others wrote, made fit for a terminal. Called where text for people leaves the process: the
//! standard output of commands, and logs.
//!
//! A terminal obeys control characters, and shows text in another order behind marks of direction:
//! both let a caller's text pass for another line or another command's output. They are escaped as
//! JSON and YAML spell them, `\u001b`, so that such documents keep their meaning.

use std::borrow::Cow;
use std::fmt::Write;

/// A text of several lines: all but its line ends is escaped that is not for the eye.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && hidden(c))
}

/// A text that stands on one line: its line ends are escaped too.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, hidden)
}

/// A line of a log in colour, whose escape sequences the logger itself wrote: the logger escapes
/// control characters in values, but neither marks of direction nor line separators.
#[must_use]
pub fn coloured_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && c != '\u{1b}' && hidden(c))
}

/// Whether a terminal obeys the character, or shows nothing where it stands. Joiners stay: emoji
/// and several scripts need them.
fn hidden(c: char) -> bool {
    let marks = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}');
    c.is_control() || marks
}

fn escaped(text: &str, unfit: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&unfit) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if unfit(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_text_is_not() {
        let cases = [
            ("plain, näive, 日本, עברית, a\u{200d}b", "plain, näive, 日本, עברית, a\u{200d}b"),
            ("a\u{1b}[2Jb\u{7}\u{8}", "a\\u001b[2Jb\\u0007\\u0008"),
            ("\u{9b}31m\u{7f}\r", "\\u009b31m\\u007f\\u000d"),
            ("a\u{202e}b\u{2066}c\u{61c}\u{200f}", "a\\u202eb\\u2066c\\u061c\\u200f"),
            ("\u{feff}\u{200b}\u{2028}\u{e0041}", "\\ufeff\\u200b\\u2028\\udb40\\udc41"),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected, "{text:?}");
            assert_eq!(lines(text), expected, "{text:?}");
        }
        assert_eq!((line("a\nb"), lines("a\nb")), ("a\\u000ab".into(), "a\nb".into()));
        assert_eq!(coloured_lines("\u{1b}[1m\u{202e}\n"), "\u{1b}[1m\\u202e\n");
    }

    #[test]
    fn every_control_character_is_escaped() {
        for c in ('\0'..='\u{ff}').filter(|c| c.is_control()) {
            assert_eq!(line(&c.to_string()), format!("\\u{:04x}", u32::from(c)));
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::Value::from("a\u{1b}\u{9b}\u{202e}\u{e0041}\n\t\u{7f}z");
        let shown = lines(&value.to_string()).into_owned();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
