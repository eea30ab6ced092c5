//! One upstream's event stream, read event by event: metered, and translated when dialects differ.
//!
//! The gate (before the first byte) and the relay (after it) read the same pump.

use super::scrub::Secrets;
use crate::route::Hop;
use crate::snapshot::{Model, Policy};
use bytes::Bytes;
use gantry_http::pool::ReplyBody;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorView};
use gantry_llm::observe::{Observer, Replies, Seen};
use gantry_llm::shape::Shape;
use gantry_llm::sse::{self, Splitter};
use gantry_llm::stream::StreamTranslator;
use gantry_model::usage::TokenUsage;
use gantry_runtime::errors::sentence;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// How much of a malformed event is shown, in characters.
const SHOWN_CHARS: usize = 64;

/// How much of it is searched for credentials first, in bytes: none may be cut in two.
const SCRUBBED_BYTES: usize = 16 * 1024;

/// A stream in progress.
pub(crate) struct Pump {
    pub(crate) model: Arc<Model>,
    /// Those that add headers, which no error may show.
    policies: Vec<Arc<Policy>>,
    body: ReplyBody,
    splitter: Splitter,
    pub(crate) observer: Observer,
    translator: Option<Box<StreamTranslator>>,
    /// Takes the usage event out, which only Gantry asked for.
    strip_usage: bool,
    /// What the caller wants more or less of.
    shape: Option<Shape>,
    upstream: &'static dyn Dialect,
}

/// What came of reading on.
pub(crate) enum Step {
    /// Whole events in the caller's dialect; the bytes may be empty.
    Events {
        bytes: Bytes,
        progress: bool,
        tokens: u32,
        error: Option<ErrorView>,
    },
    /// The stream ended as its dialect says; the bytes are the last ones.
    Ended {
        bytes: Bytes,
    },
    Failed(Break),
}

/// How a stream broke.
#[derive(Debug)]
pub(crate) enum Break {
    /// The connection broke or the framing was wrong.
    Reset(String),
    /// The upstream closed the stream before its end.
    Cut,
    Malformed(String),
    /// The stream came to its end and said nothing.
    Empty,
    /// An event beyond the limit.
    TooLarge(String),
}

impl Break {
    /// Name in the record, and a sentence.
    pub(crate) fn describe(&self) -> (&'static str, String) {
        match self {
            Self::Reset(error) => ("reset", format!("the upstream's stream broke: {error}")),
            Self::Cut => ("reset", "the upstream's stream ended before its end mark".to_owned()),
            Self::Malformed(error) => {
                ("malformed", format!("the upstream sent a malformed event: {error}"))
            }
            Self::Empty => ("malformed", "the upstream's stream ended without a word".to_owned()),
            Self::TooLarge(error) => ("too_large", format!("the upstream sent a {error}")),
        }
    }
}

impl Pump {
    pub(super) fn new(
        hop: &Hop,
        body: ReplyBody,
        replies: &'static dyn Replies,
        event_bytes_max: usize,
    ) -> Self {
        let adding = hop.policies.iter().filter(|policy| !policy.set_headers.is_empty());
        Self {
            model: hop.model.clone(),
            policies: adding.cloned().collect(),
            body,
            splitter: Splitter::new(event_bytes_max),
            observer: Observer::new(replies),
            translator: None,
            strip_usage: false,
            shape: None,
            upstream: hop.model.dialect(),
        }
    }

    pub(super) fn translating(mut self, translator: StreamTranslator) -> Self {
        self.translator = Some(Box::new(translator));
        self
    }

    pub(super) fn stripping_usage(mut self, strip: bool) -> Self {
        self.strip_usage = strip;
        self
    }

    pub(super) fn shaped(mut self, shape: Option<Shape>) -> Self {
        self.shape = shape;
        self
    }

    /// Why the model stopped, in the caller's words.
    pub(crate) fn finish_reason(&self) -> Option<&str> {
        match &self.translator {
            Some(translator) => translator.finish_reason(),
            None => self.observer.finish_reason(),
        }
    }

    pub(crate) fn usage(&self) -> Option<TokenUsage> {
        self.observer.usage()
    }

    /// What the translation could not carry over so far.
    pub(crate) fn losses(&self) -> &[gantry_model::record::Loss] {
        self.translator.as_ref().map_or(&[], |translator| translator.losses())
    }

    /// Reads on until at least one event is whole.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let data = match ready!(self.body.poll_piece(cx)) {
                None => return Poll::Ready(self.last_event().unwrap_or_else(|| self.end())),
                Some(Ok(data)) => data,
                Some(Err(_)) if self.observer.ended() => return Poll::Ready(self.end()),
                Some(Err(error)) => {
                    return Poll::Ready(Step::Failed(Break::Reset(sentence(&error))));
                }
            };
            let complete = match self.splitter.push(data) {
                Ok(complete) => complete,
                Err(error) => {
                    return Poll::Ready(Step::Failed(Break::TooLarge(error.to_string())));
                }
            };
            if !complete.is_empty() {
                return Poll::Ready(self.read(complete));
            }
        }
    }

    /// The event that a body ended with whose blank line never came, if it is complete as data.
    /// What it means for the stream is seen at the next step. A torn one counts as not sent.
    fn last_event(&mut self) -> Option<Step> {
        let last = self.splitter.finish();
        if last.is_empty() || self.observer.ended() {
            return None;
        }
        match self.read(last) {
            Step::Failed(Break::Malformed(_)) => None,
            step => Some(step),
        }
    }

    /// What is left to say when nothing more comes.
    pub(crate) fn end(&mut self) -> Step {
        let mut last = Vec::new();
        if !self.observer.may_end() {
            return Step::Failed(Break::Cut);
        }
        let done = match &mut self.translator {
            Some(translator) => translator.end(&mut last).is_ok(),
            None => true,
        };
        if !done {
            return Step::Failed(Break::Cut);
        }
        if self.forwards() && !self.observer.ended() {
            last.extend_from_slice(self.upstream.end_mark());
        }
        Step::Ended { bytes: self.in_shape(last.into()) }
    }

    fn read(&mut self, complete: Bytes) -> Step {
        let (mut progress, mut tokens, mut error) = (false, 0, None);
        let mut reframe = false;
        let mut out = Vec::new();
        for event in sse::events(&complete) {
            match self.observer.event(&event) {
                Seen::Content => {
                    progress = true;
                    tokens += 1;
                }
                Seen::Done if self.observer.is_empty() => return Step::Failed(Break::Empty),
                Seen::Finish | Seen::Done => progress = true,
                Seen::Usage => reframe |= self.strip_usage,
                Seen::Error(_) => error = Some(self.view(&event.data)),
                Seen::Malformed => {
                    return self.malformed(&event.data);
                }
                Seen::Preamble | Seen::Ignored => {}
            }
            if let Some(translator) = &mut self.translator
                && error.is_none()
                && let Err(failed) = translator.event(event.name, &event.data, &mut out)
            {
                let mut message = failed.message;
                self.secrets().text(&mut message);
                return Step::Failed(Break::Malformed(message));
            }
        }
        let mut bytes = match (&self.translator, reframe) {
            (Some(_), _) => out.into(),
            (None, true) => self.without_usage(&complete),
            (None, false) => complete,
        };
        if let Some(error) = &mut error {
            let shows = self.secrets().said(error, &mut bytes);
            if !shows && self.forwards() {
                bytes = errors::print_event(self.upstream, error).into();
            }
        }
        Step::Events { bytes: self.in_shape(bytes), progress, tokens, error }
    }

    fn in_shape(&self, bytes: Bytes) -> Bytes {
        match self.shape {
            Some(shape) => shape.events(&bytes),
            None => bytes,
        }
    }

    /// The events but for the one that carries usage alone, framed anew.
    fn without_usage(&self, complete: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(complete.len());
        for event in sse::events(complete) {
            let mut alone = self.observer.afresh();
            if alone.event(&event) == Seen::Usage {
                continue;
            }
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&event.data);
            out.extend_from_slice(b"\n\n");
        }
        out.into()
    }

    fn view(&self, data: &[u8]) -> ErrorView {
        errors::parse(self.upstream, 200, data)
    }

    /// An event that is none, with its beginning.
    fn malformed(&self, data: &[u8]) -> Step {
        let start = data.get(..SCRUBBED_BYTES).unwrap_or(data);
        let mut text = String::from_utf8_lossy(start).into_owned();
        self.secrets().text(&mut text);
        Step::Failed(Break::Malformed(text.chars().take(SHOWN_CHARS).collect()))
    }

    fn secrets(&self) -> Secrets {
        Secrets::of(&self.model, &self.policies)
    }

    /// Whether the caller gets other bytes than the upstream's, be it a few.
    pub(crate) fn alters(&self) -> bool {
        !self.forwards() || self.strip_usage || self.shape.is_some()
    }

    /// Whether the caller gets the upstream's own bytes.
    pub(crate) fn forwards(&self) -> bool {
        self.translator.is_none()
    }
}
