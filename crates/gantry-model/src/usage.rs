//! Tokens by kind, in one normal form for all providers.

use crate::record_rows;
use serde::{Deserialize, Serialize};

record_rows! {
    /// What one model call used, in tokens.
    ///
    /// `input` is the whole prompt, cache reads and writes included (OpenAI's convention;
    /// Anthropic's `input_tokens` excludes them and is added up on parsing). `output` includes
    /// `reasoning`. The numbers are those of the record's table, in which it stands.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct TokenUsage {
        /// The whole prompt, in tokens.
        input: u64 = 46, int, column("input_tokens");
        /// Part of `input` that was read from the provider's prompt cache.
        cache_read: u64 = 47, int, column("cache_read_tokens");
        /// Part of `input` that was written to the provider's prompt cache, all lifetimes together.
        cache_write: u64 = 48, int, column("cache_write_tokens");
        /// Part of `cache_write` with the one-hour lifetime, which Anthropic prices higher.
        cache_write_1h: u64 = 49, int, column("cache_write_1h_tokens");
        /// The whole answer, in tokens.
        output: u64 = 50, int, column("output_tokens");
        /// Part of `output` spent on reasoning (thinking).
        reasoning: u64 = 51, int, column("reasoning_tokens");
    }
}

impl TokenUsage {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Both together, kind by kind.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}
