//! Token usage as Anthropic reports it.
//!
//! `input_tokens` excludes cache reads and writes; the neutral form includes them. In streams the
//! counts are cumulative and come in pieces: a later piece replaces what it names, never adds; but
//! a zero on the input's side replaces nothing, as some servers fill in that side only once.

use crate::dialect::json::Json;
use crate::dialect::wire::wire;
use gantry_model::usage::TokenUsage;

wire! {
    /// A `usage` object, or what is known of it so far.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Usage {
        may input_tokens: u64,
        may output_tokens: u64,
        may cache_creation_input_tokens: u64,
        may cache_read_input_tokens: u64,
        may cache_creation: CacheCreation,
        may output_tokens_details: OutputDetails,
    }

    #[derive(Clone, Copy, Debug)]
    pub(super) struct CacheCreation {
        may ephemeral_1h_input_tokens: u64,
    }

    #[derive(Clone, Copy, Debug)]
    pub(super) struct OutputDetails {
        may thinking_tokens: u64,
    }
}

impl Usage {
    /// Takes over what a later report says.
    pub(super) fn update(&mut self, later: &Self) {
        keep(&mut self.input_tokens, later.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        keep(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        keep(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        if let Some(creation) = later.cache_creation {
            let known = self.cache_creation.get_or_insert_default();
            keep(&mut known.ephemeral_1h_input_tokens, creation.ephemeral_1h_input_tokens);
        }
        if let Some(details) = later.output_tokens_details {
            let known = self.output_tokens_details.get_or_insert_default();
            keep(&mut known.thinking_tokens, details.thinking_tokens);
        }
    }

    /// The counts in normal form.
    pub(super) fn read(&self) -> TokenUsage {
        let cache_read = self.cache_read_input_tokens.unwrap_or(0);
        let cache_write = self.cache_creation_input_tokens.unwrap_or(0);
        let fresh = self.input_tokens.unwrap_or(0);
        TokenUsage {
            input: fresh.saturating_add(cache_read).saturating_add(cache_write),
            cache_read,
            cache_write,
            cache_write_1h: self
                .cache_creation
                .and_then(|by_lifetime| by_lifetime.ephemeral_1h_input_tokens)
                .unwrap_or(0),
            output: self.output_tokens.unwrap_or(0),
            reasoning: self
                .output_tokens_details
                .and_then(|details| details.thinking_tokens)
                .unwrap_or(0),
        }
    }
}

/// Replaces a count unless the new one is absent, or zero while there is one already.
fn keep(kept: &mut Option<u64>, new: Option<u64>) {
    if new.is_some_and(|new| new > 0) || kept.is_none() {
        *kept = new.or(*kept);
    }
}

/// Prints a `usage` object.
pub(super) fn print(usage: &TokenUsage, json: &mut Json<'_>) {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    json.run(r#"{"input_tokens":"#);
    json.u64(usage.input.saturating_sub(cached));
    json.run(r#","cache_creation_input_tokens":"#);
    json.u64(usage.cache_write);
    json.run(r#","cache_read_input_tokens":"#);
    json.u64(usage.cache_read);
    json.run(r#","output_tokens":"#);
    json.u64(usage.output);
    if usage.reasoning > 0 {
        json.run(r#","output_tokens_details":{"thinking_tokens":"#);
        json.u64(usage.reasoning);
        json.close(b'}');
    }
    json.close(b'}');
}
