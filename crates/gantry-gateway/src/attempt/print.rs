//! What the caller gets of what the upstream said: its own bytes, or the same printed anew.
//!
//! The pump calls it between the meter and the caller's wish for a shape, for whole replies and
//! for streams. Screens look at the words here, and only here.

use crate::screens::Screens;
use bytes::Bytes;
use gantry_llm::dialect::Dialect;
use gantry_llm::screen::{self, Screen, Screened};
use gantry_llm::stream::{StreamContext, StreamTranslator};
use gantry_llm::translate::{self, ReplyContext};
use gantry_model::record::Loss;

/// How a reply goes on.
pub(super) enum Printer {
    /// As it came.
    Forward,
    Whole(Box<WholePrinter>),
    Stream(Box<StreamPrinter>),
}

/// What a printer is made of; `context` is asked for only where something is printed.
pub(super) struct Order<C> {
    pub(super) from: &'static dyn Dialect,
    pub(super) to: &'static dyn Dialect,
    pub(super) context: C,
    /// Empty where the operation has no neutral form.
    pub(super) screens: Option<Screens>,
}

/// What came of a whole reply.
pub(super) enum Whole {
    Body(Bytes),
    Blocked(String),
}

impl Printer {
    pub(super) fn whole(order: Order<impl FnOnce() -> StreamContext>) -> Self {
        let Order { from, to, context, screens } = order;
        if from == to && screens.is_none() {
            return Self::Forward;
        }
        let context = context();
        let (losses, finish_reason) = (Vec::new(), None);
        Self::Whole(Box::new(WholePrinter { from, to, context, screens, losses, finish_reason }))
    }

    pub(super) fn stream(order: Order<impl FnOnce() -> StreamContext>) -> Self {
        let Order { from, to, context, screens } = order;
        if from == to && screens.is_none() {
            return Self::Forward;
        }
        let looks_only = from == to && screens.as_ref().is_some_and(|screens| !screens.edits());
        let screen = screens.map(|screens| Box::new(screens) as Box<dyn Screen>);
        let translator = StreamTranslator::new(from, to, context()).screened(screen);
        let keep_alive = to.keep_alive();
        Self::Stream(Box::new(StreamPrinter { translator, looks_only, keep_alive }))
    }

    /// Whether the caller gets the upstream's own bytes.
    pub(super) fn forwards(&self) -> bool {
        match self {
            Self::Forward => true,
            Self::Whole(printer) => printer.from == printer.to && printer.finish_reason.is_none(),
            Self::Stream(printer) => printer.looks_only,
        }
    }

    /// What tells the caller that the upstream is alive.
    pub(super) fn keep_alive(&self) -> &'static [u8] {
        match self {
            Self::Stream(printer) => printer.keep_alive,
            Self::Forward | Self::Whole(_) => b"",
        }
    }

    /// Why the model stopped, where that was printed in the caller's words.
    pub(super) fn finish_reason(&self) -> Option<Option<&str>> {
        match self {
            Self::Whole(printer) if !self.forwards() => Some(printer.finish_reason),
            Self::Stream(printer) if !self.forwards() => Some(printer.translator.finish_reason()),
            Self::Forward | Self::Whole(_) | Self::Stream(_) => None,
        }
    }

    /// What printing could not carry over so far.
    pub(super) fn losses(&self) -> &[Loss] {
        match self {
            Self::Whole(printer) => &printer.losses,
            Self::Stream(printer) if !printer.looks_only => printer.translator.losses(),
            Self::Forward | Self::Stream(_) => &[],
        }
    }

    /// Takes a whole reply.
    pub(super) fn reply(&mut self, body: Bytes) -> Result<Whole, translate::Error> {
        match self {
            Self::Forward | Self::Stream(_) => Ok(Whole::Body(body)),
            Self::Whole(printer) => printer.reply(body),
        }
    }

    /// Takes one event of a stream and appends what is printed of it to `out`.
    pub(super) fn event(
        &mut self,
        (name, data): (Option<&str>, &[u8]),
        out: &mut Vec<u8>,
    ) -> Result<(), translate::Error> {
        let Self::Stream(printer) = self else { return Ok(()) };
        let taken = printer.translator.event(name, data, out);
        if printer.looks_only {
            // What no screen could read is the upstream's own affair: its bytes go on.
            out.clear();
            return Ok(());
        }
        taken
    }

    /// Why a screen stopped the stream.
    pub(super) fn blocked(&self) -> Option<&str> {
        match self {
            Self::Stream(printer) => printer.translator.blocked(),
            Self::Forward | Self::Whole(_) => None,
        }
    }

    /// Appends what the caller's dialect still needs at the end; `false` when the upstream did not
    /// come to its end.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Stream(printer) if !printer.looks_only => printer.translator.end(out).is_ok(),
            Self::Forward | Self::Whole(_) | Self::Stream(_) => true,
        }
    }
}

pub(super) struct WholePrinter {
    from: &'static dyn Dialect,
    to: &'static dyn Dialect,
    context: StreamContext,
    screens: Option<Screens>,
    losses: Vec<Loss>,
    /// Set when it was printed.
    finish_reason: Option<&'static str>,
}

impl WholePrinter {
    fn reply(&mut self, body: Bytes) -> Result<Whole, translate::Error> {
        let context = ReplyContext {
            model: &self.context.model,
            request_id: &self.context.request_id,
            carried: &self.context.carried,
            created_s: self.context.created_s,
        };
        let dialects = (self.from, self.to);
        let done = match &mut self.screens {
            None => translate::reply(self.from, self.to, &body, &context)?,
            Some(screens) => match screen::reply(dialects, &body, &context, screens)? {
                Screened::Unchanged => return Ok(Whole::Body(body)),
                Screened::Blocked(why) => return Ok(Whole::Blocked(why)),
                Screened::Printed(done) => done,
            },
        };
        self.losses = done.losses;
        self.finish_reason = Some(done.finish_reason);
        Ok(Whole::Body(done.body.into()))
    }
}

pub(super) struct StreamPrinter {
    translator: StreamTranslator,
    /// The upstream's bytes go on; what is printed is thrown away.
    looks_only: bool,
    keep_alive: &'static [u8],
}
