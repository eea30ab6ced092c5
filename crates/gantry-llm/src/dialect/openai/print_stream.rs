//! Prints neutral events as the chunks of a streamed chat completion.
//!
//! `stream` feeds it. All chunks share one head, which is built once. Thinking text goes out as it
//! comes; its `thinking_blocks` entry follows when the block is complete, so that a caller who
//! joins the lists of all chunks has the blocks to send back.

use super::print_reply::{call_id, finish, finish_reason};
use super::usage;
use crate::context::StreamContext;
use crate::dialect::StreamPrinter;
use crate::dialect::json::{Json, Piece, copy};
use crate::dialect::print_blocks;
use crate::neutral::{Block, Event, Stop, StopReason, Text};
use gantry_model::usage::TokenUsage;

/// State of one stream.
#[derive(Debug)]
pub(crate) struct Printer {
    /// From `data: ` to the opening bracket of `choices`.
    head: Vec<u8>,
    /// From the end of `choices` to the end of the event.
    tail: &'static [u8],
    include_usage: bool,
    request_id: String,
    started: bool,
    thinking: Option<Thinking>,
    /// Calls that have had no arguments so far.
    empty: Vec<usize>,
    /// Finish reason and the complete chunk that says it.
    stop: Option<(StopReason, Vec<u8>)>,
    explanation: Option<String>,
    refused: bool,
    usage: Option<TokenUsage>,
}

/// The thinking block that is open.
#[derive(Debug, Default)]
struct Thinking {
    text: String,
    signature: String,
}

impl Printer {
    pub(crate) fn new(ctx: &StreamContext) -> Self {
        let mut head = b"data: ".to_vec();
        let mut json = Json::new(&mut head);
        json.open(b'{');
        json.key("id");
        json.concat(["chatcmpl-", &ctx.request_id].map(Piece::Str));
        json.member_str("object", "chat.completion.chunk");
        json.member_u64("created", ctx.created_s);
        json.member_str("model", &ctx.model);
        json.key("choices");
        json.open(b'[');
        Self {
            head,
            tail: if ctx.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" },
            include_usage: ctx.include_usage,
            request_id: ctx.request_id.clone(),
            started: false,
            thinking: None,
            empty: Vec::new(),
            stop: None,
            explanation: None,
            refused: false,
            usage: None,
        }
    }

    fn text(&mut self, field: &str, text: &Text<'_>, out: &mut Vec<u8>) {
        self.chunk(out, |out| {
            out.push(b'"');
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"\":\"");
            copy(out, text);
            out.push(b'"');
        });
    }

    /// One chunk whose delta holds what `delta` writes.
    fn chunk(&mut self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":null}");
        out.extend_from_slice(self.tail);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            self.chunk(out, |out| {
                out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
            });
        }
    }

    fn tool_start(&mut self, call: usize, (id, name): (&str, &str), out: &mut Vec<u8>) {
        let made_up = id.is_empty().then(|| call_id(&self.request_id, call));
        let id = made_up.as_deref().unwrap_or(id);
        self.empty.push(call);
        self.chunk(out, |out| {
            let mut json = Json::new(out);
            json.key("tool_calls");
            json.open(b'[');
            json.open(b'{');
            json.member_u64("index", u64::try_from(call).unwrap_or(0));
            json.member_str("id", id);
            json.member_str("type", "function");
            json.key("function");
            json.open(b'{');
            json.member_str("name", name);
            json.member_str("arguments", "");
            json.close(b'}');
            json.close(b'}');
            json.close(b']');
        });
    }

    fn tool_arguments(&mut self, call: usize, fragment: &Text<'_>, out: &mut Vec<u8>) {
        self.empty.retain(|empty| *empty != call);
        self.chunk(out, |out| {
            let mut json = Json::new(out);
            json.key("tool_calls");
            json.open(b'[');
            json.open(b'{');
            json.member_u64("index", u64::try_from(call).unwrap_or(0));
            json.key("function");
            json.open(b'{');
            json.member_text("arguments", fragment);
            json.close(b'}');
            json.close(b'}');
            json.close(b']');
        });
    }

    fn redacted(&mut self, data: &Text<'_>, out: &mut Vec<u8>) {
        self.chunk(out, |out| {
            let mut json = Json::new(out);
            json.key("thinking_blocks");
            json.open(b'[');
            print_blocks::redacted(data, &mut json);
            json.close(b']');
        });
    }

    /// Completes a block: the thinking block to send back, or the `{}` of a call without
    /// arguments.
    fn block_end(&mut self, block: Block, out: &mut Vec<u8>) {
        match block {
            Block::Text => {}
            Block::Thinking => self.thinking_end(out),
            Block::Call(call) if self.empty.contains(&call) => {
                self.tool_arguments(call, &Text::Plain("{}"), out);
            }
            Block::Call(_) => {}
        }
    }

    fn thinking_end(&mut self, out: &mut Vec<u8>) {
        if let Some(Thinking { text, signature }) = self.thinking.take() {
            self.chunk(out, |out| {
                let mut json = Json::new(out);
                json.key("thinking_blocks");
                json.open(b'[');
                print_blocks::thinking(&text.into(), Some(&signature.into()), &mut json);
                json.close(b']');
            });
        }
    }

    fn stop(&mut self, stop: &Stop<'_>) {
        let mut chunk = self.head.clone();
        chunk.extend_from_slice(b"{\"index\":0,\"delta\":{},\"logprobs\":null");
        finish(stop, &mut Json::new(&mut chunk));
        chunk.push(b'}');
        chunk.extend_from_slice(self.tail);
        self.stop = Some((stop.reason, chunk));
        self.explanation = stop.explanation.as_ref().map(ToString::to_string);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        self.thinking_end(out);
        for call in std::mem::take(&mut self.empty) {
            self.tool_arguments(call, &Text::Plain("{}"), out);
        }
        if let Some(text) = self.explanation.take()
            && !self.refused
        {
            self.text("refusal", &text.into(), out);
        }
        if self.stop.is_none() {
            self.stop(&Stop::plain(StopReason::End));
        }
        if let Some((_, chunk)) = &self.stop {
            out.extend_from_slice(chunk);
        }
        if let (true, Some(tokens)) = (self.include_usage, self.usage) {
            out.extend_from_slice(&self.head);
            out.push(b']');
            let mut json = Json::new(out);
            json.key("usage");
            usage::print(&tokens, &mut json);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamPrinter for Printer {
    fn send(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if !matches!(event, Event::Usage(_) | Event::Stop(_)) {
            self.start(out);
        }
        match event {
            Event::Start => {}
            Event::Text(text) => self.text("content", &text, out),
            Event::Refusal(text) => {
                self.refused = true;
                self.text("refusal", &text, out);
            }
            Event::Thinking(text) => {
                text.push_to(&mut self.thinking.get_or_insert_default().text);
                if !text.is_empty() {
                    self.text("reasoning_content", &text, out);
                }
            }
            Event::Signature(text) => {
                text.push_to(&mut self.thinking.get_or_insert_default().signature);
            }
            Event::RedactedThinking(data) => self.redacted(&data, out),
            Event::ToolStart { call, id, name, .. } => self.tool_start(call, (&id, &name), out),
            Event::ToolArguments { call, fragment } => {
                self.tool_arguments(call, &fragment, out);
            }
            Event::BlockEnd(block) => self.block_end(block, out),
            Event::Stop(stop) => self.stop(&stop),
            Event::Usage(tokens) => self.usage = Some(tokens),
            Event::End => self.finish(out),
        }
    }

    fn finish_reason(&self) -> Option<&'static str> {
        self.stop.as_ref().map(|(reason, _)| finish_reason(*reason))
    }
}
