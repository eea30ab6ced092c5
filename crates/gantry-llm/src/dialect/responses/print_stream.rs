//! Prints neutral events as the events of a streamed response.
//!
//! `stream` feeds it. The same steps, silent, make the output of a whole reply, so that both say
//! the same. Items of messages and reasoning follow each other; calls may be open beside each
//! other, because some servers fill several by turns.

use super::envelope::{Envelope, State};
use super::items::{self, At, Call, MESSAGE, REASONING, Reasoned, Said};
use super::seal::Seal;
use crate::context::StreamContext;
use crate::dialect::StreamPrinter;
use crate::dialect::json::{Json, copy};
use crate::neutral::{Block, Event, Stop, StopReason, Str, Text};
use gantry_model::usage::TokenUsage;
use std::collections::BTreeMap;

/// State of one response.
#[derive(Debug)]
pub(super) struct Printer {
    ctx: StreamContext,
    /// Whether nothing is printed.
    silent: bool,
    sequence: u64,
    started: bool,
    /// Of the next item.
    index: u64,
    /// Complete items by their index.
    done: BTreeMap<u64, Vec<u8>>,
    open: Option<Open>,
    /// Calls that are open, by their number among all calls.
    calls: BTreeMap<usize, Call>,
    refused: bool,
    state: Option<State>,
    explanation: Option<String>,
    usage: Option<TokenUsage>,
}

/// The item that is open. Texts are the insides of JSON strings.
#[derive(Debug)]
enum Open {
    Message { index: u64, parts: Vec<u8>, count: u64, said: Said, text: Vec<u8> },
    Reasoning { index: u64, shown: bool, text: Vec<u8>, signature: Vec<u8> },
}

impl Printer {
    pub(super) fn new(ctx: StreamContext) -> Self {
        Self {
            ctx,
            silent: false,
            sequence: 0,
            started: false,
            index: 0,
            done: BTreeMap::new(),
            open: None,
            calls: BTreeMap::new(),
            refused: false,
            state: None,
            explanation: None,
            usage: None,
        }
    }

    /// One that prints nothing but the whole response.
    pub(super) fn silent(ctx: StreamContext) -> Self {
        Self { silent: true, ..Self::new(ctx) }
    }

    /// One event; `members` prints what it has besides its type and number.
    fn event(&mut self, name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Json<'_>)) {
        if self.silent {
            return;
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut json = Json::new(out);
        json.open(b'{');
        json.member_str("type", name);
        json.member_u64("sequence_number", self.sequence);
        members(&mut json);
        json.close(b'}');
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// Prints the response as it stands.
    pub(super) fn response(&self, state: State, json: &mut Json<'_>) {
        let envelope = Envelope {
            request_id: &self.ctx.request_id,
            model: &self.ctx.model,
            created_s: self.ctx.created_s,
            echo: &self.ctx.carried.echo,
        };
        let items: Vec<&[u8]> = self.done.values().map(Vec::as_slice).collect();
        envelope.print(state, &items.join(&b','), self.usage.as_ref(), json);
    }

    fn response_event(&mut self, name: &str, state: State, out: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        let mut object = Vec::new();
        self.response(state, &mut Json::new(&mut object));
        let object = String::from_utf8(object).unwrap_or_default();
        self.event(name, out, |json| json.member_raw("response", &object));
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            self.response_event("response.created", State::InProgress, out);
            self.response_event("response.in_progress", State::InProgress, out);
        }
    }

    fn next_index(&mut self) -> u64 {
        self.index += 1;
        self.index - 1
    }

    /// `response.output_item.added` or `.done` with an item.
    fn item_event(&mut self, name: &str, (index, item): (u64, Vec<u8>), out: &mut Vec<u8>) {
        let text = String::from_utf8(item).unwrap_or_default();
        self.event(name, out, |json| {
            json.member_u64("output_index", index);
            json.member_raw("item", &text);
        });
        if name == DONE {
            self.done.insert(index, text.into_bytes());
        }
    }

    fn item(&self, index: u64, print: impl FnOnce(At<'_>, &mut Json<'_>)) -> Vec<u8> {
        let mut item = Vec::new();
        print(At { request_id: &self.ctx.request_id, index }, &mut Json::new(&mut item));
        item
    }

    /// Text or a refusal of the message that is open, or of a new one.
    fn say(&mut self, now: Said, text: &Text<'_>, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match &self.open {
            Some(Open::Message { said, .. }) if *said == now => {}
            Some(Open::Message { .. }) => {
                self.close_part(out);
                self.open_part(now, out);
            }
            _ => {
                self.close(out);
                let index = self.next_index();
                let item = self.item(index, |at, json| {
                    items::message(at, "in_progress", b"", json);
                });
                self.item_event(ADDED, (index, item), out);
                let (parts, text) = (Vec::new(), Vec::new());
                self.open = Some(Open::Message { index, parts, count: 0, said: now, text });
                self.open_part(now, out);
            }
        }
        let Some(Open::Message { index, count, text: all, .. }) = &mut self.open else { return };
        copy(all, text);
        let (index, count) = (*index, *count);
        let name = match now {
            Said::Text => "response.output_text.delta",
            Said::Refusal => "response.refusal.delta",
        };
        self.part_event(name, (index, count), out, |json| {
            json.member_text("delta", text);
            if now == Said::Text {
                json.member_raw("logprobs", "[]");
            }
        });
    }

    fn part_event(
        &mut self,
        name: &str,
        (index, count): (u64, u64),
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut Json<'_>),
    ) {
        let id = At { request_id: &self.ctx.request_id, index }.id(MESSAGE);
        self.event(name, out, |json| {
            json.member_str("item_id", &id);
            json.member_u64("output_index", index);
            json.member_u64("content_index", count);
            members(json);
        });
    }

    fn open_part(&mut self, now: Said, out: &mut Vec<u8>) {
        let Some(Open::Message { index, count, said, .. }) = &mut self.open else { return };
        *said = now;
        let place = (*index, *count);
        self.part_event("response.content_part.added", place, out, |json| {
            json.key("part");
            items::part(now, b"", json);
        });
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let Some(Open::Message { index, parts, count, said, text }) = &mut self.open else {
            return;
        };
        let (place, said, text) = ((*index, *count), *said, std::mem::take(text));
        items::part(said, &text, &mut Json::new(parts));
        *count += 1;
        let (name, field) = match said {
            Said::Text => ("response.output_text.done", "text"),
            Said::Refusal => ("response.refusal.done", "refusal"),
        };
        self.part_event(name, place, out, |json| {
            inside(field, &text, json);
            if said == Said::Text {
                json.member_raw("logprobs", "[]");
            }
        });
        self.part_event("response.content_part.done", place, out, |json| {
            json.key("part");
            items::part(said, &text, json);
        });
    }

    fn think(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        self.open_reasoning(out);
        if text.is_empty() {
            return;
        }
        let Some(Open::Reasoning { index, shown, text: all, .. }) = &mut self.open else { return };
        copy(all, text);
        let (index, first) = (*index, !std::mem::replace(shown, true));
        if first {
            self.summary_event("response.reasoning_summary_part.added", index, out, |json| {
                json.key("part");
                items::summary(b"", json);
            });
        }
        self.summary_event("response.reasoning_summary_text.delta", index, out, |json| {
            json.member_text("delta", text);
        });
    }

    fn open_reasoning(&mut self, out: &mut Vec<u8>) {
        if matches!(self.open, Some(Open::Reasoning { .. })) {
            return;
        }
        self.close(out);
        let index = self.next_index();
        let nothing = Reasoned { summary: None, sealed: None };
        let item = self.item(index, |at, json| items::reasoning(at, nothing, json));
        self.item_event(ADDED, (index, item), out);
        let (text, signature) = (Vec::new(), Vec::new());
        self.open = Some(Open::Reasoning { index, shown: false, text, signature });
    }

    fn summary_event(
        &mut self,
        name: &str,
        index: u64,
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut Json<'_>),
    ) {
        let id = At { request_id: &self.ctx.request_id, index }.id(REASONING);
        self.event(name, out, |json| {
            json.member_str("item_id", &id);
            json.member_u64("output_index", index);
            json.member_u64("summary_index", 0);
            members(json);
        });
    }

    /// Reasoning that shows nothing and is complete at once.
    fn sealed(&mut self, seal: Seal, text: &Text<'_>, out: &mut Vec<u8>) {
        self.close(out);
        let index = self.next_index();
        let mut inside = Vec::new();
        copy(&mut inside, text);
        let reasoned = Reasoned { summary: None, sealed: Some((seal, &inside)) };
        let item = self.item(index, |at, json| items::reasoning(at, reasoned, json));
        self.item_event(ADDED, (index, item.clone()), out);
        self.item_event(DONE, (index, item), out);
    }

    /// Completes the message or the reasoning that is open.
    fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(self.open, Some(Open::Message { .. })) {
            self.close_part(out);
        }
        match self.open.take() {
            None => {}
            Some(Open::Message { index, parts, .. }) => {
                let item = self.item(index, |at, json| {
                    items::message(at, "completed", &parts, json);
                });
                self.item_event(DONE, (index, item), out);
            }
            Some(Open::Reasoning { index, shown, text, signature }) => {
                if shown {
                    self.summary_event(
                        "response.reasoning_summary_text.done",
                        index,
                        out,
                        |json| {
                            inside("text", &text, json);
                        },
                    );
                    self.summary_event(
                        "response.reasoning_summary_part.done",
                        index,
                        out,
                        |json| {
                            json.key("part");
                            items::summary(&text, json);
                        },
                    );
                }
                let reasoned = Reasoned {
                    summary: shown.then_some(&*text),
                    sealed: (!signature.is_empty()).then_some((Seal::Signed, &*signature)),
                };
                let item = self.item(index, |at, json| items::reasoning(at, reasoned, json));
                self.item_event(DONE, (index, item), out);
            }
        }
    }

    fn call(&mut self, call: usize, (id, name): (Str<'_>, Str<'_>), out: &mut Vec<u8>) {
        self.close(out);
        let index = self.next_index();
        let made_up = || format!("call_{}_{call}", self.ctx.request_id);
        let id = if id.is_empty() { made_up() } else { id.to_string() };
        let custom = self.ctx.carried.is_custom(&name);
        let open = Call { index, id, name: name.to_string(), custom, arguments: Vec::new() };
        let item = self.item(index, |at, json| open.print(at, "in_progress", b"", json));
        self.item_event(ADDED, (index, item), out);
        self.calls.insert(call, open);
    }

    fn arguments(&mut self, call: usize, fragment: &Text<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.calls.get_mut(&call) else { return };
        let from = open.arguments.len();
        copy(&mut open.arguments, fragment);
        let delta = open.arguments.get(from..).unwrap_or_default().to_vec();
        // The text of a custom tool can be told only when its JSON is complete.
        if !open.custom && !delta.is_empty() {
            let (names, index, kind) = (open.names(), open.index, open.kind());
            self.input_event(names.delta, (index, kind), out, |json| inside("delta", &delta, json));
        }
    }

    fn input_event(
        &mut self,
        name: &str,
        (index, kind): (u64, &str),
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut Json<'_>),
    ) {
        let id = At { request_id: &self.ctx.request_id, index }.id(kind);
        self.event(name, out, |json| {
            json.member_str("item_id", &id);
            json.member_u64("output_index", index);
            members(json);
        });
    }

    /// Another block than the open ones may end, when a server fills several by turns.
    fn end_of(&mut self, block: Block, out: &mut Vec<u8>) {
        match (block, &self.open) {
            (Block::Call(number), _) => {
                if let Some(call) = self.calls.remove(&number) {
                    self.complete(number, call, out);
                }
            }
            (Block::Text, Some(Open::Message { .. }))
            | (Block::Thinking, Some(Open::Reasoning { .. })) => self.close(out),
            (Block::Text | Block::Thinking, _) => {}
        }
    }

    fn close_calls(&mut self, out: &mut Vec<u8>) {
        for (number, call) in std::mem::take(&mut self.calls) {
            self.complete(number, call, out);
        }
    }

    /// Ends a call; one without arguments has empty ones.
    fn complete(&mut self, number: usize, call: Call, out: &mut Vec<u8>) {
        if !call.arguments.is_empty() {
            return self.close_call(&call, out);
        }
        self.calls.insert(number, call);
        self.arguments(number, &Text::Plain("{}"), out);
        if let Some(filled) = self.calls.remove(&number) {
            self.close_call(&filled, out);
        }
    }

    fn close_call(&mut self, call: &Call, out: &mut Vec<u8>) {
        let (names, place) = (call.names(), (call.index, call.kind()));
        let input = call.input();
        if call.custom && !input.is_empty() {
            self.input_event(names.delta, place, out, |json| inside("delta", &input, json));
        }
        self.input_event(names.done, place, out, |json| {
            inside(names.input, &input, json);
            json.member_str("name", &call.name);
        });
        let item = self.item(call.index, |at, json| call.print(at, "completed", &input, json));
        self.item_event(DONE, (call.index, item), out);
    }

    fn stop(&mut self, stop: &Stop<'_>) {
        // A refusal in the model's own words is an answer; a filter cuts one off.
        let in_words = self.refused && stop.reason == StopReason::Refusal;
        self.state = Some(if in_words { State::Completed } else { State::of(stop.reason) });
        self.explanation = stop.explanation.as_ref().map(ToString::to_string);
    }

    /// Completes everything; returns where that leaves the response.
    fn finish(&mut self, out: &mut Vec<u8>) -> State {
        self.start(out);
        if let Some(text) = self.explanation.take()
            && !self.refused
        {
            self.say(Said::Refusal, &text.into(), out);
        }
        self.close(out);
        self.close_calls(out);
        let state = self.state.unwrap_or(State::Completed);
        let name = match state {
            State::Incomplete(_) => "response.incomplete",
            State::InProgress | State::Completed => "response.completed",
        };
        self.response_event(name, state, out);
        state
    }

    /// Takes all of a whole reply and prints the response.
    pub(super) fn whole(mut self, json: &mut Json<'_>) -> &'static str {
        let state = self.finish(&mut Vec::new());
        self.response(state, json);
        state.finish_reason()
    }
}

const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";

/// A member whose string is there as its inside.
fn inside(name: &str, text: &[u8], json: &mut Json<'_>) {
    json.key(name);
    items::quoted(text, json);
}

impl StreamPrinter for Printer {
    fn send(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if !matches!(event, Event::Usage(_) | Event::Stop(_)) {
            self.start(out);
        }
        match event {
            Event::Start => {}
            Event::Text(text) => self.say(Said::Text, &text, out),
            Event::Refusal(text) => {
                self.refused = true;
                self.say(Said::Refusal, &text, out);
            }
            Event::Thinking(text) => self.think(&text, out),
            Event::Signature(text) => {
                self.open_reasoning(out);
                if let Some(Open::Reasoning { signature, .. }) = &mut self.open {
                    copy(signature, &text);
                }
            }
            Event::RedactedThinking(data) => self.sealed(Seal::Redacted, &data, out),
            Event::ToolStart { call, id, name, signature } => {
                if let Some(signature) = signature {
                    self.sealed(Seal::OfCall, &signature, out);
                }
                self.call(call, (id, name), out);
            }
            Event::ToolArguments { call, fragment } => self.arguments(call, &fragment, out),
            Event::BlockEnd(block) => self.end_of(block, out),
            Event::Stop(stop) => self.stop(&stop),
            Event::Usage(tokens) => self.usage = Some(tokens),
            Event::End => drop(self.finish(out)),
        }
    }

    fn finish_reason(&self) -> Option<&'static str> {
        self.state.map(State::finish_reason)
    }
}
