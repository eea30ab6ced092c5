//! Parses the events of a streamed Messages reply into neutral events.
//!
//! `stream` feeds it one SSE event at a time. The `type` in the data counts, not the event's name,
//! which some proxies lose. Unknown events and deltas are ignored, as Anthropic asks of clients.

use super::read_reply::{Told, stop};
use super::usage::{Usage, Used};
use super::wire_block::{Block, says_something};
use crate::context::Failure;
use crate::dialect::StreamParser;
use crate::dialect::read_error;
use crate::dialect::wire::{self, wire};
use crate::neutral::{Event, Losses, Raw, Sink, Str, Text};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

wire! {
    struct Data<'a> {
        must kind as "type": Str<'a>,
        sub delta: Delta<'a>,
        may content_block: Block<'a>,
        lax message: Start,
        lax usage: Usage,
    }

    struct Start {
        lax usage: Usage,
    }

    /// All deltas in one: of blocks, and of the message.
    struct Delta<'a> {
        may kind as "type": Str<'a>,
        may text: Text<'a>,
        may partial_json: Text<'a>,
        may thinking: Text<'a>,
        may signature: Text<'a>,
        lax stop_reason: Str<'a>,
        lax stop_sequence: Str<'a>,
        lax stop_details: Raw<'a>,
    }
}

/// The block that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Plain,
    /// A call, and the input that came with its start and counts unless deltas follow.
    Tool {
        call: usize,
        input: Option<String>,
    },
    /// A block that no other dialect has.
    Foreign,
}

/// State of one stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    open: Open,
    calls: usize,
    /// A block has begun.
    said: bool,
    used: Used,
    done: bool,
    losses: Losses,
}

impl StreamParser for Parser {
    fn usage(&self) -> Option<TokenUsage> {
        self.used.usage()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn event(
        &mut self,
        _name: Option<&str>,
        data: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let bytes = data.trim_ascii();
        if self.done || bytes.is_empty() {
            return Ok(());
        }
        let mut data = Data::default();
        wire::parse_into(&mut data, bytes).map_err(Failure::Malformed)?;
        match &*data.kind {
            "message_start" => {
                sink.send(Event::Start);
                self.report(data.message.and_then(|message| message.usage), true, sink);
            }
            "content_block_start" => {
                if let Some(block) = data.content_block {
                    self.block_start(block, sink);
                }
            }
            "content_block_delta" => {
                self.block_delta(data.delta, sink);
            }
            "content_block_stop" => self.block_stop(sink),
            "message_delta" => {
                let delta = data.delta;
                if delta.stop_reason.is_some() {
                    let told = Told { reason: delta.stop_reason.as_deref(), said: self.said };
                    let (sequence, details) = (delta.stop_sequence, delta.stop_details);
                    let stop = stop(told, sequence, details, &mut self.losses)
                        .map_err(|_| Failure::Upstream(read_error::read(200, bytes)))?;
                    sink.send(Event::Stop(stop));
                }
                self.report(data.usage, false, sink);
            }
            "message_stop" => {
                self.done = true;
                sink.send(Event::End);
            }
            "error" => return Err(Failure::Upstream(read_error::read(200, bytes))),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, _sink: &mut dyn Sink) -> bool {
        self.done
    }

    fn losses(&self) -> &[Loss] {
        self.losses.as_slice()
    }
}

impl Parser {
    fn report(&mut self, usage: Option<Usage>, begins: bool, sink: &mut dyn Sink) {
        if self.used.take(usage, begins)
            && let Some(usage) = self.used.usage()
        {
            sink.send(Event::Usage(usage));
        }
    }

    fn block_start(&mut self, block: Block<'_>, sink: &mut dyn Sink) {
        (self.open, self.said) = (Open::Plain, true);
        match &*block.kind {
            "text" => {
                if let Some(text) = block.text.filter(|text| !text.is_empty()) {
                    sink.send(Event::Text(text));
                }
            }
            "thinking" => {
                sink.send(Event::Thinking(block.thinking.unwrap_or_default()));
                if let Some(signature) = block.signature.filter(|text| !text.is_empty()) {
                    sink.send(Event::Signature(signature));
                }
            }
            "redacted_thinking" => {
                sink.send(Event::RedactedThinking(block.data.unwrap_or_default()));
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let input = block.input.filter(|raw| says_something(Some(*raw)));
                self.open = Open::Tool { call, input: input.map(|raw| raw.get().to_owned()) };
                let (id, name) = (block.id.unwrap_or_default(), block.name.unwrap_or_default());
                sink.send(Event::ToolStart { call, id, name, signature: None });
            }
            kind => {
                let note = format!("blocks of type `{kind}` have no counterpart");
                self.losses.once("reply.content", &note);
                self.open = Open::Foreign;
            }
        }
    }

    fn block_delta(&mut self, delta: Delta<'_>, sink: &mut dyn Sink) {
        match (delta.kind.as_deref(), &mut self.open) {
            (_, Open::Foreign) => {}
            (Some("text_delta"), _) => {
                if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
                    sink.send(Event::Text(text));
                }
            }
            (Some("thinking_delta"), _) => {
                if let Some(text) = delta.thinking.filter(|text| !text.is_empty()) {
                    sink.send(Event::Thinking(text));
                }
            }
            (Some("signature_delta"), _) => {
                if let Some(signature) = delta.signature {
                    sink.send(Event::Signature(signature));
                }
            }
            (Some("input_json_delta"), Open::Tool { call, input }) => {
                if let Some(fragment) = delta.partial_json.filter(|text| !text.is_empty()) {
                    *input = None;
                    sink.send(Event::ToolArguments { call: *call, fragment });
                }
            }
            (Some("citations_delta"), _) => {
                self.losses.once("reply.content.citations", "has no counterpart");
            }
            _ => {}
        }
    }

    fn block_stop(&mut self, sink: &mut dyn Sink) {
        match std::mem::take(&mut self.open) {
            Open::None | Open::Foreign => {}
            Open::Plain => sink.send(Event::BlockEnd),
            Open::Tool { call, input } => {
                if let Some(input) = input {
                    sink.send(Event::ToolArguments { call, fragment: input.into() });
                }
                sink.send(Event::BlockEnd);
            }
        }
    }
}
