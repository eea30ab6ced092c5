//! Names of span attributes, all in one place.
//!
//! `gen_ai.*` as in OpenTelemetry's semantic conventions 1.41.0, the last version of the main
//! repository that has them (status: development); `tfy.*` as in TrueFoundry's gateway, so that its
//! dashboards and queries work; `gantry.*` are our own.

/// Version of the `gen_ai.*`, `http.*` and `error.*` names.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

pub const OPERATION_NAME: &str = "gen_ai.operation.name";
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
pub const STATUS_CODE: &str = "http.response.status_code";
pub const URL: &str = "url.full";
pub const ERROR_TYPE: &str = "error.type";

pub const TFY_SPAN_TYPE: &str = "tfy.span_type";
pub const TFY_INPUT: &str = "tfy.input";
pub const TFY_OUTPUT: &str = "tfy.output";
pub const TFY_ERROR: &str = "tfy.error_message";
pub const TFY_MODEL_REQUESTED: &str = "tfy.request.model_name";
pub const TFY_SUBJECT: &str = "tfy.request.created_by_subject";
pub const TFY_TEAMS: &str = "tfy.request.created_by_subject_teams";
pub const TFY_METADATA: &str = "tfy.request.metadata";
pub const TFY_MODEL_NAME: &str = "tfy.model.name";
pub const TFY_MODEL_FQN: &str = "tfy.model.fqn";
pub const TFY_MODEL_URL: &str = "tfy.model.request_url";
pub const TFY_MODEL_STREAMING: &str = "tfy.model.streaming";
pub const TFY_MODEL_TYPE: &str = "tfy.model.request_type";
pub const TFY_LATENCY: &str = "tfy.model.metric.latency_in_ms";
pub const TFY_FIRST_TOKEN: &str = "tfy.model.metric.time_to_first_token_in_ms";
pub const TFY_INTER_TOKEN: &str = "tfy.model.metric.inter_token_latency_in_ms";
pub const TFY_INPUT_TOKENS: &str = "tfy.model.metric.input_tokens";
pub const TFY_OUTPUT_TOKENS: &str = "tfy.model.metric.output_tokens";
pub const TFY_COST: &str = "tfy.model.metric.cost_in_usd";
pub const TFY_CACHE_READ: &str = "tfy.model.metric.cache_read_input_tokens";
pub const TFY_CACHE_WRITE: &str = "tfy.model.metric.cache_creation_input_tokens";

pub const TENANT: &str = "gantry.tenant";
pub const KEY_NAME: &str = "gantry.key_name";
pub const REFUSAL: &str = "gantry.refusal";
pub const FAULT: &str = "gantry.fault";
/// The decisions on the way, as JSON.
pub const ROUTE: &str = "gantry.route";
/// Exact, where `tfy.model.metric.cost_in_usd` is a floating point number.
pub const COST_NANO_USD: &str = "gantry.cost_nano_usd";
pub const PRICE_VERSION: &str = "gantry.price_version";
pub const GENERATION: &str = "gantry.snapshot_generation";
pub const USAGE_ESTIMATED: &str = "gantry.usage_estimated";
pub const TARGET: &str = "gantry.target";
pub const OUTCOME: &str = "gantry.outcome";

/// `gen_ai.operation.name` and `tfy.span_type` for the operation of a record.
#[must_use]
pub fn operation(operation: &str) -> (&str, &'static str) {
    match operation {
        "chat" | "messages" => ("chat", "ChatCompletion"),
        "completion" => ("text_completion", "Completion"),
        "embedding" => ("embeddings", "Embedding"),
        other => (other, "Model"),
    }
}

/// `gen_ai.provider.name` for a provider of the catalogue; unknown ones keep their name.
#[must_use]
pub fn provider(provider: &str) -> &str {
    match provider {
        "azure" | "azure-openai" => "azure.ai.openai",
        "azure-foundry" | "azure-ai-inference" => "azure.ai.inference",
        "aws-bedrock" | "bedrock" => "aws.bedrock",
        "google-vertex" | "vertex" => "gcp.vertex_ai",
        "google-gemini" | "gemini" => "gcp.gemini",
        "mistral" | "mistral-ai" => "mistral_ai",
        "perplexity-ai" => "perplexity",
        "xai" => "x_ai",
        other => other,
    }
}
