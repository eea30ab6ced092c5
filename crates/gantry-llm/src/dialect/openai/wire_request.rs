//! Wire structs of a chat completion request, as callers send it.
//!
//! Only the parsers of this dialect read them; those of replies take the forms that both share.

use crate::dialect::wire::{self, Skipped, wire};
use crate::neutral::{Cache, Losses, Number, Place, Raw, Str, StrOr, Text};

wire! {
    pub(super) struct ChatRequest<'a> {
        may model: Skipped,
        may messages: Vec<Message<'a>>,
        may max_completion_tokens: u64,
        may max_tokens: u64,
        may temperature: Number<'a>,
        may top_p: Number<'a>,
        may top_k: Number<'a>,
        may stop: StrOr<Str<'a>, Vec<Str<'a>>>,
        may stream: bool,
        may stream_options: StreamOptions,
        may response_format: ResponseFormat<'a>,
        may tools: Vec<Tool<'a>>,
        may functions: Vec<Function<'a>>,
        may tool_choice: StrOr<Str<'a>, ToolChoice<'a>>,
        may function_call: StrOr<Str<'a>, Named<'a>>,
        may parallel_tool_calls: bool,
        may reasoning_effort: Str<'a>,
        may reasoning: ReasoningOptions<'a>,
        may thinking: ThinkingOptions<'a>,
        may user: Str<'a>,
        may safety_identifier: Str<'a>,
        may service_tier: Str<'a>,
        may web_search_options: Skipped,
        keep unknown,
    }

    pub(super) struct StreamOptions {
        // The gateway sees to it.
        may include_usage: Skipped,
        may include_obfuscation: bool,
    }

    pub(super) struct Message<'a> {
        must role: Str<'a>,
        may content: StrOr<Text<'a>, Vec<ContentPart<'a>>>,
        may name: Str<'a>,
        may tool_calls: Vec<ToolCall<'a>>,
        may tool_call_id: Str<'a>,
        may refusal: Text<'a>,
        may function_call: FunctionCall<'a>,
        may reasoning_content: Text<'a>,
        may reasoning: StrOr<Text<'a>, Skipped>,
        may thinking_blocks: Vec<ThinkingBlock<'a>>,
        may audio: Skipped,
        may cache_control: CacheControl<'a>,
    }

    pub(super) struct ContentPart<'a> {
        must kind as "type": Str<'a>,
        may text: Text<'a>,
        may refusal: Text<'a>,
        may image_url: StrOr<Text<'a>, ImageUrl<'a>>,
        may file: File<'a>,
        may cache_control: CacheControl<'a>,
        may prompt_cache_breakpoint: Skipped,
    }

    #[derive(Clone, Debug)]
    pub(super) struct ImageUrl<'a> {
        must url: Text<'a>,
        may detail: Str<'a>,
    }

    pub(super) struct File<'a> {
        may file_id: Str<'a>,
        may file_data: Text<'a>,
        may filename: Str<'a>,
    }

    /// Anthropic's cache marker, which compatible clients put on OpenAI parts.
    pub(super) struct CacheControl<'a> {
        may kind as "type": Skipped,
        may ttl: Str<'a>,
    }

    /// Also the form in replies; some servers leave out what they find obvious.
    pub(super) struct ToolCall<'a> {
        may id: Str<'a>,
        may kind as "type": Skipped,
        // Left over from the pieces of a stream.
        may index: Skipped,
        may function: FunctionCall<'a>,
        may custom: CustomCall<'a>,
        may extra_content: Raw<'a>,
    }

    /// What Gemini's compatible endpoint puts beside a call.
    struct ExtraContent<'a> {
        may google: GoogleContent<'a>,
    }

    struct GoogleContent<'a> {
        may thought_signature: Text<'a>,
    }

    pub(super) struct FunctionCall<'a> {
        may name: Str<'a>,
        // A string by the specification; some servers send the object itself.
        may arguments: StrOr<Text<'a>, Raw<'a>>,
    }

    pub(super) struct CustomCall<'a> {
        must name: Str<'a>,
        must input: Text<'a>,
    }

    pub(super) struct ThinkingBlock<'a> {
        may kind as "type": Skipped,
        may thinking: Text<'a>,
        may signature: Text<'a>,
        may data: Text<'a>,
    }

    pub(super) struct ResponseFormat<'a> {
        must kind as "type": Str<'a>,
        may json_schema: JsonSchema<'a>,
    }

    pub(super) struct JsonSchema<'a> {
        may name: Str<'a>,
        may description: Text<'a>,
        may schema: Raw<'a>,
        may strict: bool,
    }

    pub(super) struct Tool<'a> {
        may kind as "type": Str<'a>,
        may function: Function<'a>,
        may cache_control: CacheControl<'a>,
    }

    pub(super) struct Function<'a> {
        must name: Str<'a>,
        may description: Text<'a>,
        may parameters: Raw<'a>,
        may strict: bool,
    }

    #[derive(Clone, Debug)]
    pub(super) struct Named<'a> {
        must name: Str<'a>,
    }

    /// One form for all objects that `tool_choice` may be.
    #[derive(Clone, Debug)]
    pub(super) struct ToolChoice<'a> {
        must kind as "type": Str<'a>,
        may function: Named<'a>,
        may custom: Named<'a>,
        may allowed_tools: AllowedTools<'a>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct AllowedTools<'a> {
        must tools: Vec<AllowedTool<'a>>,
        may mode: Str<'a>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct AllowedTool<'a> {
        may kind as "type": Skipped,
        may function: Named<'a>,
        may custom: Named<'a>,
    }

    /// OpenRouter's form of reasoning control.
    pub(super) struct ReasoningOptions<'a> {
        may effort: Str<'a>,
        may max_tokens: u64,
        may enabled: bool,
        may exclude: bool,
    }

    /// Anthropic's form of reasoning control, which compatible clients put beside OpenAI's fields.
    pub(super) struct ThinkingOptions<'a> {
        may kind as "type": Str<'a>,
        may budget_tokens: u64,
        may display: Str<'a>,
    }
}

/// Gemini's signature in the `extra_content` of a call, which it wants back in the tool loop.
pub(super) fn thought_signature(extra_content: Option<Raw<'_>>) -> Option<Text<'_>> {
    let extra: ExtraContent<'_> = wire::parse_text(extra_content?.get()).ok()?;
    extra.google?.thought_signature.filter(|signature| !signature.is_empty())
}

/// The lifetime that a cache marker asks for; `place` is what bears it.
pub(super) fn cache(
    control: Option<&CacheControl<'_>>,
    place: Place,
    losses: &mut Losses,
) -> Option<Cache> {
    Some(match control?.ttl.as_deref() {
        Some("1h") => Cache::OneHour,
        Some("5m") | None => Cache::Default,
        Some(_) => {
            let path = format!("{place}.cache_control.ttl");
            losses.approximated(path, "cached for the upstream's default lifetime");
            Cache::Default
        }
    })
}
