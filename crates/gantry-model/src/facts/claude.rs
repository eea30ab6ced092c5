//! What a generation of Claude models takes and does.

use serde::{Deserialize, Serialize};

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thinking {
    /// With a budget in tokens only.
    Budget,
    /// With a budget or adaptively.
    #[default]
    Any,
    /// Adaptively, or not at all.
    Adaptive,
    /// Adaptively; the least is thinking between tool calls.
    BetweenTools,
    /// Adaptively; it cannot be switched off.
    Always,
}

/// Which of `temperature`, `top_p` and `top_k` a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    #[default]
    Any,
    /// `temperature` or `top_p`, but not both.
    OneOfTwo,
    /// None but at its default.
    DefaultOnly,
}

/// One generation of models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claude {
    /// First version that the row holds for, such as `[4, 5]`.
    pub version: (u32, u32),
    /// Parts of the names that the row holds for, such as `opus`; none: all.
    pub lines: Vec<String>,
    /// Output cap to send when the caller gave none, in tokens.
    pub output_tokens: u32,
    /// The same when the caller asks for thinking, which counts toward the cap.
    pub output_tokens_thinking: u32,
    /// Highest output cap that the model takes, in tokens; absent: not known.
    pub output_tokens_max: Option<u32>,
    pub thinking: Thinking,
    /// Thinks when the request says nothing about it.
    pub thinks_unasked: bool,
    /// Leaves the text of its thinking out of the answer unless `display` asks for a summary.
    pub hides_thinking: bool,
    pub sampling: Sampling,
    /// Takes an effort beside a thinking budget, to those who ask for the feature by its beta.
    pub budget_and_effort: bool,
    /// Takes the effort `xhigh`.
    pub xhigh: bool,
    /// Continues an assistant message at the end of the conversation.
    pub prefill: bool,
    /// Takes a `tool_choice` that forces a call.
    pub forced_tools: bool,
    /// Takes a schema for the answer, and strict tools.
    pub schemas: bool,
}

impl Default for Claude {
    fn default() -> Self {
        Self {
            version: (0, 0),
            lines: Vec::new(),
            output_tokens: 0,
            output_tokens_thinking: 0,
            output_tokens_max: None,
            thinking: Thinking::Any,
            thinks_unasked: false,
            hides_thinking: false,
            sampling: Sampling::Any,
            budget_and_effort: false,
            xhigh: true,
            prefill: true,
            forced_tools: true,
            schemas: true,
        }
    }
}
