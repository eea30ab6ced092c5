//! Prints neutral events as the events of a streamed Messages reply.
//!
//! `stream` feeds it. Blocks here follow one another, while OpenAI's tool calls may interleave:
//! one call streams, and what arrives for others meanwhile waits until its arguments are whole.

use super::input::Input;
use super::print_reply::{NO_OBJECT, arguments_of, call_id, head, stop_reason, stop_sequence};
use super::usage;
use crate::context::StreamContext;
use crate::dialect::StreamPrinter;
use crate::dialect::json::{Json, copy};
use crate::marks::{OF_CALL, UNSIGNED, spelled_id};
use crate::neutral::{Block, Event, Losses, Stop, StopReason, Str, Text};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;
use std::collections::VecDeque;

/// The block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    /// Whether the signature has come, which is a block's last word.
    Thinking {
        signed: bool,
    },
    Redacted,
    Tool(usize),
}

/// A block that waits for its turn.
#[derive(Debug)]
enum Waiting {
    Text(String),
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
    Tool { call: usize, head: Head<'static>, arguments: String, ended: bool },
}

/// What a call begins with.
#[derive(Debug)]
struct Head<'a> {
    id: Str<'a>,
    name: Str<'a>,
    signature: Option<Text<'a>>,
}

impl Head<'_> {
    fn into_owned(self) -> Head<'static> {
        Head {
            id: self.id.to_string().into(),
            name: self.name.to_string().into(),
            signature: self.signature.map(|text| Text::Owned(text.decode().into_owned())),
        }
    }
}

/// State of one stream.
#[derive(Debug)]
pub(crate) struct Printer {
    model: String,
    request_id: String,
    started: bool,
    open: Open,
    /// Index of the block that is open, or of the next one.
    index: u64,
    waiting: VecDeque<Waiting>,
    /// Of the call that is open.
    input: Input,
    stop: Option<(StopReason, Option<String>)>,
    usage: Option<TokenUsage>,
    losses: Losses,
}

impl Printer {
    pub(crate) fn new(ctx: &StreamContext) -> Self {
        Self {
            model: ctx.model.clone(),
            request_id: ctx.request_id.clone(),
            started: false,
            open: Open::None,
            index: 0,
            waiting: VecDeque::new(),
            input: Input::default(),
            stop: None,
            usage: None,
            losses: Losses::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        begin("message_start", out);
        let mut json = Json::new(out);
        json.key("message");
        json.open(b'{');
        head(&self.request_id, &self.model, &mut json);
        json.member_raw("content", "[]");
        json.member_raw("stop_reason", "null");
        json.member_raw("stop_sequence", "null");
        json.key("usage");
        // OpenAI's dialect reports usage at the end: the real counts follow in `message_delta`.
        usage::print(&self.usage.unwrap_or_default(), &mut json);
        json.close(b'}');
        finish(out);
    }

    /// Opens a block unless it is open; `block` is the `content_block` member.
    fn block(&mut self, open: Open, block: impl FnOnce(&mut Json<'_>), out: &mut Vec<u8>) {
        if self.open == open {
            return;
        }
        self.block_end(out);
        self.open = open;
        begin("content_block_start", out);
        let mut json = Json::new(out);
        json.member_u64("index", self.index);
        json.key("content_block");
        json.open(b'{');
        block(&mut json);
        json.close(b'}');
        finish(out);
    }

    fn block_end(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::None => return,
            Open::Thinking { signed: false } => self.signature(&Text::Plain(UNSIGNED), out),
            Open::Tool(call) => self.input_end(call, out),
            Open::Thinking { signed: true } | Open::Text | Open::Redacted => {}
        }
        self.open = Open::None;
        begin("content_block_stop", out);
        Json::new(out).member_u64("index", self.index);
        finish(out);
        self.index += 1;
    }

    /// What is no object goes into one, and is reported as in a whole reply.
    fn input_end(&mut self, call: usize, out: &mut Vec<u8>) {
        if let Some(wrapped) = self.input.end() {
            self.losses.approximated(arguments_of(call), NO_OBJECT);
            self.delta("input_json_delta", "partial_json", &wrapped.into(), out);
        }
    }

    /// The end of a block of the parser's. One that waits is over when its turn comes.
    fn end_of(&mut self, block: Block, out: &mut Vec<u8>) {
        match (block, self.open) {
            (Block::Text, Open::Text) | (Block::Thinking, Open::Thinking { .. }) => {
                self.block_end(out);
            }
            (Block::Call(call), Open::Tool(open)) if open == call => {
                self.block_end(out);
                self.advance(out);
            }
            (Block::Call(call), _) => {
                for each in &mut self.waiting {
                    if let Waiting::Tool { call: waiting, ended, .. } = each {
                        *ended |= *waiting == call;
                    }
                }
            }
            (Block::Text | Block::Thinking, _) => {}
        }
    }

    fn delta(&self, kind: &str, field: &str, text: &Text<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(DELTA);
        Json::new(out).u64(self.index);
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\":\"");
        copy(out, text);
        out.extend_from_slice(b"\"}");
        finish(out);
    }

    /// Whether a call is open whose arguments go on, so that other blocks have to wait.
    fn is_busy(&self) -> bool {
        matches!(self.open, Open::Tool(_)) && !self.input.is_whole()
    }

    fn text(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if self.is_busy() {
            match self.waiting.back_mut() {
                Some(Waiting::Text(waiting)) => text.push_to(waiting),
                _ => self.waiting.push_back(Waiting::Text(text.decode().into_owned())),
            }
            return;
        }
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "text");
            json.member_str("text", "");
        };
        self.block(Open::Text, block, out);
        self.delta("text_delta", "text", text, out);
    }

    fn thinking(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if self.is_busy() {
            match self.waiting.back_mut() {
                Some(Waiting::Thinking { text: waiting, signature: None }) => text.push_to(waiting),
                _ => {
                    let text = text.decode().into_owned();
                    self.waiting.push_back(Waiting::Thinking { text, signature: None });
                }
            }
            return;
        }
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "thinking");
            json.member_str("thinking", "");
            json.member_str("signature", "");
        };
        self.block(Open::Thinking { signed: false }, block, out);
        if !text.is_empty() {
            self.delta("thinking_delta", "thinking", text, out);
        }
    }

    /// Clients keep the last delta of a signature only, so it comes in one.
    fn signature(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if let Open::Thinking { signed } = &mut self.open {
            *signed = true;
            self.delta("signature_delta", "signature", text, out);
        } else if let (true, Some(Waiting::Thinking { signature, .. })) =
            (self.is_busy(), self.waiting.back_mut())
        {
            *signature = Some(text.decode().into_owned());
        }
    }

    fn redacted(&mut self, data: &Text<'_>, out: &mut Vec<u8>) {
        if self.is_busy() {
            self.waiting.push_back(Waiting::Redacted(data.decode().into_owned()));
            return;
        }
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "redacted_thinking");
            json.member_text("data", data);
        };
        self.block_end(out);
        self.block(Open::Redacted, block, out);
        self.block_end(out);
    }

    fn tool_start(&mut self, call: usize, head: Head<'_>, out: &mut Vec<u8>) {
        if self.is_busy() {
            let (head, arguments, ended) = (head.into_owned(), String::new(), false);
            self.waiting.push_back(Waiting::Tool { call, head, arguments, ended });
            return;
        }
        let Head { id, name, signature } = head;
        if let Some(signature) = signature {
            // A block of its own in front, because callers send these back.
            let signature = [OF_CALL, &*signature.decode()].concat();
            self.block_end(out);
            self.thinking(&Text::default(), out);
            self.signature(&Text::Owned(signature), out);
        }
        let made_up = id.is_empty().then(|| call_id(&self.request_id, call));
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "tool_use");
            json.member_str("id", &spelled_id(made_up.as_deref().unwrap_or(&id)));
            json.member_str("name", &name);
            json.member_raw("input", "{}");
        };
        self.block(Open::Tool(call), block, out);
        self.input = Input::default();
    }

    /// What comes for a call behind its arguments' end can only be white space, unless the server
    /// is wrong.
    fn tool_arguments(&mut self, call: usize, fragment: Text<'_>, out: &mut Vec<u8>) {
        if self.open == Open::Tool(call) {
            if let Some(fragment) = self.input.feed(fragment) {
                self.delta("input_json_delta", "partial_json", &fragment, out);
            }
            self.advance(out);
            return;
        }
        for each in &mut self.waiting {
            if let Waiting::Tool { call: waiting, arguments, .. } = each
                && *waiting == call
            {
                fragment.push_to(arguments);
            }
        }
    }

    /// Prints blocks that waited, up to one that goes on.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while !self.is_busy()
            && let Some(each) = self.waiting.pop_front()
        {
            self.waited(each, out);
        }
    }

    /// Closes the block that is open and prints those that waited.
    fn flush(&mut self, out: &mut Vec<u8>) {
        self.block_end(out);
        while let Some(each) = self.waiting.pop_front() {
            self.waited(each, out);
            self.block_end(out);
        }
    }

    fn waited(&mut self, each: Waiting, out: &mut Vec<u8>) {
        match each {
            Waiting::Text(text) => self.text(&text.into(), out),
            Waiting::Thinking { text, signature } => {
                self.thinking(&text.into(), out);
                if let Some(signature) = signature {
                    self.signature(&signature.into(), out);
                }
            }
            Waiting::Redacted(data) => self.redacted(&data.into(), out),
            Waiting::Tool { call, head, arguments, ended } => {
                self.tool_start(call, head, out);
                if !arguments.is_empty() {
                    let fragment = self.input.feed(arguments.into());
                    if let Some(fragment) = fragment {
                        self.delta("input_json_delta", "partial_json", &fragment, out);
                    }
                }
                if ended {
                    self.block_end(out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
        let (reason, sequence) = self.stop.get_or_insert((StopReason::End, None));
        begin("message_delta", out);
        let mut json = Json::new(out);
        json.key("delta");
        json.open(b'{');
        json.member_str("stop_reason", stop_reason(*reason));
        stop_sequence(sequence.as_deref(), &mut json);
        json.close(b'}');
        json.key("usage");
        usage::print(&self.usage.unwrap_or_default(), &mut json);
        finish(out);
        begin("message_stop", out);
        finish(out);
    }

    fn set_stop(&mut self, stop: &Stop<'_>) {
        let sequence = stop.sequence.as_ref().map(ToString::to_string);
        self.stop = Some((stop.reason, sequence));
    }
}

/// The head of the events that come most often, up to the block's index.
const DELTA: &[u8] =
    b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":";

/// The head of an event, up to its `type`.
fn begin(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

/// The end of an event.
fn finish(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n\n");
}

impl StreamPrinter for Printer {
    fn send(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        // Usage before the start belongs into `message_start`.
        if !matches!(event, Event::Start | Event::Usage(_) | Event::Stop(_)) {
            self.start(out);
        }
        match event {
            Event::Start => self.start(out),
            Event::Text(text) | Event::Refusal(text) => self.text(&text, out),
            Event::Thinking(text) => self.thinking(&text, out),
            Event::Signature(text) => self.signature(&text, out),
            Event::RedactedThinking(data) => self.redacted(&data, out),
            Event::ToolStart { call, id, name, signature } => {
                self.tool_start(call, Head { id, name, signature }, out);
            }
            Event::ToolArguments { call, fragment } => {
                self.tool_arguments(call, fragment, out);
            }
            Event::BlockEnd(block) => self.end_of(block, out),
            Event::Stop(stop) => self.set_stop(&stop),
            Event::Usage(tokens) => self.usage = Some(tokens),
            Event::End => self.finish(out),
        }
    }

    fn finish_reason(&self) -> Option<&'static str> {
        self.stop.as_ref().map(|(reason, _)| stop_reason(*reason))
    }

    fn losses(&self) -> &[Loss] {
        self.losses.as_slice()
    }
}
