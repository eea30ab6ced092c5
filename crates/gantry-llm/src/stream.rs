//! Translates streamed replies between dialects, one SSE event at a time.
//!
//! The gateway's relay owns one `StreamTranslator` for each stream whose upstream speaks another
//! dialect than the caller. It prints whole events, keeps no more than the blocks that are open or
//! wait for their turn, and never prints an end that the upstream did not reach.

pub use crate::context::{Failure, StreamContext};

use crate::context::Error;
use crate::dialect::{Dialect, StreamParser, StreamPrinter};
use crate::neutral::{Carried, ErrorView, Event, Held, Restoring, Sink};
use crate::screen::{Screen, Screening};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

/// Most bytes that printing an event adds to its data, in all but rare cases.
const EVENT_FRAME_BYTES: usize = 256;

/// Translates one stream.
#[derive(Debug)]
pub struct StreamTranslator {
    parser: Box<dyn StreamParser>,
    printer: Box<dyn StreamPrinter>,
    to: &'static dyn Dialect,
    same: bool,
    request_id: String,
    carried: Carried,
    /// Arguments that are not whole yet.
    held: Held,
    upstream_error: Option<ErrorView>,
    screen: Option<Box<dyn Screen>>,
    blocked: Option<String>,
    /// The parser's and the printer's.
    losses: Vec<Loss>,
}

impl StreamTranslator {
    /// A translator for a stream that has not begun.
    #[must_use]
    pub fn new(from: &'static dyn Dialect, to: &'static dyn Dialect, ctx: StreamContext) -> Self {
        Self {
            parser: from.stream_parser(),
            printer: to.stream_printer(&ctx),
            to,
            same: from == to,
            request_id: ctx.request_id,
            carried: ctx.carried,
            held: Held::default(),
            upstream_error: None,
            screen: None,
            blocked: None,
            losses: Vec::new(),
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
    /// in the caller's dialect, often none. `event_name` is the SSE `event` field, `data` the
    /// joined `data` lines.
    ///
    /// # Errors
    /// When the data is no event of the upstream's dialect, or is an error of the upstream, which
    /// is then in `upstream_error`. Nothing is appended in both cases.
    pub fn event(
        &mut self,
        event_name: Option<&str>,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.same {
            return Err(Error::new("", "caller and upstream speak the same dialect"));
        }
        // About what the printers put around the data, so that one allocation does.
        out.reserve(data.len() + EVENT_FRAME_BYTES);
        let (parser, names, held) = (&mut self.parser, &self.carried.names, &mut self.held);
        let mut output = Output { printer: &mut *self.printer, out };
        let mut screening;
        let sink: &mut dyn Sink = match self.screen.as_deref_mut() {
            None => &mut output,
            Some(screen) => {
                screening = Screening { screen, sink: &mut output, blocked: &mut self.blocked };
                &mut screening
            }
        };
        let taken = match names.is_empty() {
            true => parser.event(event_name, data, sink),
            false => parser.event(event_name, data, &mut Restoring { names, held, sink }),
        };
        self.gather();
        match taken {
            Ok(()) => Ok(()),
            Err(Failure::Malformed(error)) => Err(error),
            Err(Failure::Upstream(mut view)) => {
                self.carried.names.restore_text(&mut view.message);
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
        let mut output = Output { printer: &mut *self.printer, out };
        let (names, held) = (&self.carried.names, &mut self.held);
        let done = self.parser.close(&mut Restoring { names, held, sink: &mut output });
        self.gather();
        if done {
            return Ok(());
        }
        Err(Error::new("", "the upstream ended the stream in the middle"))
    }

    /// Takes over new losses. Neither list ever gets shorter.
    fn gather(&mut self) {
        let (read, printed) = (self.parser.losses(), self.printer.losses());
        if read.len() + printed.len() != self.losses.len() {
            self.losses = [read, printed].concat();
        }
    }

    /// Appends an error event in the caller's dialect, for failures after the first byte. The
    /// stream ends with it; neither `event` nor `end` may be called after.
    pub fn error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        self.to.print_error_event(error, out);
    }

    /// The error that the upstream itself sent in the stream, with Gantry's request id.
    #[must_use]
    pub fn upstream_error(&self) -> Option<&ErrorView> {
        self.upstream_error.as_ref()
    }

    /// Whether the upstream's end marker was seen; what follows it is ignored.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.parser.is_done()
    }

    /// What was left out so far, each kind once.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Why the answer ended, in the caller's dialect, once known.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.printer.finish_reason()
    }

    /// Usage as the upstream last reported it.
    #[must_use]
    pub fn usage(&self) -> Option<TokenUsage> {
        self.parser.usage()
    }
}

/// A printer and where it prints.
struct Output<'p> {
    printer: &'p mut dyn StreamPrinter,
    out: &'p mut Vec<u8>,
}

impl Sink for Output<'_> {
    fn send(&mut self, event: Event<'_>) {
        self.printer.send(event, self.out);
    }
}
