//! A dialect of one file, which nothing but tests knows: one more touches one place.
//!
//! A request is `{"say": TEXT}`, a reply `{"said": TEXT, "why": REASON, "spent": [IN, OUT]}`, a
//! stream has an event `{"word": TEXT}` for each piece and ends with `{"why", "spent"}`; an error
//! is `{"oops": MESSAGE}`. Model and streaming stand in the path.

use gantry_llm::dialect::{Dialect, StreamParser, StreamPrinter};
use gantry_llm::errors::ErrorView;
use gantry_llm::neutral::{
    Body, Event, Losses, Names, Part, Place, Reasoning, Reply, Request, Role, Sampling, Sink, Stop,
    StopReason, Text, Turn,
};
use gantry_llm::observe::{Malformed, Notes, Reading, Replies, Seen, UpstreamError};
use gantry_llm::operation::{
    Address, Api, BodyCodec, Elsewhere, Exchange, Framer, Handler, Meaning, Method, Operation,
    Path, ReplyCodec, Unit,
};
use gantry_llm::sse;
use gantry_llm::stream::{Failure, StreamContext};
use gantry_llm::translate::{Error, ReplyContext, RequestContext};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Toy;

static API: Api = Api { name: "toy", dialect: &Toy, header: None };

/// The one operation of the toy's API.
pub(crate) static SAY: Operation = Operation {
    name: "say",
    method: Method::Post,
    paths: &[
        Path { api: &API, pattern: "toy/{model}:say", stream: Some(false) },
        Path { api: &API, pattern: "toy/{model}:sing", stream: Some(true) },
    ],
    handler: Handler::Upstream(Exchange {
        dialect: &Toy,
        address: Address { whole: "{model}:say", stream: "{model}:sing" },
        body: BodyCodec::Json,
        reply: ReplyCodec::Json,
        framer: Framer::Sse,
        replies: Some(&Toy),
        unit: Unit::Tokens,
        model_types: &["chat"],
        elsewhere: Elsewhere::Translated(Meaning::Answer),
        reshapes: false,
    }),
};

static NAMES: Names = Names {
    stop: "stop",
    max_tokens: "max_tokens",
    effort: "effort",
    thinking: "thinking",
    format: "format",
    tier: "tier",
    user: "user",
};

fn value(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|error| Error::new("", error.to_string()))
}

fn text(value: &Value) -> Option<Text<'static>> {
    value.as_str().map(|text| text.to_owned().into())
}

fn part(text: Text<'static>) -> Part<'static> {
    Part { place: Place::top("say"), cache: None, body: Body::Text(text) }
}

fn joined<'p, 't: 'p>(parts: impl IntoIterator<Item = &'p Part<'t>>) -> String {
    let mut all = String::new();
    for part in parts {
        if let Body::Text(text) = &part.body {
            text.push_to(&mut all);
        }
    }
    all
}

fn spent(value: &Value) -> Option<TokenUsage> {
    let counts = value["spent"].as_array()?;
    let count = |at: usize| counts.get(at).and_then(Value::as_u64);
    Some(TokenUsage { input: count(0)?, output: count(1)?, ..TokenUsage::default() })
}

fn why(reason: StopReason) -> &'static str {
    if reason == StopReason::MaxTokens { "breath" } else { "end" }
}

fn stop(value: &Value) -> Option<Stop<'static>> {
    Some(Stop::plain(match value["why"].as_str()? {
        "breath" => StopReason::MaxTokens,
        _ => StopReason::End,
    }))
}

fn print_spent(usage: Option<TokenUsage>) -> Value {
    let usage = usage.unwrap_or_default();
    json!([usage.input, usage.output])
}

impl Dialect for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn read_request<'a>(&self, body: &'a [u8], _: &mut Losses) -> Result<Request<'a>, Error> {
        let say = text(&value(body)?["say"]).ok_or_else(|| Error::new("say", "is missing"))?;
        let turn = Turn { role: Role::User, parts: vec![part(say)], place: Place::top("say") };
        Ok(Request {
            names: &NAMES,
            turns: vec![turn],
            tools: Vec::new(),
            left_out: None,
            tool_choice: None,
            allowed_tools: None,
            parallel_tools: None,
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            stream: false,
            format: None,
            reasoning: Reasoning::default(),
            user: None,
            tier: None,
        })
    }

    fn print_request(
        &self,
        request: &Request<'_>,
        _: &RequestContext<'_>,
        losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if request.max_tokens.is_some() {
            losses.dropped(request.names.max_tokens, "toys have no limit");
        }
        let say = joined(request.turns.iter().flat_map(|turn| &turn.parts));
        out.extend_from_slice(json!({ "say": say }).to_string().as_bytes());
        Ok(())
    }

    fn read_reply<'a>(&self, body: &'a [u8], _: &mut Losses) -> Result<Reply<'a>, Error> {
        let value = value(body)?;
        let said = text(&value["said"]).ok_or_else(|| Error::new("said", "is missing"))?;
        let stop = stop(&value).unwrap_or(Stop::plain(StopReason::End));
        Ok(Reply { parts: vec![part(said)], stop, usage: spent(&value) })
    }

    fn print_reply(
        &self,
        reply: &Reply<'_>,
        _: &ReplyContext<'_>,
        _: &mut Losses,
        out: &mut Vec<u8>,
    ) -> &'static str {
        let (said, why) = (joined(&reply.parts), why(reply.stop.reason));
        let value = json!({"said": said, "why": why, "spent": print_spent(reply.usage)});
        out.extend_from_slice(value.to_string().as_bytes());
        why
    }

    fn stream_parser(&self) -> Box<dyn StreamParser> {
        Box::new(Parser::default())
    }

    fn stream_printer(&self, _: &StreamContext) -> Box<dyn StreamPrinter> {
        Box::new(Printer::default())
    }

    fn print_error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        out.extend_from_slice(json!({ "oops": error.message }).to_string().as_bytes());
    }

    fn print_error_event(&self, error: &ErrorView, out: &mut Vec<u8>) {
        event(&json!({ "oops": error.message }), out);
    }
}

fn event(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("data: {value}\n\n").as_bytes());
}

#[derive(Debug, Default)]
struct Parser {
    done: bool,
    usage: Option<TokenUsage>,
}

impl StreamParser for Parser {
    fn event(&mut self, _: Option<&str>, data: &[u8], sink: &mut dyn Sink) -> Result<(), Failure> {
        let value = value(data).map_err(Failure::Malformed)?;
        if value["oops"].is_string() {
            return Err(Failure::Upstream(Toy.read_error(200, data)));
        }
        if let Some(word) = text(&value["word"]) {
            sink.send(Event::Text(word));
        }
        if let Some(stop) = stop(&value) {
            self.done = true;
            self.usage = spent(&value);
            sink.send(Event::Stop(stop));
            self.usage.into_iter().for_each(|usage| sink.send(Event::Usage(usage)));
            sink.send(Event::End);
        }
        Ok(())
    }

    fn close(&mut self, _: &mut dyn Sink) -> bool {
        self.done
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }

    fn losses(&self) -> &[Loss] {
        &[]
    }
}

#[derive(Debug, Default)]
struct Printer {
    why: Option<&'static str>,
    usage: Option<TokenUsage>,
}

impl StreamPrinter for Printer {
    fn send(&mut self, sent: Event<'_>, out: &mut Vec<u8>) {
        match sent {
            Event::Text(text) => event(&json!({ "word": text.decode() }), out),
            Event::Stop(stop) => self.why = Some(why(stop.reason)),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => event(&json!({"why": self.why, "spent": print_spent(self.usage)}), out),
            _ => {}
        }
    }

    fn finish_reason(&self) -> Option<&'static str> {
        self.why
    }
}

impl Toy {
    fn note(value: &Value, notes: &mut Notes) -> bool {
        let said = value["said"].as_str().or(value["word"].as_str());
        notes.content |= said.is_some();
        notes.output_bytes += said.map_or(0, |said| said.len() as u64);
        if let Some(why) = value["why"].as_str() {
            notes.finish_reason = Some(why.to_owned());
            notes.reading = spent(value).map(Reading::whole);
            notes.used = notes.reading.is_some();
            notes.ended = true;
        }
        said.is_some()
    }

    fn oops(value: &Value) -> Option<Box<UpstreamError>> {
        let message = Some(value["oops"].as_str()?.to_owned());
        Some(Box::new(UpstreamError { message, ..UpstreamError::default() }))
    }
}

impl Replies for Toy {
    fn reply(&self, body: &[u8], notes: &mut Notes) -> Result<(), Malformed> {
        let value = value(body).map_err(|_| Malformed::Missing { field: "said" })?;
        if let Some(error) = Self::oops(&value) {
            return Err(Malformed::Error(error));
        }
        Self::note(&value, notes).then_some(()).ok_or(Malformed::Missing { field: "said" })
    }

    fn event(&self, event: &sse::Event<'_>, notes: &mut Notes) -> Seen {
        let Ok(value) = value(&event.data) else { return Seen::Malformed };
        if let Some(error) = Self::oops(&value) {
            return Seen::Error(error);
        }
        match (Self::note(&value, notes), notes.ended) {
            (_, true) => Seen::Done,
            (true, false) => Seen::Content,
            (false, false) => Seen::Ignored,
        }
    }
}
