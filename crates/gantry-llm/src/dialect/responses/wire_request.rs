//! Wire structs of a request for a response, as callers send it.
//!
//! Only the readers of this dialect know them.

use crate::dialect::wire::{Skipped, wire};
use crate::neutral::{Number, Raw, Str, StrOr, Text};

wire! {
    pub(super) struct ResponseRequest<'a> {
        may model: Skipped,
        may input: StrOr<Text<'a>, Vec<Item<'a>>>,
        may instructions: Text<'a>,
        may max_output_tokens: u64,
        may temperature: Number<'a>,
        may top_p: Number<'a>,
        may stream: bool,
        may stream_options: StreamOptions,
        may text: TextOptions<'a>,
        may tools: Vec<Tool<'a>>,
        may tool_choice: StrOr<Str<'a>, ToolChoice<'a>>,
        may parallel_tool_calls: bool,
        may reasoning: ReasoningOptions<'a>,
        may user: Str<'a>,
        may safety_identifier: Str<'a>,
        may service_tier: Str<'a>,
        may include: Vec<Str<'a>>,
        may previous_response_id: Str<'a>,
        may conversation: Skipped,
        may background: bool,
        may prompt: Skipped,
        // Whatever is asked for, nothing is kept, and the reply says so.
        may store: Skipped,
        keep unknown,
    }

    pub(super) struct StreamOptions {
        may include_obfuscation: bool,
    }

    /// One form for all items that `input` may hold.
    pub(super) struct Item<'a> {
        may kind as "type": Str<'a>,
        may role: Str<'a>,
        may content: StrOr<Text<'a>, Vec<Content<'a>>>,
        may call_id: Str<'a>,
        may name: Str<'a>,
        may arguments: Text<'a>,
        may input: Text<'a>,
        may output: StrOr<Text<'a>, Vec<Content<'a>>>,
        may summary: Vec<Content<'a>>,
        may encrypted_content: Text<'a>,
        may id: Skipped,
        may status: Skipped,
        may phase: Skipped,
    }

    pub(super) struct Content<'a> {
        must kind as "type": Str<'a>,
        may text: Text<'a>,
        may refusal: Text<'a>,
        may image_url: Text<'a>,
        may detail: Str<'a>,
        may file_id: Str<'a>,
        may file_data: Text<'a>,
        may file_url: Text<'a>,
        may filename: Str<'a>,
        // Of an earlier answer; the text stands for itself.
        may annotations: Skipped,
        may logprobs: Skipped,
    }

    pub(super) struct Tool<'a> {
        must kind as "type": Str<'a>,
        may name: Str<'a>,
        may description: Text<'a>,
        may parameters: Raw<'a>,
        may strict: bool,
        may format: ToolFormat<'a>,
    }

    pub(super) struct ToolFormat<'a> {
        must kind as "type": Str<'a>,
        may syntax: Str<'a>,
        may definition: Text<'a>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct ToolChoice<'a> {
        must kind as "type": Str<'a>,
        may name: Str<'a>,
        may mode: Str<'a>,
        may tools: Vec<Named<'a>>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct Named<'a> {
        may kind as "type": Str<'a>,
        may name: Str<'a>,
    }

    pub(super) struct ReasoningOptions<'a> {
        may effort: Str<'a>,
        may summary: Str<'a>,
        may generate_summary: Str<'a>,
    }

    pub(super) struct TextOptions<'a> {
        may format: TextFormat<'a>,
        may verbosity: Str<'a>,
    }

    pub(super) struct TextFormat<'a> {
        must kind as "type": Str<'a>,
        may name: Str<'a>,
        may description: Text<'a>,
        may schema: Raw<'a>,
        may strict: bool,
    }
}
