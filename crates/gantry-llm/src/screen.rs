//! A look at the words of a reply between parser and printer: pass, change or stop them.
//!
//! The gateway hands in a [`Screen`]; whole replies and streams, translated or not, go through the
//! same two places here. A screen sees what the model says to the caller, text and refusals; it
//! does not see thinking, tool calls or anything in a dialect that has no neutral form.

use crate::context::{Error, ReplyContext};
use crate::dialect::Dialect;
use crate::neutral::{Body, Event, Losses, Sink, Text};
use crate::whole::{self, TranslatedReply};
use std::fmt;

/// What a screen makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Says this instead.
    Replace(String),
    /// Ends the reply, with a sentence for the caller.
    Block(String),
}

/// Looks at the words of one reply, in their order.
pub trait Screen: fmt::Debug {
    /// Whether it may ever answer [`Verdict::Replace`]. A stream within one dialect is forwarded
    /// where it cannot, and printed anew from its first event where it may: its ids and the
    /// numbers of its blocks are the printer's then.
    fn edits(&self) -> bool;

    /// Judges a text: all of it in a whole reply, a piece of it in a stream.
    fn text(&mut self, text: &str) -> Verdict;
}

/// What a screen made of a whole reply.
#[derive(Debug)]
pub enum Screened {
    /// The body may go on as it came: it is in the caller's dialect and nothing was changed.
    Unchanged,
    Printed(TranslatedReply),
    Blocked(String),
}

/// Screens a whole reply and prints it in dialect `to` where it must.
///
/// # Errors
/// When the body is not a reply in dialect `from`, or is an error sent with status 200.
pub fn reply(
    (from, to): (&dyn Dialect, &dyn Dialect),
    body: &[u8],
    ctx: &ReplyContext<'_>,
    screen: &mut dyn Screen,
) -> Result<Screened, Error> {
    let mut losses = Losses::default();
    let mut reply = whole::read(from, body, ctx, &mut losses)?;
    let mut changed = false;
    for part in &mut reply.parts {
        let (Body::Text(text) | Body::Refusal(text)) = &mut part.body else { continue };
        match screen.text(&text.decode()) {
            Verdict::Pass => {}
            Verdict::Replace(other) => {
                *text = other.into();
                changed = true;
            }
            Verdict::Block(why) => return Ok(Screened::Blocked(why)),
        }
    }
    if from == to && !changed {
        return Ok(Screened::Unchanged);
    }
    let room = body.len() + 512;
    Ok(Screened::Printed(whole::print(to, &reply, ctx, (losses, room))))
}

/// Stands before a stream's printer.
pub(crate) struct Screening<'s> {
    pub(crate) screen: &'s mut dyn Screen,
    pub(crate) sink: &'s mut dyn Sink,
    /// Why the stream is stopped; nothing reaches the printer any more then.
    pub(crate) blocked: &'s mut Option<String>,
}

impl Screening<'_> {
    fn judged<'a>(&mut self, text: Text<'a>) -> Option<Text<'a>> {
        match self.screen.text(&text.decode()) {
            Verdict::Pass => Some(text),
            Verdict::Replace(other) => Some(other.into()),
            Verdict::Block(why) => {
                *self.blocked = Some(why);
                None
            }
        }
    }
}

impl Sink for Screening<'_> {
    fn send(&mut self, event: Event<'_>) {
        if self.blocked.is_some() {
            return;
        }
        let event = match event {
            Event::Text(text) => self.judged(text).map(Event::Text),
            Event::Refusal(text) => self.judged(text).map(Event::Refusal),
            event => Some(event),
        };
        if let Some(event) = event {
            self.sink.send(event);
        }
    }
}
