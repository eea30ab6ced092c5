//! Token usage as OpenAI and compatible servers report it.
//!
//! `prompt_tokens` includes cached tokens, `completion_tokens` includes reasoning: the neutral
//! convention too.

use crate::dialect::json::Json;
use gantry_model::usage::TokenUsage;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name of the cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
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
    json.open(b'{');
    json.member_u64("prompt_tokens", usage.input);
    json.member_u64("completion_tokens", usage.output);
    json.member_u64("total_tokens", usage.total());
    json.key("prompt_tokens_details");
    json.open(b'{');
    json.member_u64("cached_tokens", usage.cache_read);
    json.member_u64("cache_write_tokens", usage.cache_write);
    json.close(b'}');
    json.key("completion_tokens_details");
    json.open(b'{');
    json.member_u64("reasoning_tokens", usage.reasoning);
    json.close(b'}');
    json.close(b'}');
}
