//! A chat request in neutral form.
//!
//! Parsers fill it, printers read it. Lists keep the caller's order; nothing here is validated
//! beyond its shape, because each upstream knows its own rules best.

use super::{Number, Place, Raw, Str, Text};

/// One request for one answer.
#[derive(Debug)]
pub struct Request<'a> {
    /// How the caller's dialect spells the fields below, for reports.
    pub names: &'static Names,
    pub turns: Vec<Turn<'a>>,
    pub tools: Vec<Tool<'a>>,
    /// The first tool that the caller declared and that is not in `tools`.
    pub left_out: Option<LeftOut>,
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Only these tools may be called, though more are declared.
    pub allowed_tools: Option<Vec<Str<'a>>>,
    /// Whether one answer may call several tools; absent: the upstream's default.
    pub parallel_tools: Option<bool>,
    /// Output cap in tokens.
    pub max_tokens: Option<u64>,
    pub sampling: Sampling<'a>,
    pub stop: Vec<Str<'a>>,
    pub stream: bool,
    pub format: Option<Format<'a>>,
    pub reasoning: Reasoning,
    /// Opaque id of the end user.
    pub user: Option<Str<'a>>,
    pub tier: Option<Tier>,
}

/// Names of the fields in the caller's dialect.
#[derive(Debug)]
pub struct Names {
    pub stop: &'static str,
    pub max_tokens: &'static str,
    pub effort: &'static str,
    pub thinking: &'static str,
    pub format: &'static str,
    pub tier: &'static str,
    pub user: &'static str,
}

/// How the next token is drawn.
#[derive(Debug, Default)]
pub struct Sampling<'a> {
    /// 0 to 2 in OpenAI's dialect, 0 to 1 in Anthropic's.
    pub temperature: Option<Number<'a>>,
    pub top_p: Option<Number<'a>>,
    pub top_k: Option<Number<'a>>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    /// OpenAI's newer name of `System`; kept apart for upstreams that tell them apart.
    Developer,
    User,
    Assistant,
}

/// One message. Tool results are parts of a user's turn.
#[derive(Debug)]
pub struct Turn<'a> {
    pub role: Role,
    pub parts: Vec<Part<'a>>,
    pub place: Place,
}

/// One piece of a message.
#[derive(Debug)]
pub struct Part<'a> {
    pub place: Place,
    /// The prompt up to here shall be cached.
    pub cache: Option<Cache>,
    pub body: Body<'a>,
}

/// What a part holds.
#[derive(Debug)]
pub enum Body<'a> {
    Text(Text<'a>),
    /// The assistant's own refusal, which some dialects keep apart from text.
    Refusal(Text<'a>),
    Image(Media<'a>),
    Document(Document<'a>),
    ToolCall(ToolCall<'a>),
    ToolResult(ToolResult<'a>),
    /// Reasoning text; without a signature no upstream accepts it back.
    Thinking {
        text: Text<'a>,
        signature: Option<Text<'a>>,
    },
    /// Reasoning that only its provider can read.
    RedactedThinking(Text<'a>),
}

/// Bytes of an image or a document, or where they are.
#[derive(Debug)]
pub enum Media<'a> {
    Base64 {
        media_type: Str<'a>,
        data: Text<'a>,
    },
    Url(Text<'a>),
    /// Plain text (documents only).
    Text(Text<'a>),
}

/// A file for the model to read.
#[derive(Debug)]
pub struct Document<'a> {
    pub media: Media<'a>,
    pub title: Option<Str<'a>>,
    pub context: Option<Text<'a>>,
}

/// A call that the assistant made.
#[derive(Debug)]
pub struct ToolCall<'a> {
    pub id: Str<'a>,
    pub name: Str<'a>,
    pub arguments: Arguments<'a>,
    /// What the provider wants back with the call; it stands for the thinking before it.
    pub signature: Option<Text<'a>>,
}

/// Arguments as they came: text that should be JSON, or JSON.
#[derive(Debug)]
pub enum Arguments<'a> {
    Text(Text<'a>),
    Json(Raw<'a>),
}

/// What a tool answered.
#[derive(Debug)]
pub struct ToolResult<'a> {
    /// Id of the call.
    pub id: Str<'a>,
    pub content: Vec<Part<'a>>,
    pub is_error: bool,
}

/// A function that the model may call.
#[derive(Debug)]
pub struct Tool<'a> {
    pub place: Place,
    pub name: Str<'a>,
    pub description: Option<Text<'a>>,
    /// JSON Schema of the arguments; absent: no arguments.
    pub schema: Option<Raw<'a>>,
    /// Whether calls must match the schema exactly.
    pub strict: bool,
    pub cache: Option<Cache>,
}

/// A tool that no upstream of another dialect has.
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub place: Place,
    /// Why it is not sent, for the caller.
    pub why: String,
}

/// Whether and which tool must be called.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    Auto,
    None,
    /// Some tool.
    Any,
    /// This tool.
    Tool(Str<'a>),
}

/// Form of the answer.
#[derive(Debug)]
pub enum Format<'a> {
    /// Some JSON object, without a schema.
    JsonObject,
    JsonSchema {
        name: Option<Str<'a>>,
        description: Option<Text<'a>>,
        schema: Raw<'a>,
        strict: Option<bool>,
    },
}

/// How much to think before the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    pub mode: Option<ThinkingMode>,
    /// What of the thinking the answer shall show; absent: the upstream's default.
    pub display: Option<Display>,
}

/// How thinking appears in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    Summarized,
    /// Without its text.
    Omitted,
}

impl Display {
    /// From its name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "summarized" => Some(Self::Summarized),
            "omitted" => Some(Self::Omitted),
            _ => None,
        }
    }
}

/// Reasoning effort, least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// From its name on the wire, which all dialects share.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// For a budget of thinking, in tokens: the inverse of the budgets that compatible layers
    /// commonly give the efforts, up to the highest that does not think without end.
    #[must_use]
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..2048 => Self::Low,
            2048..4096 => Self::Medium,
            _ => Self::High,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

/// Explicit control of thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    /// The model decides.
    Adaptive,
    /// At most so many tokens.
    Budget(u64),
    BetweenTools,
    Disabled,
}

/// Class of service, as far as dialects share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Auto,
    /// Never the reserved capacity.
    Standard,
    /// Reserved capacity.
    Priority,
    /// Faster output at a higher price.
    Fast,
}

/// Lifetime of a prompt-cache entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The provider's default, five minutes at Anthropic.
    Default,
    OneHour,
}
