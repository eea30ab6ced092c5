//! A reply in neutral form: whole, and as a stream of events.
//!
//! Parsers make it from what the upstream sent, printers write it for the caller.

use super::{Part, Raw, Str, Text};
use gantry_model::usage::TokenUsage;

/// A whole answer.
#[derive(Debug)]
pub struct Reply<'a> {
    /// Text, refusal, thinking and tool calls, in the upstream's order.
    pub parts: Vec<Part<'a>>,
    pub stop: Stop<'a>,
    pub usage: Option<TokenUsage>,
}

/// Why the answer ended.
#[derive(Clone, Debug)]
pub struct Stop<'a> {
    pub reason: StopReason,
    /// The stop sequence that was met.
    pub sequence: Option<Str<'a>>,
    /// The provider's explanation of a refusal, for people.
    pub explanation: Option<Str<'a>>,
    /// The provider's own object about the stop, passed through.
    pub details: Option<Raw<'a>>,
}

impl Stop<'_> {
    /// A stop of which only the reason is known.
    #[must_use]
    pub fn plain(reason: StopReason) -> Self {
        Self { reason, sequence: None, explanation: None, details: None }
    }
}

/// Reasons that an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    End,
    StopSequence,
    MaxTokens,
    /// The context window was full before the output cap was reached.
    ContextWindow,
    ToolUse,
    /// The provider paused a long turn; the caller continues it by sending it back.
    Pause,
    /// The model refused or a filter stepped in.
    Refusal,
}

/// One step of a streamed answer.
#[derive(Debug)]
pub enum Event<'a> {
    /// The upstream began to answer.
    Start,
    Text(Text<'a>),
    Refusal(Text<'a>),
    Thinking(Text<'a>),
    /// Signature of the thinking block that is open.
    Signature(Text<'a>),
    RedactedThinking(Text<'a>),
    /// A tool call begins; `call` counts calls from 0 and names them in later events.
    ToolStart {
        call: usize,
        id: Str<'a>,
        name: Str<'a>,
        /// What the provider wants back with the call.
        signature: Option<Text<'a>>,
    },
    /// A piece of the arguments' JSON text.
    ToolArguments {
        call: usize,
        fragment: Text<'a>,
    },
    /// A block is complete. Dialects without blocks never send it, so printers also close a block
    /// when another begins.
    BlockEnd(Block),
    /// Why the answer ended; the last one counts.
    Stop(Stop<'a>),
    /// Usage so far; the last one counts.
    Usage(TokenUsage),
    /// The upstream's end marker: all has been said.
    End,
}

/// What a block of a streamed answer is, so that its end is no other one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    Text,
    Thinking,
    Call(usize),
}

/// Where a stream parser puts its events: a printer with its output.
pub trait Sink {
    /// Takes one event.
    fn send(&mut self, event: Event<'_>);
}
