//! Facts about upstreams and their models that printers of requests go by.
//!
//! The catalogue fills them in from data; a snapshot carries them, so that a gateway needs no
//! catalogue. `gantry-llm` reads them. They decide nothing by themselves.

mod claude;
mod limits;

pub use claude::{Claude, Sampling, Thinking};
pub use limits::{Limit, Limits};

use crate::glob;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the wire format that an upstream speaks: `openai`, `anthropic`.
///
/// Data may name a dialect that this binary does not know. What stands behind a name is looked up
/// in `gantry_llm::dialect::Dialects` when a snapshot is compiled; an unknown one makes its models
/// unusable, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DialectName(pub String);

impl DialectName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an upstream differs from its dialect's reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Name of the output cap in chat requests that Gantry itself writes.
    pub max_tokens_field: String,
    /// Understands `stream_options: {"include_usage": true}`.
    pub stream_usage: bool,
    /// Understands role `developer`; else it is sent as `system`.
    pub developer_role: bool,
    /// Field of an earlier answer that carries its reasoning text: `reasoning_content`,
    /// `reasoning`. New answers are read under both names.
    pub reasoning_field: String,
    /// Takes the reasoning of earlier turns back, beside the tool calls that it led to. Some models
    /// behind such servers refuse a tool loop without it (DeepSeek, Kimi).
    pub reasoning_back: bool,
    /// Continues the assistant's message that a request ends with when it is told
    /// `continue_final_message: true` and `add_generation_prompt: false` (vLLM, SGLang).
    pub continues_answers: bool,
    /// Patterns of names of models, as those of `ModelTraits`, to which it passes Anthropic's
    /// `cache_control` on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_control: Vec<String>,
    /// The same for models that take `prompt_cache_breakpoint` in parts of messages (OpenAI).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_breakpoints: Vec<String>,
    /// What it takes of strings and lists.
    pub limits: Limits,
    /// Stands in for the signature of a call that has none; empty: the upstream knows none. One
    /// that does gives each call, or the first of several, a signature in
    /// `extra_content.google.thought_signature` and wants it back in the tool loop (Gemini).
    pub call_signature: String,
    /// `anthropic-version` sent when the caller did not send one.
    pub anthropic_version: String,
    /// Top-level fields of a request that the upstream refuses, and that Gantry therefore drops
    /// and reports.
    pub unsupported: Vec<String>,
    /// Top-level fields of a request that the upstream spells differently: ours to its.
    pub rename: BTreeMap<String, String>,
    /// What is known of its models, from `data/models.toml`.
    pub models: Vec<ModelTraits>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            max_tokens_field: "max_tokens".to_owned(),
            stream_usage: true,
            developer_role: true,
            reasoning_field: "reasoning_content".to_owned(),
            reasoning_back: false,
            continues_answers: false,
            cache_control: Vec::new(),
            cache_breakpoints: Vec::new(),
            limits: Limits::default(),
            call_signature: String::new(),
            anthropic_version: "2023-06-01".to_owned(),
            unsupported: Vec::new(),
            rename: BTreeMap::new(),
            models: Vec::new(),
        }
    }
}

/// What a model takes of a request, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelTraits {
    /// Providers at which this is so.
    pub providers: Vec<String>,
    /// Patterns of names at the upstream, in lower case: `*` any text, `#` a digit, `!` before
    /// what must not match.
    pub names: Vec<String>,
    /// Most tokens of output that may be asked for.
    pub output_tokens_max: Option<u32>,
    /// Values of `reasoning_effort` that it takes, least to most. Empty: it refuses the field.
    pub efforts: Option<Vec<String>>,
    /// The effort that holds when a request says none.
    pub default_effort: Option<String>,
    /// The one effort with which it takes functions.
    pub tools_effort: Option<String>,
    /// Fields of a request that it refuses.
    pub refuses: Vec<String>,
    /// Fields that it refuses unless the effort is `none`.
    pub refuses_reasoning: Vec<String>,
}

impl Quirks {
    /// Whether one of `patterns` is for a model by its name at the upstream.
    #[must_use]
    pub fn lists(patterns: &[String], name: &str) -> bool {
        let name = if patterns.is_empty() { String::new() } else { name.to_ascii_lowercase() };
        patterns.iter().any(|each| glob::matches(each, &name))
    }

    /// What is known of a model by its name at the upstream.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelTraits> {
        if self.models.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let known = |row: &&ModelTraits| row.names.iter().any(|each| glob::matches(each, &name));
        self.models.iter().find(known)
    }
}
