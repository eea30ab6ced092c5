//! Translates streamed replies between dialects, one SSE event at a time.
//!
//! The gateway's relay owns one `StreamTranslator` for each stream whose upstream speaks another
//! dialect than the caller. It prints whole events, keeps no more than the blocks that are open or
//! wait for their turn, and never prints an end that the upstream did not reach.

pub use crate::context::StreamContext;

use crate::context::{Error, Failure};
use crate::dialect::{anthropic, openai};
use crate::errors::{ErrorView, print_event};
use crate::neutral::{Restoring, Sink, ToolNames};
use crate::screen::{Screen, Screening};
use gantry_model::facts::Dialect;
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

/// Most bytes that printing an event adds to its data, in all but rare cases.
const EVENT_FRAME_BYTES: usize = 256;

#[derive(Debug)]
enum Parser {
    OpenAi(openai::Parser),
    Anthropic(anthropic::Parser),
}

#[derive(Debug)]
enum Printer {
    OpenAi(openai::Printer),
    Anthropic(anthropic::Printer),
}

/// Translates one stream.
#[derive(Debug)]
pub struct StreamTranslator {
    parser: Parser,
    printer: Printer,
    to: Dialect,
    same: bool,
    request_id: String,
    tool_names: ToolNames,
    upstream_error: Option<ErrorView>,
    screen: Option<Box<dyn Screen>>,
    blocked: Option<String>,
}

impl StreamTranslator {
    /// A translator for a stream that has not begun.
    #[must_use]
    pub fn new(from: Dialect, to: Dialect, ctx: StreamContext) -> Self {
        Self {
            parser: match from {
                Dialect::OpenAi => Parser::OpenAi(openai::Parser::default()),
                Dialect::Anthropic => Parser::Anthropic(anthropic::Parser::default()),
            },
            printer: match to {
                Dialect::OpenAi => Printer::OpenAi(openai::Printer::new(&ctx)),
                Dialect::Anthropic => Printer::Anthropic(anthropic::Printer::new(&ctx)),
            },
            to,
            same: from == to,
            request_id: ctx.request_id,
            tool_names: ctx.tool_names,
            upstream_error: None,
            screen: None,
            blocked: None,
        }
    }

    /// Lets `screen` look at every text before it is printed. A translator with one also takes a
    /// stream in the caller's own dialect, to print it anew.
    #[must_use]
    pub fn screened(mut self, screen: Option<Box<dyn Screen>>) -> Self {
        self.same &= screen.is_none();
        self.screen = screen;
        self
    }

    /// Why the screen stopped the stream, once it has.
    #[must_use]
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Takes one event of the upstream and appends what follows from it to `out`: whole SSE events
    /// in the caller's dialect, often none. `event_name` is the SSE `event` field, which no
    /// dialect so far needs; `data` the joined `data` lines.
    ///
    /// # Errors
    /// When the data is no event of the upstream's dialect, or is an error of the upstream, which
    /// is then in `upstream_error`. Nothing is appended in both cases.
    pub fn event(
        &mut self,
        _event_name: Option<&str>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.same {
            return Err(Error::new("", "caller and upstream speak the same dialect"));
        }
        // About what the printers put around the data, so that one allocation does.
        out.reserve(data.len() + EVENT_FRAME_BYTES);
        let (parser, names) = (&mut self.parser, &self.tool_names);
        let mut take = |sink: &mut dyn Sink| match parser {
            Parser::OpenAi(parser) => parser.event(data, sink),
            Parser::Anthropic(parser) => parser.event(data, sink),
        };
        let (screen, blocked) = (&mut self.screen, &mut self.blocked);
        let taken = with_sink(&mut self.printer, out, |sink| {
            let mut screening;
            let sink: &mut dyn Sink = match screen.as_deref_mut() {
                None => sink,
                Some(screen) => {
                    screening = Screening { screen, sink, blocked };
                    &mut screening
                }
            };
            match names.is_empty() {
                true => take(sink),
                false => take(&mut Restoring { names, sink }),
            }
        });
        match taken {
            Ok(()) => Ok(()),
            Err(Failure::Malformed(error)) => Err(error),
            Err(Failure::Upstream(mut view)) => {
                self.tool_names.restore_text(&mut view.message);
                let error = Error::new("error", view.message.clone());
                view.request_id.clone_from(&self.request_id);
                self.upstream_error = Some(view);
                Err(error)
            }
        }
    }

    /// The upstream closed the stream: appends what the caller's dialect still needs. A stream
    /// that reached its end marker has been completed by `event` already.
    ///
    /// # Errors
    /// When the upstream ended before its own end marker (`message_stop`; for OpenAI a finish
    /// reason is enough, because some servers send no `[DONE]`). Nothing is appended: the caller
    /// must see an error, not a silent end.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let parser = &mut self.parser;
        let done = with_sink(&mut self.printer, out, |sink| match parser {
            Parser::OpenAi(parser) => parser.close(sink),
            Parser::Anthropic(parser) => parser.is_done(),
        });
        if done {
            return Ok(());
        }
        Err(Error::new("", "the upstream ended the stream in the middle"))
    }

    /// Appends an error event in the caller's dialect, for failures after the first byte. The
    /// stream ends with it; neither `event` nor `end` may be called after.
    pub fn error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        out.extend_from_slice(&print_event(self.to, error));
    }

    /// The error that the upstream itself sent in the stream, with Gantry's request id.
    #[must_use]
    pub fn upstream_error(&self) -> Option<&ErrorView> {
        self.upstream_error.as_ref()
    }

    /// Whether the upstream's end marker was seen; what follows it is ignored.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.parser {
            Parser::OpenAi(parser) => parser.is_done(),
            Parser::Anthropic(parser) => parser.is_done(),
        }
    }

    /// What was left out so far, each kind once.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        match &self.parser {
            Parser::OpenAi(parser) => parser.losses.as_slice(),
            Parser::Anthropic(parser) => parser.losses.as_slice(),
        }
    }

    /// Why the answer ended, in the caller's dialect, once known.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        match &self.printer {
            Printer::OpenAi(printer) => printer.finish_reason(),
            Printer::Anthropic(printer) => printer.finish_reason(),
        }
    }

    /// Usage as the upstream last reported it.
    #[must_use]
    pub fn usage(&self) -> Option<TokenUsage> {
        match &self.parser {
            Parser::OpenAi(parser) => parser.usage(),
            Parser::Anthropic(parser) => parser.usage(),
        }
    }
}

/// Calls `use_sink` with the printer as the place for events.
fn with_sink<T>(
    printer: &mut Printer,
    out: &mut Vec<u8>,
    use_sink: impl FnOnce(&mut dyn Sink) -> T,
) -> T {
    match printer {
        Printer::OpenAi(printer) => use_sink(&mut openai::Output { printer, out }),
        Printer::Anthropic(printer) => use_sink(&mut anthropic::Output { printer, out }),
    }
}
