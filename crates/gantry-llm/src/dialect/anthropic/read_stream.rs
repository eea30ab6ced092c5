//! Parses the events of a streamed Messages reply into neutral events.
//!
//! `stream` feeds it one SSE event at a time. The `type` in the data counts, not the event's name,
//! which some proxies lose. Unknown events and deltas are ignored, as Anthropic asks of clients.

use super::read_reply::{Told, stop};
use super::usage::{Usage, Used};
use super::wire_block::Block;
use crate::context::Failure;
use crate::dialect::StreamParser;
use crate::dialect::read_error;
use crate::dialect::wire::{self, wire};
use crate::neutral::{self, Event, Losses, Raw, Sink, Str, Text};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

wire! {
    struct Data<'a> {
        must kind as "type": Str<'a>,
        sub delta: Delta<'a>,
        may content_block: Block<'a>,
        lax index: u64,
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

/// A block that is open. Servers are to end one before they begin the next, and not all do.
#[derive(Debug)]
struct Open {
    index: Option<u64>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain(neutral::Block),
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
    open: Vec<Open>,
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
                    self.block_start(data.index, block, sink);
                }
            }
            "content_block_delta" => {
                self.block_delta(data.index, data.delta, sink);
            }
            "content_block_stop" => {
                if let Some(at) = self.at(data.index) {
                    self.block_stop(at, sink);
                }
            }
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
                while !self.open.is_empty() {
                    self.block_stop(0, sink);
                }
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

    /// The open block of an index; the last one where the index says nothing.
    fn at(&self, index: Option<u64>) -> Option<usize> {
        let named = index.and_then(|_| self.open.iter().rposition(|open| open.index == index));
        named.or(self.open.len().checked_sub(1))
    }

    fn block_start(&mut self, index: Option<u64>, block: Block<'_>, sink: &mut dyn Sink) {
        // A block that nobody ended, under an index that is used again.
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            self.block_stop(at, sink);
        }
        let mut kind = Kind::Plain(neutral::Block::Text);
        self.said = true;
        match &*block.kind {
            "text" => {
                if let Some(text) = block.text.filter(|text| !text.is_empty()) {
                    sink.send(Event::Text(text));
                }
            }
            "thinking" => {
                kind = Kind::Plain(neutral::Block::Thinking);
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
                let input = block.input.filter(|raw| !matches!(raw.get(), "{}" | "null"));
                kind = Kind::Tool { call, input: input.map(|raw| raw.get().to_owned()) };
                let (id, name) = (block.id.unwrap_or_default(), block.name.unwrap_or_default());
                sink.send(Event::ToolStart { call, id, name, signature: None });
            }
            kind_of => {
                let note = format!("blocks of type `{kind_of}` have no counterpart");
                self.losses.once("reply.content", &note);
                kind = Kind::Foreign;
            }
        }
        self.open.push(Open { index, kind });
    }

    fn block_delta(&mut self, index: Option<u64>, delta: Delta<'_>, sink: &mut dyn Sink) {
        let at = self.at(index);
        let mut open = at.and_then(|at| self.open.get_mut(at)).map(|open| &mut open.kind);
        match (delta.kind.as_deref(), &mut open) {
            (_, Some(Kind::Foreign)) => {}
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
            (Some("input_json_delta"), Some(Kind::Tool { call, input })) => {
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

    fn block_stop(&mut self, at: usize, sink: &mut dyn Sink) {
        match self.open.remove(at).kind {
            Kind::Foreign => {}
            Kind::Plain(block) => sink.send(Event::BlockEnd(block)),
            Kind::Tool { call, input } => {
                if let Some(input) = input {
                    sink.send(Event::ToolArguments { call, fragment: input.into() });
                }
                sink.send(Event::BlockEnd(neutral::Block::Call(call)));
            }
        }
    }
}
