//! Token usage as responses report it: cached tokens inside the input, reasoning inside the output,
//! which is the neutral convention too.

use crate::dialect::json::Json;
use gantry_model::usage::TokenUsage;

/// Prints the `usage` object.
pub(super) fn print(usage: &TokenUsage, json: &mut Json<'_>) {
    json.run(r#"{"input_tokens":"#);
    json.u64(usage.input);
    json.run(r#","input_tokens_details":{"cached_tokens":"#);
    json.u64(usage.cache_read);
    json.run(r#","cache_write_tokens":"#);
    json.u64(usage.cache_write);
    json.run(r#"},"output_tokens":"#);
    json.u64(usage.output);
    json.run(r#","output_tokens_details":{"reasoning_tokens":"#);
    json.u64(usage.reasoning);
    json.run(r#"},"total_tokens":"#);
    json.u64(usage.total());
    json.run("}");
}
