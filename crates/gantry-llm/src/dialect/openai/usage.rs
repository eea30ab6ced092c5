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
        may total_tokens: u64,
        may prompt_tokens_details: PromptDetails,
        may completion_tokens_details: CompletionDetails,
        // DeepSeek's and Moonshot's names of the cached tokens.
        may prompt_cache_hit_tokens: u64,
        may cached_tokens: u64,
        // Perplexity's place of them.
        may reasoning_tokens: u64,
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
    /// The counts in normal form, as `observe` reads them for the record.
    pub(super) fn read(&self) -> TokenUsage {
        let prompt = self.prompt_tokens_details.as_ref();
        let completion = self.completion_tokens_details.as_ref();
        let input = self.prompt_tokens.unwrap_or(0);
        let cache_read = most([
            prompt.and_then(|details| details.cached_tokens),
            self.prompt_cache_hit_tokens,
            self.cached_tokens,
        ]);
        let cache_write = most([prompt.and_then(|details| details.cache_write_tokens)]);
        let inside = completion.and_then(|details| details.reasoning_tokens);
        let reasoning = most([inside, self.reasoning_tokens]);
        let mut output = self.completion_tokens.unwrap_or(0);
        // xAI counts reasoning beside the completion; only the total shows it.
        let beside = input.saturating_add(output).saturating_add(reasoning);
        if reasoning > 0 && self.total_tokens == Some(beside) {
            output = output.saturating_add(reasoning);
        }
        TokenUsage {
            input,
            cache_read: cache_read.min(input),
            cache_write: cache_write.min(input),
            cache_write_1h: 0,
            output,
            reasoning: reasoning.min(output),
        }
    }
}

/// One count that servers put in several places, some of which they leave at zero.
fn most<const N: usize>(places: [Option<u64>; N]) -> u64 {
    places.into_iter().flatten().max().unwrap_or(0)
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
