//! One upstream's reply on its way out: metered, screened, translated or printed, shaped.
//!
//! The one path of output. A whole reply is one frame; a stream is a frame for the whole events
//! that a read brought. The gate (before the first byte) and the relay (after it) read the same
//! pump, so that a reply which cannot be translated still falls back. It writes nothing itself.

use super::broken::Break;
use super::collect::Collected;
use super::print::{Printer, Whole};
use super::scrub::Secrets;
use crate::route::Hop;
use crate::snapshot::{Model, Policy};
use bytes::Bytes;
use gantry_http::pool::ReplyBody;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorView};
use gantry_llm::observe::{Malformed, Observer, Replies, Seen};
use gantry_llm::shape::Shape;
use gantry_llm::sse::{self, Edit, Splitter};
use gantry_model::usage::TokenUsage;
use gantry_runtime::errors::sentence;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// How much of a malformed event is shown, in characters.
const SHOWN_CHARS: usize = 64;

/// How much of it is searched for credentials first, in bytes: none may be cut in two.
const SCRUBBED_BYTES: usize = 16 * 1024;

/// A reply in progress.
pub(crate) struct Pump {
    pub(crate) model: Arc<Model>,
    /// Those that add headers, which no error may show.
    policies: Vec<Arc<Policy>>,
    body: ReplyBody,
    framer: Framer,
    pub(crate) observer: Observer,
    /// Whether the reply has tokens to count at all.
    pub(crate) metered: bool,
    printer: Printer,
    /// Something was printed.
    begun: bool,
    /// Takes the usage event out, which only Gantry asked for.
    strip_usage: bool,
    /// What the caller wants more or less of.
    shape: Option<Shape>,
    upstream: &'static dyn Dialect,
}

/// What makes frames of a body.
pub(super) enum Framer {
    /// The whole body is one, of at most so many bytes.
    Whole(Collected, usize),
    Events(Splitter),
}

/// What a pump is made of.
pub(super) struct Fittings {
    pub(super) framer: Framer,
    pub(super) replies: &'static dyn Replies,
    pub(super) metered: bool,
    pub(super) printer: Printer,
    pub(super) strip_usage: bool,
    pub(super) shape: Option<Shape>,
}

/// What came of reading on.
pub(crate) enum Step {
    /// Whole events in the caller's dialect; the bytes may be empty.
    Events {
        bytes: Bytes,
        progress: bool,
        tokens: u32,
        error: Option<Told>,
    },
    /// The stream ended as its dialect says; the bytes are the last ones.
    Ended {
        bytes: Bytes,
    },
    /// A screen stopped the reply, and says why.
    Blocked(String),
    Failed(Break),
}

/// An error that the upstream sent after status 200.
pub(crate) struct Told {
    pub(crate) view: ErrorView,
    /// The caller gets the upstream's own event, which is in the caller's envelope.
    pub(crate) shown: bool,
}

impl Pump {
    pub(super) fn new(hop: &Hop, body: ReplyBody, fittings: Fittings) -> Self {
        let Fittings { framer, replies, metered, printer, strip_usage, shape } = fittings;
        let adding = hop.policies.iter().filter(|policy| !policy.set_headers.is_empty());
        Self {
            model: hop.model.clone(),
            policies: adding.cloned().collect(),
            body,
            framer,
            observer: Observer::new(replies),
            metered,
            printer,
            begun: false,
            strip_usage,
            shape,
            upstream: hop.model.dialect(),
        }
    }

    /// Why the model stopped, in the caller's words.
    pub(crate) fn finish_reason(&self) -> Option<&str> {
        self.printer.finish_reason().unwrap_or_else(|| self.observer.finish_reason())
    }

    pub(crate) fn usage(&self) -> Option<TokenUsage> {
        self.observer.usage()
    }

    /// What the translation could not carry over so far.
    pub(crate) fn losses(&self) -> &[gantry_model::record::Loss] {
        self.printer.losses()
    }

    /// Reads on until there is a frame: the whole reply, or at least one event.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let splitter = match &mut self.framer {
                Framer::Events(splitter) => splitter,
                Framer::Whole(collected, limit) => {
                    let read = ready!(collected.poll_whole(&mut self.body, *limit, cx));
                    let body = collected.take();
                    return Poll::Ready(match read {
                        Ok(()) => self.reply(body),
                        Err(broken) => {
                            self.observer.unread(body.len());
                            Step::Failed(broken)
                        }
                    });
                }
            };
            let data = match ready!(self.body.poll_piece(cx)) {
                None => return Poll::Ready(self.last_event().unwrap_or_else(|| self.end())),
                Some(Ok(data)) => data,
                Some(Err(_)) if self.observer.ended() => return Poll::Ready(self.end()),
                Some(Err(error)) => {
                    return Poll::Ready(Step::Failed(Break::Reset(sentence(&error))));
                }
            };
            let complete = match splitter.push(data) {
                Ok(complete) => complete,
                Err(error) => {
                    self.observer.unread(splitter.held());
                    return Poll::Ready(Step::Failed(Break::TooLarge(error.to_string())));
                }
            };
            if !complete.is_empty() {
                return Poll::Ready(self.read(complete));
            }
        }
    }

    /// The one frame of a whole reply. An error that came with status 200 keeps its bytes.
    fn reply(&mut self, body: Bytes) -> Step {
        if self.metered
            && let Err(malformed) = self.observer.reply(&body)
        {
            if matches!(malformed, Malformed::Json(_)) {
                self.unread(&body);
            }
            return match malformed {
                Malformed::Error(_) => {
                    let error = Some(Told { view: self.view(&body), shown: false });
                    Step::Events { bytes: body, progress: false, tokens: 0, error }
                }
                Malformed::Json(_) | Malformed::Missing { .. } | Malformed::Empty => {
                    Step::Failed(Break::NoReply(malformed.to_string()))
                }
            };
        }
        match self.printer.reply(body) {
            Ok(Whole::Blocked(why)) => Step::Blocked(why),
            Ok(Whole::Body(body)) => Step::Ended {
                bytes: match &self.shape {
                    Some(shape) => shape.reply(body),
                    None => body,
                },
            },
            Err(error) => {
                Step::Failed(Break::NoReply(format!("{}: {}", error.field, error.message)))
            }
        }
    }

    /// Takes note of what begins as an answer does and cannot be read.
    fn unread(&mut self, data: &[u8]) {
        if data.trim_ascii_start().starts_with(b"{") {
            self.observer.unread(data.len());
        }
    }

    /// What was read of a reply that becomes none.
    pub(super) fn into_seen(mut self) -> Observer {
        self.observer.unread(match &self.framer {
            Framer::Whole(collected, _) => collected.len(),
            Framer::Events(splitter) => splitter.held(),
        });
        self.observer
    }

    /// The event that a body ended with whose blank line never came, if it is complete as data.
    /// What it means for the stream is seen at the next step. A torn one counts as not sent.
    fn last_event(&mut self) -> Option<Step> {
        let Framer::Events(splitter) = &mut self.framer else { return None };
        let last = splitter.finish();
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
        if matches!(self.framer, Framer::Whole(..)) {
            return Step::Ended { bytes: Bytes::new() };
        }
        let mut last = Vec::new();
        if !self.observer.may_end() {
            return Step::Failed(Break::Cut);
        }
        if !self.printer.end(&mut last) {
            return Step::Failed(Break::Cut);
        }
        if self.forwards() && !self.observer.ended() {
            last.extend_from_slice(self.upstream.end_mark());
        }
        Step::Ended { bytes: self.in_shape(last.into()) }
    }

    fn read(&mut self, complete: Bytes) -> Step {
        let (mut progress, mut tokens, mut error) = (false, 0, None);
        let (mut reframe, mut alive) = (false, true);
        let mut out = Vec::new();
        let mut events = sse::events(&complete);
        // Where an error stands; nothing behind it goes on.
        let (mut start, mut end) = (0, complete.len());
        while let Some(event) = events.next() {
            match self.observer.event(&event) {
                Seen::Content => {
                    progress = true;
                    tokens += 1;
                }
                Seen::Done if self.observer.is_empty() => return Step::Failed(Break::Empty),
                Seen::Finish | Seen::Done => (progress, alive) = (true, false),
                Seen::Usage => (reframe, alive) = (reframe | self.strip_usage, false),
                Seen::Error(_) => {
                    let view = self.view(&event.data);
                    let own = self.upstream.owns_error_event(event.name, &event.data);
                    error = Some(Told { view, shown: own && self.forwards() });
                    end = complete.len() - events.left();
                    break;
                }
                Seen::Malformed => {
                    self.unread(&event.data);
                    return self.malformed(&event.data);
                }
                Seen::Preamble | Seen::Ignored => {}
            }
            start = complete.len() - events.left();
            if let Err(failed) = self.printer.event((event.name, &event.data), &mut out) {
                let mut message = failed.message;
                self.secrets().text(&mut message);
                return Step::Failed(Break::Malformed(message));
            }
        }
        if let Some(why) = self.printer.blocked() {
            return Step::Blocked(why.to_owned());
        }
        if let Some(told) = &mut error {
            let came = complete.slice(start..end);
            let mut said = came.clone();
            // An event that shows a credential is printed anew.
            told.shown &= self.secrets().said(&mut told.view, &mut said) && said == came;
            end = if told.shown { end } else { start };
        }
        let kept = complete.slice(..end);
        let bytes = match (self.forwards(), reframe) {
            (false, _) => self.printed(out, alive && error.is_none()),
            (true, true) => self.without_usage(&kept),
            (true, false) => kept,
        };
        Step::Events { bytes: self.in_shape(bytes), progress, tokens, error }
    }

    fn in_shape(&self, bytes: Bytes) -> Bytes {
        match &self.shape {
            Some(shape) => shape.events(&bytes),
            None => bytes,
        }
    }

    /// The events but for the one that carries usage alone.
    fn without_usage(&self, complete: &[u8]) -> Bytes {
        sse::edited(complete, |event| match self.observer.afresh().event(event) {
            Seen::Usage => Edit::Drop,
            _ => Edit::Keep,
        })
    }

    /// What the printer made of a read. Where it made nothing and the upstream is only `alive`, the
    /// caller hears of that, once it has got something: before, the head tells it.
    fn printed(&mut self, mut out: Vec<u8>, alive: bool) -> Bytes {
        if !out.is_empty() {
            self.begun = true;
        } else if self.begun && alive {
            out.extend_from_slice(self.printer.keep_alive());
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
        self.printer.forwards()
    }
}
