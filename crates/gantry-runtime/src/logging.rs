//! Log output: one line an event on standard error, text for people or JSON for collectors.

use gantry_model::printable;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use tracing::metadata::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Which events are logged, spelled as in `RUST_LOG`. Default `info`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Filter(String);

impl TryFrom<String> for Filter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // As everywhere, what is empty counts as absent.
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // The library takes a word alone for a module, whose lines are then the only ones. Nobody
        // means that: it is a misspelled level.
        let unclear = |part: &str| {
            let word = part.chars().all(|each| each.is_ascii_alphanumeric());
            word && part.parse::<LevelFilter>().is_err()
        };
        let unclear = text.split(',').map(str::trim).any(unclear);
        match EnvFilter::try_new(&text) {
            Ok(_) if !unclear => Ok(Self(text)),
            _ => Err(format!(
                "`{text}` is no log filter: expected such as `info` or `info,gantry::request=off`"
            )),
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

/// Standard error, with nobody who has to read it: a line that cannot be written is lost, where the
/// library would report that in the same place and panic. What others wrote does not steer the
/// terminal that shows it.
#[derive(Clone, Copy, Debug)]
struct Unread {
    /// Whether the library writes escape sequences of its own.
    colour: bool,
}

impl Unread {
    fn shown(self, line: &str) -> Cow<'_, str> {
        match self.colour {
            true => printable::coloured_lines(line),
            false => printable::lines(line),
        }
    }
}

impl Write for Unread {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let _ = io::stderr().write_all(self.shown(&text).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging. A second call in the same process does nothing.
pub fn start(format: Format, filter: &Filter) {
    let filter = EnvFilter::new(&filter.0);
    let colour = matches!(format, Format::Text) && std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Unread { colour });
    // An error means that logging runs already, which is what was asked for.
    let _ = match format {
        Format::Text => builder.with_target(false).with_ansi(colour).try_init(),
        Format::Json => builder.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_filter_is_refused_with_an_example() {
        for text in ["info", "warn,gantry::request=off", "gantry_lake=debug", "DEBUG"] {
            assert_eq!(Filter::try_from(text.to_owned()), Ok(Filter(text.to_owned())));
        }
        assert_eq!(Filter::try_from(" ".to_owned()), Ok(Filter::default()));
        for text in ["in=fo=x,,,", "gantry=loud", "inof", "warn,inof"] {
            let error = Filter::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(text) && error.contains("gantry::request=off"), "{error}");
        }
    }

    #[test]
    fn a_value_in_a_line_does_not_steer_the_terminal() {
        let line = "INFO asked model=\u{202e}a\u{9b}2J\n";
        for colour in [true, false] {
            let unread = Unread { colour };
            assert_eq!(unread.shown(line), "INFO asked model=\\u202ea\\u009b2J\n");
        }
        assert_eq!(Unread { colour: false }.shown("\u{1b}[2J"), "\\u001b[2J");
    }
}
