//! What a reply has used: as its upstream counted, and estimated where it did not. The observer
//! calls it when a request settles.

use super::usage::Reading;
use gantry_model::estimate::tokens_from_text_bytes;
use gantry_model::usage::TokenUsage;

/// The tokens of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub usage: TokenUsage,
    /// Whether any of it is Gantry's estimate.
    pub estimated: bool,
    /// Whether the upstream sent a count that could not be read or is beyond belief.
    pub doubted: bool,
}

impl Spent {
    /// Of a call of which nothing is known but its prompt, of so many tokens by estimate.
    #[must_use]
    pub fn of_prompt(tokens: u64) -> Self {
        let usage = TokenUsage { input: tokens, ..TokenUsage::default() };
        Self { usage, estimated: true, doubted: false }
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Whether it came to its end.
    pub(super) ended: bool,
    /// Bytes of text.
    pub(super) bytes: u64,
    /// Its tokens as last counted, and the bytes that it had then.
    pub(super) counted: Option<(u64, u64)>,
}

/// The tokens of a reply; `prompt` estimates those of its prompt.
///
/// A side that was read stands as it was read. What came behind the last count, as in a stream
/// that was cut off, is added to it. A count of none beside a text says nothing.
pub(super) fn of(
    reading: Option<Reading>,
    progress: Progress,
    prompt: impl FnOnce() -> u64,
) -> Spent {
    let Reading { mut usage, input, output, total, doubted } = reading.unwrap_or_default();
    let said = output && (usage.output > 0 || progress.bytes == 0);
    let all_counted = progress.counted.is_none_or(|(_, bytes)| bytes == progress.bytes);
    let whole = said && progress.ended && all_counted;
    if !whole {
        usage.output = match progress.counted.filter(|(tokens, _)| *tokens > 0) {
            Some((tokens, bytes)) => {
                tokens.saturating_add(tokens_from_text_bytes(progress.bytes.saturating_sub(bytes)))
            }
            None => usage.output.max(tokens_from_text_bytes(progress.bytes)),
        };
    }
    if let Some(total) = total {
        usage.output = usage.output.min(total);
        usage.input = total - usage.output;
    } else if !input {
        usage.input = usage.input.max(prompt());
    }
    Spent { usage, estimated: !whole || !input || doubted, doubted }
}
