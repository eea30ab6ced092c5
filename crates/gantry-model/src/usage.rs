//! Tokens by kind, in one normal form for all providers.

use serde::{Deserialize, Serialize};

/// What one model call used, in tokens.
///
/// `input` is the whole prompt, cache reads and writes included (OpenAI's convention; Anthropic's
/// `input_tokens` excludes them and is added up on parsing). `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenUsage {
    pub input: u64,
    /// Part of `input` that was read from the provider's prompt cache.
    pub cache_read: u64,
    /// Part of `input` that was written to the provider's prompt cache, all lifetimes together.
    pub cache_write: u64,
    /// Part of `cache_write` with the one-hour lifetime, which Anthropic prices higher.
    pub cache_write_1h: u64,
    pub output: u64,
    /// Part of `output` spent on reasoning (thinking).
    pub reasoning: u64,
}

impl TokenUsage {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
