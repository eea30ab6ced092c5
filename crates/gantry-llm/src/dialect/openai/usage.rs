//! Token usage as OpenAI and compatible servers report it.
//!
//! `prompt_tokens` includes cached tokens, `completion_tokens` includes reasoning: the neutral
//! convention too.

use crate::dialect::json::Json;
use crate::dialect::wire::wire;
use gantry_model::usage::TokenUsage;

wire! {
    pub(super) struct Usage {
        may prompt_tokens: u64,
        may completion_tokens: u64,
        may prompt_tokens_details: PromptDetails,
        may completion_tokens_details: CompletionDetails,
        // DeepSeek's name of the cached tokens.
        may prompt_cache_hit_tokens: u64,
    }

    pub(super) struct PromptDetails {
        may cached_tokens: u64,
        may cache_write_tokens: u64,
    }

    pub(super) struct CompletionDetails {
        may reasoning_tokens: u64,
    }
}

impl Usage {
    /// The counts in normal form.
    pub(super) fn read(&self) -> TokenUsage {
        let prompt = self.prompt_tokens_details.as_ref();
        let cached = prompt.and_then(|details| details.cached_tokens);
        let completion = self.completion_tokens_details.as_ref();
        TokenUsage {
            input: self.prompt_tokens.unwrap_or(0),
            cache_read: cached.or(self.prompt_cache_hit_tokens).unwrap_or(0),
            cache_write: prompt.and_then(|details| details.cache_write_tokens).unwrap_or(0),
            cache_write_1h: 0,
            output: self.completion_tokens.unwrap_or(0),
            reasoning: completion.and_then(|details| details.reasoning_tokens).unwrap_or(0),
        }
    }
}

/// Prints the `usage` object.
pub(super) fn print(usage: &TokenUsage, json: &mut Json<'_>) {
    json.run(r#"{"prompt_tokens":"#);
    json.u64(usage.input);
    json.run(r#","completion_tokens":"#);
    json.u64(usage.output);
    json.run(r#","total_tokens":"#);
    json.u64(usage.total());
    json.run(r#","prompt_tokens_details":{"cached_tokens":"#);
    json.u64(usage.cache_read);
    json.run(r#","cache_write_tokens":"#);
    json.u64(usage.cache_write);
    json.run(r#"},"completion_tokens_details":{"reasoning_tokens":"#);
    json.u64(usage.reasoning);
    json.run("}}");
}
