//! Parses the chunks of a streamed chat completion into neutral events.
//!
//! `stream` feeds it one SSE event at a time. It keeps only what later chunks refer to: the tool
//! calls that began, and the reason to stop. The end is `[DONE]`.

use super::read_messages::thinking_block;
use super::read_reply::{REASONING_DETAILS, Seen, TextPart, XGroq, report, says_something, stop};
use super::stream_calls::{Calls, FunctionDelta, ToolDelta};
use super::usage::{Timings, Usage, Used};
use super::wire_request::ThinkingBlock;
use crate::context::Error;
use crate::context::Failure;
use crate::dialect::StreamParser;
use crate::dialect::read_error;
use crate::dialect::wire::{self, Few, Skipped, wire};
use crate::finish::ends;
use crate::neutral::{Body, Event, Losses, Raw, Sink, Str, StrOr, Text};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

wire! {
    struct Chunk<'a> {
        sub choices: Few<Choice<'a>>,
        may error: Raw<'a>,
        lax usage: Usage,
        lax x_groq: XGroq,
        lax timings: Timings,
        lax citations: Raw<'a>,
        lax search_results: Raw<'a>,
    }

    struct Choice<'a> {
        sub delta: Delta<'a>,
        may error: Raw<'a>,
        may index: u64,
        lax finish_reason: Str<'a>,
        lax stop_reason: Raw<'a>,
        lax logprobs: Skipped,
    }

    struct Delta<'a> {
        may content: StrOr<Text<'a>, Vec<TextPart<'a>>>,
        may tool_calls: Vec<ToolDelta<'a>>,
        may function_call: FunctionDelta<'a>,
        lax refusal: Text<'a>,
        lax reasoning_content: Text<'a>,
        lax reasoning: StrOr<Text<'a>, Skipped>,
        lax thinking_blocks: Vec<ThinkingBlock<'a>>,
        lax reasoning_details: Raw<'a>,
        lax annotations: Vec<Skipped>,
        lax audio: Skipped,
    }
}

/// State of one stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    started: bool,
    /// The model has said something.
    said: bool,
    refused: bool,
    /// Reasoning text has come since the last signature.
    thought: bool,
    calls: Calls,
    used: Used,
    /// Whether a finish reason was seen: then the answer is whole, `[DONE]` or not.
    finished: bool,
    /// The finish reason, and what had been seen when it was told.
    finish: Option<(String, Seen)>,
    done: bool,
    head: Head,
    losses: Losses,
}

/// What all chunks of a stream begin with: id, model and the like, up to the key `choices`. It is
/// half of a chunk, so chunks that begin with it are read from there on.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    /// How often it was found to be another.
    changes: u8,
}

/// Some servers change their head from time to time; from those that always do nothing is learnt.
const HEAD_CHANGES_MAX: u8 = 16;

/// Longer heads, in bytes, are not worth keeping.
const HEAD_BYTES_MAX: usize = 1024;

impl Head {
    fn read<'a>(&mut self, chunk: &mut Chunk<'a>, data: &'a [u8]) -> Result<(), Error> {
        if !self.bytes.is_empty() && data.starts_with(&self.bytes) {
            return wire::parse_rest_into(chunk, data, self.bytes.len());
        }
        wire::parse_into(chunk, data)?;
        self.learn(data);
        Ok(())
    }

    /// Takes over the head of a chunk, unless it holds more than the parser leaves out.
    fn learn(&mut self, data: &[u8]) {
        let end = memchr::memmem::find(data, b"\"choices\":").unwrap_or(0);
        let head = data.get(..end).and_then(|head| head.strip_suffix(b","));
        let Some(head) = head.filter(|head| head.len() < HEAD_BYTES_MAX) else { return };
        if self.changes == HEAD_CHANGES_MAX {
            return;
        }
        self.changes += 1;
        let whole = [head, b"}"].concat();
        let mut known = Chunk::default();
        let silent = wire::parse_into(&mut known, &whole).is_ok()
            && known.error.is_none()
            && known.usage.is_none()
            && known.timings.is_none()
            && known.x_groq.is_none();
        self.bytes.clear();
        if silent {
            self.bytes.extend_from_slice(data.get(..end).unwrap_or_default());
        }
    }
}

impl StreamParser for Parser {
    fn usage(&self) -> Option<TokenUsage> {
        self.used.usage()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    /// Some servers send no `[DONE]`; a finish reason is enough.
    fn close(&mut self, sink: &mut dyn Sink) -> bool {
        if self.finished && !self.done {
            self.end(sink);
        }
        self.done
    }

    fn event(
        &mut self,
        _name: Option<&str>,
        data: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let data = data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            if !self.finished {
                let stop = stop(None, None, self.seen(), &mut self.losses);
                stop.into_iter().for_each(|stop| sink.send(Event::Stop(stop)));
            }
            self.end(sink);
            return Ok(());
        }
        let mut chunk = Chunk::default();
        if data.starts_with(b"[") {
            // Google's errors; a chunk is never a list.
            return Err(Failure::Upstream(read_error::read(200, data)));
        }
        self.head.read(&mut chunk, data).map_err(Failure::Malformed)?;
        let failed = chunk.choices.iter_mut().any(|choice| says_something(choice.error));
        if failed || says_something(chunk.error) {
            return Err(Failure::Upstream(read_error::read(200, data)));
        }
        let beside =
            [("reply.citations", chunk.citations), ("reply.search_results", chunk.search_results)];
        report(&beside, &mut self.losses);
        for choice in chunk.choices.iter_mut() {
            if !self.choice(choice, sink) {
                return Err(Failure::Upstream(read_error::read(200, data)));
            }
        }
        let usages = [chunk.usage, chunk.x_groq.and_then(|groq| groq.usage)];
        if self.used.take(usages, chunk.timings)
            && let Some(usage) = self.used.usage()
        {
            sink.send(Event::Usage(usage));
        }
        Ok(())
    }

    fn losses(&self) -> &[Loss] {
        self.losses.as_slice()
    }
}

impl Parser {
    /// Takes a choice; `false` when its reason to stop says that there is no answer.
    fn choice(&mut self, choice: &mut Choice<'_>, sink: &mut dyn Sink) -> bool {
        if choice.index.is_some_and(|index| index > 0) {
            self.losses.once("reply.choices[1]", "only the first choice is kept");
            return true;
        }
        if !self.started {
            self.started = true;
            sink.send(Event::Start);
        }
        if choice.logprobs.is_some() {
            self.losses.once("reply.choices[0].logprobs", "has no counterpart");
        }
        self.delta(&mut choice.delta, sink);
        if let Some(finish) = choice.finish_reason.take().filter(|finish| ends(finish)) {
            self.finished = true;
            let seen = self.seen();
            match stop(Some(&finish), choice.stop_reason, seen, &mut self.losses) {
                Ok(stop) => sink.send(Event::Stop(stop)),
                Err(_) => return false,
            }
            self.finish = Some((finish.to_string(), seen));
        }
        true
    }

    fn seen(&self) -> Seen {
        let calls = self.calls.any();
        Seen { said: self.said || calls, calls, refused: self.refused }
    }

    fn delta(&mut self, delta: &mut Delta<'_>, sink: &mut dyn Sink) {
        if delta.tool_calls.is_none() {
            self.calls.close_empty(sink);
        }
        self.thinking(delta, sink);
        match delta.content.take() {
            Some(StrOr::Str(text)) if !text.is_empty() => {
                self.said = true;
                sink.send(Event::Text(text));
            }
            Some(StrOr::Other(list)) => {
                self.said |= !list.is_empty();
                for body in list.into_iter().flat_map(|part| part.read(&mut self.losses)) {
                    match body {
                        Body::Thinking { text, .. } => sink.send(Event::Thinking(text)),
                        Body::Text(text) => sink.send(Event::Text(text)),
                        _ => {}
                    }
                }
            }
            Some(StrOr::Str(_)) | None => {}
        }
        if let Some(text) = delta.refusal.take().filter(|text| !text.is_empty()) {
            (self.said, self.refused) = (true, true);
            sink.send(Event::Refusal(text));
        }
        for tool in delta.tool_calls.take().unwrap_or_default() {
            self.calls.take(tool, &mut self.losses, sink);
        }
        if let Some(function) = delta.function_call.take() {
            let function = Some(function);
            let tool = ToolDelta { index: Some(0), function, ..ToolDelta::default() };
            self.calls.take(tool, &mut self.losses, sink);
        }
        if delta.annotations.as_ref().is_some_and(|list| !list.is_empty()) {
            self.losses.once("reply.choices[0].message.annotations", "has no counterpart");
        }
        if delta.audio.is_some() {
            self.losses.once("reply.choices[0].message.audio", "has no counterpart");
        }
    }

    /// Reasoning text, and the blocks that some servers send beside it, with the same text again.
    fn thinking(&mut self, delta: &mut Delta<'_>, sink: &mut dyn Sink) {
        // Some servers send the same text under both names.
        match (delta.reasoning_content.take(), delta.reasoning.take()) {
            (Some(text), _) | (None, Some(StrOr::Str(text))) if !text.is_empty() => {
                (self.said, self.thought) = (true, true);
                sink.send(Event::Thinking(text));
            }
            _ => {}
        }
        for block in delta.thinking_blocks.take().unwrap_or_default() {
            self.said = true;
            match thinking_block(block) {
                Body::Thinking { text, signature } => {
                    if !self.thought && (signature.is_some() || !text.is_empty()) {
                        sink.send(Event::Thinking(text));
                    }
                    if let Some(signature) = signature {
                        self.thought = false;
                        sink.send(Event::Signature(signature));
                    }
                }
                Body::RedactedThinking(data) => sink.send(Event::RedactedThinking(data)),
                _ => {}
            }
        }
        report(&[(REASONING_DETAILS, delta.reasoning_details)], &mut self.losses);
    }

    /// All has been said.
    fn end(&mut self, sink: &mut dyn Sink) {
        self.done = true;
        self.calls.close_empty(sink);
        self.calls.report(&mut self.losses);
        // What came behind the finish reason may give it another meaning.
        if let Some((finish, told)) = self.finish.take()
            && told != self.seen()
            && let Ok(stop) = stop(Some(&finish), None, self.seen(), &mut self.losses)
        {
            sink.send(Event::Stop(stop));
        }
        sink.send(Event::End);
    }
}
