//! What Claude models take and do, as data: `data/claude.toml`, compiled in.
//!
//! The printer of Messages requests reads it where generations differ. A new model that keeps to
//! the rules of the one before it needs no row; it must never need code here.

use gantry_model::facts::Claude;
use serde::Deserialize;
use std::sync::OnceLock;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    unnamed: Claude,
    since: Vec<Claude>,
}

fn read(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}

/// What is known of the model with this name.
#[must_use]
pub fn claude(model: &str) -> &'static Claude {
    static FILE: OnceLock<File> = OnceLock::new();
    // The text is compiled in and a test reads it: there is no error to hand to anybody.
    let file =
        FILE.get_or_init(|| read(include_str!("../../data/claude.toml")).unwrap_or_default());
    let Some((name, version)) = version(model) else { return &file.unnamed };
    let fits = |row: &&Claude| {
        row.version <= version
            && (row.lines.is_empty() || row.lines.iter().any(|line| name.contains(line.as_str())))
    };
    file.since.iter().rfind(fits).unwrap_or(&file.unnamed)
}

/// What the names of all Claude models have in common.
const FAMILY: &[u8] = b"claude-";

/// Reads the name behind the family and the version out of names such as
/// `claude-3-5-sonnet-20241022`, `eu.anthropic.claude-opus-4-1-20250805-v1:0`,
/// `claude-sonnet-4.5`, `claude-opus-4@20250514`.
fn version(model: &str) -> Option<(&str, (u32, u32))> {
    // Comparing at each place is quicker than a search engine for names this short.
    let at = model.as_bytes().windows(FAMILY.len()).position(|part| part == FAMILY)?;
    let name = model.get(at + FAMILY.len()..)?;
    let mut numbers = name
        .split(['-', '.', '@', ':', '/'])
        .skip_while(|piece| version_number(piece).is_none())
        .map_while(version_number);
    let major = numbers.next()?;
    Some((name, (major, numbers.next().unwrap_or(0))))
}

/// One or two digits are a version, more are a date.
fn version_number(piece: &str) -> Option<u32> {
    if piece.len() > 2 { None } else { piece.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::{claude, read, version};
    use gantry_model::facts::{Sampling, Thinking};

    #[test]
    fn names_of_all_spellings_give_their_version() {
        for (name, expected) in [
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-3-opus-20240229", Some((3, 0))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-opus-4@20250514", Some((4, 0))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("anthropic/claude-sonnet-4.5", Some((4, 5))),
            ("eu.anthropic.claude-opus-4-1-20250805-v1:0", Some((4, 1))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-instant", None),
            ("my-deployment", None),
        ] {
            assert_eq!(version(name).map(|(_, version)| version), expected, "{name}");
        }
    }

    #[test]
    fn a_model_has_the_facts_of_the_last_row_that_fits() {
        for (name, thinking, output_tokens_max) in [
            ("claude-3-haiku-20240307", Thinking::Budget, Some(4096)),
            ("claude-opus-4-20250514", Thinking::Budget, Some(32_000)),
            ("claude-sonnet-4-20250514", Thinking::Budget, Some(64_000)),
            ("claude-haiku-4-5", Thinking::Budget, Some(64_000)),
            ("claude-opus-4-6", Thinking::Any, Some(128_000)),
            ("claude-opus-4.8", Thinking::Adaptive, Some(128_000)),
            ("claude-fable-5-2", Thinking::Always, Some(128_000)),
            ("claude-haiku-5-5", Thinking::Adaptive, Some(128_000)),
            ("claude-sonnet-5-5", Thinking::BetweenTools, Some(128_000)),
            ("claude-opus-6-1", Thinking::Always, Some(128_000)),
            ("claude-other-6", Thinking::Adaptive, Some(128_000)),
            ("my-deployment", Thinking::Any, None),
        ] {
            let known = claude(name);
            assert_eq!((known.thinking, known.output_tokens_max), (thinking, output_tokens_max));
        }
        assert_eq!(claude("claude-sonnet-4-0").sampling, Sampling::Any);
        assert_eq!(claude("claude-opus-4-1").sampling, Sampling::OneOfTwo);
        assert!(claude("claude-opus-5").forced_tools && !claude("claude-opus-5-5").forced_tools);
        assert!(claude("claude-haiku-4-5").prefill && !claude("claude-sonnet-4-6").prefill);
    }

    #[test]
    fn every_row_has_caps_that_the_model_takes() {
        let file = read(include_str!("../../data/claude.toml")).unwrap();
        assert!(file.since.len() >= 10);
        for row in file.since.iter().chain([&file.unnamed]) {
            let (plain, thinking) = (row.output_tokens, row.output_tokens_thinking);
            assert!(0 < plain && plain <= thinking, "{row:?}");
        }
        for row in &file.since {
            assert!(Some(row.output_tokens_thinking) <= row.output_tokens_max, "{row:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = "[unnamed]\noutput = 1\n[[since]]\n";
        assert!(read(text).unwrap_err().to_string().contains("output"));
    }
}
