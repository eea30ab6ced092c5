//! Dialects: one folder for each, behind one trait, listed once.
//!
//! `translate`, `stream` and `errors` ask the trait, and so does the gateway for headers and edits;
//! none of them names a dialect. A dialect must never import another one. Calls through the trait
//! happen per request, per event and per header field, never per byte.

pub(crate) mod anthropic;
pub(crate) mod data_url;
mod fit_ids;
mod forward;
pub(crate) mod json;
pub(crate) mod openai;
pub(crate) mod openai_error;
pub(crate) mod openai_fields;
mod print_blocks;
mod progress;
mod read_error;
pub(crate) mod reader;
pub(crate) mod reply_headers;
pub(crate) mod responses;
pub(crate) mod wire;

pub use forward::{Edits, Forwarded};

use crate::context::{Error, Failure, ReplyContext, RequestContext, StreamContext};
use crate::neutral::{ErrorView, Event, Losses, Reply, Request, Sink};
use crate::scan::ScanError;
use crate::splice::Draft;
use gantry_model::facts::Quirks;
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;
use std::fmt::Debug;

/// A wire format: how requests, replies, streams and errors are spelled.
///
/// A dialect translates to and from the neutral form alone. What is not said here is the same for
/// all: that bodies are JSON and streams are server-sent events stands in the rows of operations.
pub trait Dialect: Debug + Sync {
    /// The name that rows of providers use: `openai`.
    fn name(&self) -> &'static str;

    /// Reads a request of a caller.
    ///
    /// # Errors
    /// When the body is no request of this dialect, or holds what has no neutral form.
    fn read_request<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error>;

    /// What replies repeat of a request: members of a JSON object, each with a comma behind it. The
    /// request has been read before.
    fn echo(&self, _body: &[u8]) -> String {
        String::new()
    }

    /// Appends a request for an upstream to `out`.
    ///
    /// # Errors
    /// When the request holds content that this dialect has no form for.
    fn print_request(
        &self,
        request: &Request<'_>,
        ctx: &RequestContext<'_>,
        losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> Result<(), Error>;

    /// Header fields without which the upstream would not understand the printed request.
    fn needed_headers(&self, _request: &Request<'_>) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// What Gantry changes in a request that goes on in this dialect, byte for byte otherwise.
    ///
    /// # Errors
    /// When the part to be changed cannot be read.
    fn edits(&self, _request: &Forwarded<'_>) -> Result<Edits, ScanError> {
        Ok(Edits::default())
    }

    /// Fits a request that is in this dialect already to what is known of its target: an output cap
    /// above the model's, fields and forms that it refuses, names and ids beyond the upstream's
    /// limits. It edits only what does not fit, and reports it.
    ///
    /// # Errors
    /// When a field that has to be changed occurs twice.
    fn fit(
        &self,
        _draft: &mut Draft<'_>,
        _ctx: &RequestContext<'_>,
        _losses: &mut Losses,
    ) -> Result<(), ScanError> {
        Ok(())
    }

    /// Reads a whole reply of an upstream.
    ///
    /// # Errors
    /// When the body is no reply of this dialect, or is an error sent with status 200.
    fn read_reply<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error>;

    /// Appends a whole reply for a caller to `out`; returns why the answer ended, as it says it.
    fn print_reply(
        &self,
        reply: &Reply<'_>,
        ctx: &ReplyContext<'_>,
        losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> &'static str;

    /// A parser for one stream of an upstream.
    fn stream_parser(&self) -> Box<dyn StreamParser>;

    /// A printer for one stream to a caller.
    fn stream_printer(&self, ctx: &StreamContext) -> Box<dyn StreamPrinter>;

    /// What a stream ends with whose upstream left its end mark out; empty when none of this
    /// dialect's servers may.
    fn end_mark(&self) -> &'static [u8] {
        b""
    }

    /// What tells the caller of a stream that its upstream is alive: a comment, which every reader
    /// skips, unless the dialect has an event for it.
    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }

    /// Reads an error reply, or an error event (status 200). It never fails.
    fn read_error(&self, status: u16, body: &[u8]) -> ErrorView {
        read_error::read(status, body)
    }

    /// Whether an error body is in the envelope in which clients of this dialect look for words, so
    /// that it may go on as it is. Any other is printed anew.
    fn owns_error(&self, _body: &[u8]) -> bool {
        false
    }

    /// The same of an error event with this name.
    fn owns_error_event(&self, _name: Option<&str>, data: &[u8]) -> bool {
        self.owns_error(data)
    }

    /// Appends the body of an error reply.
    fn print_error(&self, error: &ErrorView, out: &mut Vec<u8>);

    /// Appends the event that a stream ends with when it fails.
    fn print_error_event(&self, error: &ErrorView, out: &mut Vec<u8>);

    /// The HTTP status that callers expect with an error.
    fn error_status(&self, error: &ErrorView) -> u16 {
        error.usual_status()
    }

    /// The header that says the version of the API, which every request must have, and the value
    /// that is sent when nobody says another.
    fn version_header<'q>(&self, _quirks: &'q Quirks) -> Option<(&'static str, &'q str)> {
        None
    }

    /// Request headers by which callers ask for features, and which mean nothing to upstreams of
    /// other dialects. In lower case.
    fn feature_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a header of an upstream's reply goes on to the caller; `name` is in lower case. Only
    /// what is known to concern the caller may.
    fn carries_reply_header(&self, name: &[u8]) -> bool {
        reply_headers::of_any(name)
    }

    /// The header besides `x-request-id` in which callers look for the id of a request.
    fn request_id_header(&self) -> Option<&'static str> {
        None
    }
}

impl PartialEq for dyn Dialect + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Dialect + '_ {}

/// Reads the events of one stream into neutral ones.
pub trait StreamParser: Debug + Send {
    /// Takes one event: its name, if it has one, and its data.
    ///
    /// # Errors
    /// When the data is no event of the dialect, or is an error of the upstream.
    fn event(
        &mut self,
        name: Option<&str>,
        data: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<(), Failure>;

    /// The upstream closed the stream; says whether it may, and sends what that means.
    fn close(&mut self, sink: &mut dyn Sink) -> bool;

    /// Whether the end mark was seen; what follows it is ignored.
    fn is_done(&self) -> bool;

    /// Usage as the upstream last reported it.
    fn usage(&self) -> Option<TokenUsage>;

    /// What was left out so far, each kind once.
    fn losses(&self) -> &[Loss];
}

/// Prints neutral events as a stream of whole events.
pub trait StreamPrinter: Debug + Send {
    /// Appends what follows from an event to `out`, often nothing.
    fn send(&mut self, event: Event<'_>, out: &mut Vec<u8>);

    /// Why the answer ended, in this dialect, once known.
    fn finish_reason(&self) -> Option<&'static str>;

    /// What could not be printed as it was meant so far.
    fn losses(&self) -> &[Loss] {
        &[]
    }
}

/// Every dialect of this binary.
pub const ALL: &[&dyn Dialect] = &[&openai::OpenAi, &anthropic::Anthropic, &responses::Responses];

/// The dialects that a gateway knows; by default none.
#[derive(Clone, Debug, Default)]
pub struct Dialects(Vec<&'static dyn Dialect>);

impl Dialects {
    /// Those of this binary.
    #[must_use]
    pub fn standard() -> Self {
        Self(ALL.to_vec())
    }

    /// With one more, which takes the place of one that has its name.
    #[must_use]
    pub fn with(mut self, dialect: &'static dyn Dialect) -> Self {
        self.0.retain(|known| *known != dialect);
        self.0.push(dialect);
        self
    }

    /// The dialect of a name; `None` when this binary does not know it.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&'static dyn Dialect> {
        self.0.iter().copied().find(|dialect| dialect.name() == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Dialect> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests;
