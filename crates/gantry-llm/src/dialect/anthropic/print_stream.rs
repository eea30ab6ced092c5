//! Prints neutral events as the events of a streamed Messages reply.
//!
//! `stream` feeds it. Blocks here follow one another, while OpenAI's tool calls may interleave:
//! the first call streams, what arrives for others meanwhile waits until the end.

use super::print_reply::{call_id, head, stop_reason, stop_sequence};
use super::usage;
use crate::dialect::json::{Json, copy};
use crate::neutral::{Event, Sink, Stop, StopReason, Text};
use crate::stream::StreamContext;
use gantry_model::usage::TokenUsage;

/// The block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    Tool(usize),
}

/// A block that waits for its turn.
#[derive(Debug)]
enum Waiting {
    Text(String),
    Tool { call: usize, id: String, name: String, arguments: String },
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
    waiting: Vec<Waiting>,
    stop: Option<(StopReason, Option<String>)>,
    usage: Option<TokenUsage>,
}

/// A printer and where it prints.
pub(crate) struct Output<'p> {
    pub(crate) printer: &'p mut Printer,
    pub(crate) out: &'p mut Vec<u8>,
}

impl Printer {
    pub(crate) fn new(ctx: &StreamContext) -> Self {
        Self {
            model: ctx.model.clone(),
            request_id: ctx.request_id.clone(),
            started: false,
            open: Open::None,
            index: 0,
            waiting: Vec::new(),
            stop: None,
            usage: None,
        }
    }

    /// Why the answer ended, in this dialect.
    pub(crate) fn finish_reason(&self) -> Option<&'static str> {
        self.stop.as_ref().map(|(reason, _)| stop_reason(*reason))
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
        if self.open == Open::None {
            return;
        }
        self.open = Open::None;
        begin("content_block_stop", out);
        Json::new(out).member_u64("index", self.index);
        finish(out);
        self.index += 1;
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

    fn text(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if let Open::Tool(_) = self.open {
            match self.waiting.last_mut() {
                Some(Waiting::Text(waiting)) => text.push_to(waiting),
                _ => self.waiting.push(Waiting::Text(text.decode().into_owned())),
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
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "thinking");
            json.member_str("thinking", "");
            json.member_str("signature", "");
        };
        if !matches!(self.open, Open::Tool(_)) {
            self.block(Open::Thinking, block, out);
            if !text.is_empty() {
                self.delta("thinking_delta", "thinking", text, out);
            }
        }
    }

    fn redacted(&mut self, data: &Text<'_>, out: &mut Vec<u8>) {
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "redacted_thinking");
            json.member_text("data", data);
        };
        self.block_end(out);
        self.block(Open::Thinking, block, out);
        self.block_end(out);
    }

    fn tool_start(&mut self, call: usize, (id, name): (&str, &str), out: &mut Vec<u8>) {
        if let Open::Tool(_) = self.open {
            self.waiting.push(Waiting::Tool {
                call,
                id: id.to_owned(),
                name: name.to_owned(),
                arguments: String::new(),
            });
            return;
        }
        let made_up = id.is_empty().then(|| call_id(&self.request_id, call));
        let block = |json: &mut Json<'_>| {
            json.member_str("type", "tool_use");
            json.member_str("id", made_up.as_deref().unwrap_or(id));
            json.member_str("name", name);
            json.member_raw("input", "{}");
        };
        self.block(Open::Tool(call), block, out);
    }

    fn tool_arguments(&mut self, call: usize, fragment: &Text<'_>, out: &mut Vec<u8>) {
        if self.open == Open::Tool(call) {
            self.delta("input_json_delta", "partial_json", fragment, out);
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

    /// Closes the block that is open and prints those that waited.
    fn flush(&mut self, out: &mut Vec<u8>) {
        self.block_end(out);
        for each in std::mem::take(&mut self.waiting) {
            match each {
                Waiting::Text(text) => self.text(&text.into(), out),
                Waiting::Tool { call, id, name, arguments } => {
                    self.tool_start(call, (&id, &name), out);
                    if !arguments.is_empty() {
                        self.tool_arguments(call, &arguments.into(), out);
                    }
                }
            }
            self.block_end(out);
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

impl Sink for Output<'_> {
    fn send(&mut self, event: Event<'_>) {
        let Self { printer, out } = self;
        // Usage before the start belongs into `message_start`.
        if !matches!(event, Event::Start | Event::Usage(_) | Event::Stop(_)) {
            printer.start(out);
        }
        match event {
            Event::Start => printer.start(out),
            Event::Text(text) | Event::Refusal(text) => printer.text(&text, out),
            Event::Thinking(text) => printer.thinking(&text, out),
            Event::Signature(text) => {
                if printer.open == Open::Thinking {
                    printer.delta("signature_delta", "signature", &text, out);
                }
            }
            Event::RedactedThinking(data) => printer.redacted(&data, out),
            Event::ToolStart { call, id, name } => printer.tool_start(call, (&id, &name), out),
            Event::ToolArguments { call, fragment } => {
                printer.tool_arguments(call, &fragment, out);
            }
            Event::BlockEnd => printer.block_end(out),
            Event::Stop(stop) => printer.set_stop(&stop),
            Event::Usage(tokens) => printer.usage = Some(tokens),
            Event::End => printer.finish(out),
        }
    }
}
