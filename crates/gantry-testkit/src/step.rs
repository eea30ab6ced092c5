//! What the mock does with one request: an answer, a fault, or bytes and pauses one by one.
//!
//! Tests put steps into scripts. Each has a name too, so that a request can ask for it with its
//! model's name (`fault-429`, `answer-tools`): see [`Step::from_name`].

use bytes::Bytes;
use gantry_model::usage::TokenUsage;
use std::str::FromStr;
use std::time::Duration;

/// One behaviour.
#[derive(Clone, Debug)]
pub enum Step {
    /// A reply in the dialect of the path, streamed when the request asks for it.
    Answer(Answer),
    /// The usual reply with something wrong.
    Fault(Fault),
    /// Exactly this.
    Raw(Raw),
}

/// What the model says. Every dialect prints what it can express.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text; each piece is one stream event.
    pub text: Vec<String>,
    pub thinking: Option<Thinking>,
    pub tool_calls: Vec<ToolCall>,
    /// `None`: the reply says nothing about usage, even when asked.
    pub usage: Option<TokenUsage>,
    /// In OpenAI's words (`stop`, `length`, …); by default `tool_calls` or `stop`.
    pub finish_reason: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Thinking {
    pub text: String,
    pub signature: String,
}

#[derive(Clone, Debug)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// A JSON object as text.
    pub arguments: String,
}

/// Where in a reply a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the status line.
    BeforeHeaders,
    /// Behind the headers, before the first byte of the body.
    BeforeFirst,
    /// Behind the third stream event, or in the middle of a whole reply.
    MidStream,
    /// Behind the last byte of the body, before the end that its framing has.
    AfterEnd,
}

/// The upstream's hint when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Unsaid,
    /// `retry-after`
    Seconds(u64),
    /// `retry-after-ms`
    Millis(u64),
}

/// What goes wrong. The name for a model stands beside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `fault-503`, `fault-429-retry-after-2`, `fault-429-retry-after-ms-50`: an error in the
    /// dialect's envelope.
    Status { code: u16, retry: Retry },
    /// `fault-reset-…` (TCP RST) and `fault-close-…` (TCP FIN) with `before-headers`,
    /// `before-first`, `mid-stream` or `after-end`.
    Cut { at: Place, reset: bool },
    /// `fault-stall-…` (for ever) and `fault-slow-…-200` (milliseconds), places as above.
    Pause { at: Place, time: Option<Duration> },
    /// `fault-error-first`, `fault-error-later`: status 200, then an error event (or, when not
    /// streamed, an error body).
    Error { later: bool },
    /// `fault-empty`: status 200 without a body.
    Empty,
    /// `fault-malformed`: the first event, or the whole reply, is cut off inside its JSON.
    Malformed,
    /// `fault-html`: a page with status 200.
    Html,
    /// `fault-drip-5`: each byte of [`Answer::unicode`] alone, milliseconds apart.
    Drip { pause: Duration },
    /// `fault-split-bytes`: each byte of [`Answer::unicode`] in an HTTP chunk of its own.
    SplitBytes,
    /// `fault-short-length`: `content-length` promises more than comes.
    ShortLength,
    /// `fault-huge-3`: one event, or the reply, of so many MiB.
    Huge { mib: usize },
    /// `fault-no-end`: the stream ends in good order but without `[DONE]` or `message_stop`.
    NoEnd,
    /// `fault-end-mid-stream`: the stream ends in good order in the middle of the text.
    EndMidStream,
}

/// A reply by hand.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Done before the status line is sent.
    pub before: Vec<Act>,
    pub status: u16,
    /// Sent as they are; without `content-length` the body is chunked.
    pub headers: Vec<(String, String)>,
    pub body: Vec<Act>,
}

/// One thing to do while replying.
#[derive(Clone, Debug)]
pub enum Act {
    /// One frame of the body; ignored before the headers.
    Send(Bytes),
    /// tokio's time, so a test with paused time does not wait.
    Wait(Duration),
    /// Until the client leaves.
    Stall,
    /// TCP RST.
    Reset,
    /// TCP FIN without the end of the message.
    Close,
}

/// A name that stands for no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no step of the mock upstream is called `{0}`")]
pub struct UnknownName(pub String);

impl Answer {
    /// The text in one piece, with the usual usage.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: vec![text.into()], ..Self::default() }
    }

    /// Text with characters of two, three and four bytes, so that a cut can fall inside one.
    #[must_use]
    pub fn unicode() -> Self {
        Self {
            text: ["Grüße", " 世界", " 🌍."].map(str::to_owned).to_vec(), ..Self::default()
        }
    }

    /// Calls of the tool `get_weather`, one for each city.
    #[must_use]
    pub fn tools(cities: &[&str]) -> Self {
        let call = |(at, city): (usize, &&str)| ToolCall {
            id: format!("call_{at}"),
            name: "get_weather".to_owned(),
            arguments: format!("{{\"city\": {city:?}}}"),
        };
        let tool_calls = cities.iter().enumerate().map(call).collect();
        Self { text: Vec::new(), tool_calls, ..Self::default() }
    }

    pub(crate) fn finish_reason(&self) -> &str {
        let usual = if self.tool_calls.is_empty() { "stop" } else { "tool_calls" };
        self.finish_reason.as_deref().unwrap_or(usual)
    }
}

impl Default for Answer {
    /// `Hello from the mock.` in four pieces; 11 tokens in, 4 out.
    fn default() -> Self {
        let usage = TokenUsage { input: 11, output: 4, ..TokenUsage::default() };
        Self {
            text: ["Hello", " from", " the", " mock."].map(str::to_owned).to_vec(),
            thinking: None,
            tool_calls: Vec::new(),
            usage: Some(usage),
            finish_reason: None,
        }
    }
}

impl Step {
    /// Whether a model's name asks for a step. The part before the last `/` does not count.
    #[must_use]
    pub fn is_name(model: &str) -> bool {
        let name = last_part(model);
        name.starts_with("fault-") || name.starts_with("answer-")
    }

    /// The step that a model's name asks for: a fault (see [`Fault`]), or `answer-tools`,
    /// `answer-parallel-tools`, `answer-thinking`, `answer-cached`, `answer-no-usage`,
    /// `answer-length`, `answer-unicode`.
    ///
    /// # Errors
    /// When the name stands for nothing.
    pub fn from_name(model: &str) -> Result<Self, UnknownName> {
        let name = last_part(model);
        let found = match name.split_once('-') {
            Some(("fault", fault)) => parse_fault(fault).map(Self::Fault),
            Some(("answer", answer)) => parse_answer(answer).map(Self::Answer),
            _ => None,
        };
        found.ok_or_else(|| UnknownName(model.to_owned()))
    }
}

impl FromStr for Step {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::from_name(name)
    }
}

fn last_part(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn parse_answer(name: &str) -> Option<Answer> {
    let usual = Answer::default();
    let usage = usual.usage.unwrap_or_default();
    match name {
        "tools" => Some(Answer::tools(&["Paris"])),
        "parallel-tools" => Some(Answer::tools(&["Paris", "Rome"])),
        "thinking" => {
            let thinking = Thinking { text: "Let me think.".into(), signature: "c2ln".into() };
            let usage = Some(TokenUsage { output: 9, reasoning: 5, ..usage });
            Some(Answer { thinking: Some(thinking), usage, ..usual })
        }
        "cached" => {
            let usage = TokenUsage { input: 100, cache_read: 64, cache_write: 16, ..usage };
            Some(Answer { usage: Some(usage), ..usual })
        }
        "no-usage" => Some(Answer { usage: None, ..usual }),
        "unicode" => Some(Answer::unicode()),
        "length" => Some(Answer { finish_reason: Some("length".into()), ..usual }),
        _ => None,
    }
}

fn parse_fault(name: &str) -> Option<Fault> {
    let (word, rest) = name.split_once('-').unwrap_or((name, ""));
    let millis = |text: &str| text.parse().ok().map(Duration::from_millis);
    match (word, rest) {
        ("reset", at) => Some(Fault::Cut { at: parse_place(at)?, reset: true }),
        ("close", at) => Some(Fault::Cut { at: parse_place(at)?, reset: false }),
        ("stall", at) => Some(Fault::Pause { at: parse_place(at)?, time: None }),
        ("slow", rest) => {
            let (at, time) = rest.rsplit_once('-')?;
            Some(Fault::Pause { at: parse_place(at)?, time: Some(millis(time)?) })
        }
        ("error", "first") => Some(Fault::Error { later: false }),
        ("error", "later") => Some(Fault::Error { later: true }),
        ("empty", "") => Some(Fault::Empty),
        ("malformed", "") => Some(Fault::Malformed),
        ("html", "") => Some(Fault::Html),
        ("drip", pause) => Some(Fault::Drip { pause: millis(pause)? }),
        ("split", "bytes") => Some(Fault::SplitBytes),
        ("short", "length") => Some(Fault::ShortLength),
        ("huge", mib) => Some(Fault::Huge { mib: mib.parse().ok()? }),
        ("no", "end") => Some(Fault::NoEnd),
        ("end", "mid-stream") => Some(Fault::EndMidStream),
        (code, retry) => {
            let code = code.parse().ok().filter(|code| (400..600).contains(code))?;
            Some(Fault::Status { code, retry: parse_retry(retry)? })
        }
    }
}

fn parse_place(name: &str) -> Option<Place> {
    match name {
        "before-headers" => Some(Place::BeforeHeaders),
        "before-first" => Some(Place::BeforeFirst),
        "mid-stream" => Some(Place::MidStream),
        "after-end" => Some(Place::AfterEnd),
        _ => None,
    }
}

fn parse_retry(name: &str) -> Option<Retry> {
    if name.is_empty() {
        return Some(Retry::Unsaid);
    }
    let value = name.strip_prefix("retry-after-")?;
    match value.strip_prefix("ms-") {
        Some(millis) => millis.parse().ok().map(Retry::Millis),
        None => value.parse().ok().map(Retry::Seconds),
    }
}
