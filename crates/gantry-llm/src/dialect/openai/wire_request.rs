//! Wire structs of a chat completion request, as callers send it.
//!
//! Only the parsers of this dialect read them.

use crate::dialect::wire::wire_fields;
use crate::neutral::{Str, StrOr};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Number;
use serde_json::value::RawValue;

wire_fields!(
    pub(super) struct ChatRequest {
        model: IgnoredAny,
        messages: Vec<Message<'a>>,
        max_completion_tokens: u64,
        max_tokens: u64,
        temperature: Number,
        top_p: Number,
        top_k: Number,
        stop: StrOr<'a, Vec<Str<'a>>>,
        stream: bool,
        stream_options: IgnoredAny,
        response_format: ResponseFormat<'a>,
        tools: Vec<Tool<'a>>,
        functions: Vec<Function<'a>>,
        tool_choice: StrOr<'a, ToolChoice<'a>>,
        function_call: StrOr<'a, Named<'a>>,
        parallel_tool_calls: bool,
        reasoning_effort: Str<'a>,
        reasoning: ReasoningOptions<'a>,
        thinking: ThinkingOptions<'a>,
        user: Str<'a>,
        safety_identifier: Str<'a>,
        service_tier: Str<'a>,
    }
);

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Str<'a>,
    #[serde(borrow)]
    pub(super) content: Option<StrOr<'a, Vec<ContentPart<'a>>>>,
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<ToolCall<'a>>>,
    pub(super) tool_call_id: Option<Str<'a>>,
    pub(super) refusal: Option<Str<'a>>,
    pub(super) function_call: Option<FunctionCall<'a>>,
    pub(super) reasoning_content: Option<Str<'a>>,
    pub(super) reasoning: Option<StrOr<'a, IgnoredAny>>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    pub(super) audio: Option<IgnoredAny>,
    pub(super) cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    pub(super) text: Option<Str<'a>>,
    pub(super) refusal: Option<Str<'a>>,
    pub(super) image_url: Option<StrOr<'a, ImageUrl<'a>>>,
    pub(super) file: Option<File<'a>>,
    pub(super) cache_control: Option<CacheControl<'a>>,
    pub(super) prompt_cache_breakpoint: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ImageUrl<'a> {
    #[serde(borrow)]
    pub(super) url: Str<'a>,
    pub(super) detail: Option<Str<'a>>,
}

#[derive(Deserialize)]
pub(super) struct File<'a> {
    #[serde(borrow)]
    pub(super) file_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) file_data: Option<Str<'a>>,
    pub(super) filename: Option<Str<'a>>,
}

/// Anthropic's cache marker, which compatible clients put on OpenAI parts.
#[derive(Deserialize)]
pub(super) struct CacheControl<'a> {
    #[serde(borrow)]
    pub(super) ttl: Option<Str<'a>>,
}

/// Also the form in replies; some servers leave out what they find obvious.
#[derive(Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<FunctionCall<'a>>,
    pub(super) custom: Option<CustomCall<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    /// A string by the specification; some servers send the object itself.
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct CustomCall<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) input: Str<'a>,
}

#[derive(Deserialize)]
pub(super) struct ThinkingBlock<'a> {
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
pub(super) struct JsonSchema<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
    pub(super) cache_control: Option<CacheControl<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
}

/// One form for all objects that `tool_choice` may be.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) function: Option<Named<'a>>,
    pub(super) custom: Option<Named<'a>>,
    pub(super) allowed_tools: Option<AllowedTools<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AllowedTools<'a> {
    #[serde(borrow)]
    pub(super) mode: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tools: Vec<AllowedTool<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AllowedTool<'a> {
    #[serde(borrow)]
    pub(super) function: Option<Named<'a>>,
    #[serde(borrow)]
    pub(super) custom: Option<Named<'a>>,
}

/// OpenRouter's form of reasoning control.
#[derive(Deserialize)]
pub(super) struct ReasoningOptions<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Str<'a>>,
    pub(super) max_tokens: Option<u64>,
    pub(super) enabled: Option<bool>,
}

/// Anthropic's form of reasoning control, which compatible clients put beside OpenAI's fields.
#[derive(Deserialize)]
pub(super) struct ThinkingOptions<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    pub(super) budget_tokens: Option<u64>,
}
