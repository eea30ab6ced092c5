//! Meters replies that are forwarded unchanged: usage, finish reason, first token, errors.
//!
//! The relay feeds an [`Observer`] each event of a stream, or a whole reply, in the dialect it came
//! in; which members mean what is said by the [`Replies`] of the operation. It reads with the
//! scanning cursor: no tree, no copy but of the few strings that are kept. It never judges a reply
//! beyond its shape and never changes one.

mod spent;
#[cfg(test)]
mod tests;
pub(crate) mod usage;
pub(crate) mod value;

use crate::finish;
use crate::scan::Fault;
use crate::scan::ScanError;
use crate::scan::cursor::Cursor;
use crate::sse;
use gantry_model::usage::TokenUsage;
use spent::Progress;
use std::fmt::Debug;
use usage::{Convention, Counts};

pub use spent::Spent;
pub use usage::Reading;

/// Reads the replies of one operation; a dialect has one for each kind of reply.
pub trait Replies: Debug + Sync {
    /// Takes note of a whole reply with status 200.
    ///
    /// # Errors
    /// When it is no JSON object, lacks what makes it a reply, or is an error.
    fn reply(&self, body: &[u8], notes: &mut Notes) -> Result<(), Malformed>;

    /// Takes note of one event of a stream.
    fn event(&self, event: &sse::Event<'_>, notes: &mut Notes) -> Seen;
}

/// For operations whose replies are handed on unread.
#[derive(Debug)]
pub struct Unread;

impl Replies for Unread {
    fn reply(&self, _: &[u8], _: &mut Notes) -> Result<(), Malformed> {
        Ok(())
    }

    fn event(&self, _: &sse::Event<'_>, _: &mut Notes) -> Seen {
        Seen::Ignored
    }
}

/// What one event of a stream meant. When it means several things, the first that applies, in the
/// order error, content, finish, usage, preamble; the observer has taken note of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The model has produced nothing yet: a role, `message_start`, `ping`, empty content, Azure's
    /// filter chunk without choices.
    Preamble,
    /// Text, reasoning, tool call or refusal.
    Content,
    /// The reason why the model stopped.
    Finish,
    /// Token counts alone.
    Usage,
    /// The dialect's own end: `[DONE]` or `message_stop`.
    Done,
    /// An error event after status 200; the event's data is its body.
    Error(Box<UpstreamError>),
    /// Not a JSON object.
    Malformed,
    /// An event that the dialect does not define, or the end of a content block.
    Ignored,
}

/// An error that came with status 200. All of it is the upstream's wording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// `type`: `server_error`, `overloaded_error`.
    pub kind: Option<String>,
    /// `code`, a number in decimal digits too.
    pub code: Option<String>,
    pub message: Option<String>,
}

/// Why a whole reply with status 200 is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the reply is not JSON")]
    Json(#[source] ScanError),
    #[error("the reply has no `{field}`")]
    Missing { field: &'static str },
    #[error("the reply is empty: no content, no finish reason, no usage")]
    Empty,
    #[error("the reply has status 200 but holds an error")]
    Error(Box<UpstreamError>),
}

/// What is known of one reply so far.
#[derive(Debug, Default)]
pub struct Notes {
    /// The model as the upstream names it.
    pub model: Option<String>,
    /// The reply's own id: `chatcmpl-…`, `msg_…`.
    pub message_id: Option<String>,
    /// Why the model stopped, in the upstream's words; of several choices, the last one's.
    pub finish_reason: Option<String>,
    /// Token counts so far; `None` when none said anything.
    pub reading: Option<Reading>,
    /// A usage of the answer was seen, not only one at the beginning of a stream.
    pub used: bool,
    /// Tokens of the answer as last counted, and the bytes of text that it had then.
    pub(crate) counted: Option<(u64, u64)>,
    /// Bytes of text that the model has produced: content, reasoning, refusals, tool calls.
    pub output_bytes: u64,
    /// The model has produced something.
    pub content: bool,
    /// A reason to stop was seen, and no content after it; enough of an end where the dialect's
    /// servers do not all send an end mark.
    pub stopped: bool,
    /// It has shown some of its reasoning.
    pub reasoning: bool,
    /// The dialect's own end was seen.
    pub ended: bool,
    /// Counts as they were sent, a later one in place of an earlier one.
    counts: Counts,
    /// The usage of the event or reply that is being read.
    sent: Option<Sent>,
}

/// A usage that was just read. It counts the text that it came with, whichever stands first.
#[derive(Debug)]
struct Sent {
    counts: Counts,
    convention: Convention,
    /// It comes before the answer.
    begins: bool,
}

/// What was found in one event or reply.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) content: bool,
    pub(crate) reasoning: bool,
    pub(crate) finish: bool,
    pub(crate) usage: bool,
    /// A role, so that usage beside it does not make this a usage event.
    pub(crate) role: bool,
    /// The member that makes an object a reply of its dialect.
    pub(crate) body: bool,
    /// Something stands in its list of `data`.
    pub(crate) listed: bool,
    pub(crate) text_bytes: u64,
    pub(crate) error: Option<Box<UpstreamError>>,
    /// The whole object calls itself an error.
    pub(crate) is_error: bool,
}

impl Found {
    /// Keeps the first error.
    pub(crate) fn fail(&mut self, error: Option<Box<UpstreamError>>) {
        self.error = self.error.take().or(error);
    }
}

/// The error that a reason to stop stands for; `said` says whether there is an answer.
pub(crate) fn failed(reason: &str, said: bool) -> Option<Box<UpstreamError>> {
    finish::fails(reason, said).then(|| {
        let message = Some(finish::sentence(reason));
        Box::new(UpstreamError { kind: Some(reason.to_owned()), code: None, message })
    })
}

/// Reads the members of a reply; the cursor stands on its `{`.
pub(crate) type Members = fn(&mut Notes, &mut Found, &mut Cursor<'_>) -> Result<(), Fault>;

impl Notes {
    /// Whether the model has said nothing so far: no content, no reason to stop, and no usage of
    /// its own. A reply that ends so is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.content && self.finish_reason.is_none() && !self.used
    }

    /// Takes note of a usage in what is being read; one that says nothing is none.
    pub(crate) fn usage_sent(&mut self, counts: Counts, convention: Convention) {
        if !counts.say_something() {
            return;
        }
        match &mut self.sent {
            Some(sent) => sent.counts.take(&counts, false),
            None => self.sent = Some(Sent { counts, convention, begins: false }),
        }
    }

    /// The usage that was just sent comes before the answer.
    pub(crate) fn usage_begins(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.begins = true;
        }
    }

    /// Counts the usage of what was read, whose text has been counted.
    pub(crate) fn count_usage(&mut self) {
        if self.sent.is_none() {
            return;
        }
        let Some(Sent { counts, convention, begins }) = self.sent.take() else { return };
        self.counts.take(&counts, begins);
        let reading = self.counts.reading(convention);
        self.used |= !begins;
        if reading.output {
            self.counted = Some((reading.usage.output, self.output_bytes));
        }
        self.reading = Some(reading);
    }

    /// The reply is of a kind that has no tokens of its own: all that was counted is the prompt.
    pub(crate) fn has_no_output(&mut self) {
        if let Some(reading) = &mut self.reading {
            if let Some(total) = reading.total.take() {
                reading.usage.input = total;
                reading.input = true;
            }
            reading.output = true;
        }
    }

    /// Reads a whole reply of JSON, which is one when it has the list `list`.
    pub(crate) fn whole(
        &mut self,
        body: &[u8],
        members: Members,
        list: &'static str,
    ) -> Result<(), Malformed> {
        let found = self.object(body, members);
        let found = found.map_err(|fault| Malformed::Json(ScanError::new(body, fault)))?;
        if let Some(error) = found.error {
            return Err(Malformed::Error(error));
        }
        if !found.body {
            return Err(Malformed::Missing { field: list });
        }
        Ok(())
    }

    /// Reads a reply, or an event that has the form of one.
    pub(crate) fn object(&mut self, body: &[u8], members: Members) -> Result<Found, Fault> {
        if let Some(found) = self.listed_error(body, members) {
            return Ok(found);
        }
        let mut cursor = Cursor::new(body);
        cursor.start_of_object()?;
        let mut found = Found::default();
        members(self, &mut found, &mut cursor)?;
        cursor.end()?;
        if found.is_error && found.error.is_none() {
            found.error = Some(value::error_of(body));
        }
        self.output_bytes += found.text_bytes;
        self.count_usage();
        self.content |= found.content;
        self.reasoning |= found.reasoning;
        Ok(found)
    }

    /// Google's form of an error: a list of one.
    fn listed_error(&mut self, body: &[u8], members: Members) -> Option<Found> {
        let inner = body.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
        let inner = Some(inner.trim_ascii()).filter(|inner| inner.starts_with(b"{"))?;
        self.object(inner, members).ok().filter(|found| found.error.is_some())
    }
}

/// Reads one reply, streamed or whole.
#[derive(Debug)]
pub struct Observer {
    replies: &'static dyn Replies,
    notes: Notes,
}

impl Observer {
    #[must_use]
    pub fn new(replies: &'static dyn Replies) -> Self {
        Self { replies, notes: Notes::default() }
    }

    /// Another one for the same kind of replies, which has seen nothing.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self::new(self.replies)
    }

    /// Reads a whole reply with status 200.
    ///
    /// # Errors
    /// When it is not a JSON object, has no `choices` (`data`, `content`), is an error, or says
    /// nothing at all.
    pub fn reply(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let read = self.replies.reply(body, &mut self.notes);
        // Also of what is none all was read that it says of tokens.
        self.notes.ended = !matches!(read, Err(Malformed::Json(_)));
        read?;
        if self.notes.is_empty() {
            return Err(Malformed::Empty);
        }
        Ok(())
    }

    /// Reads one event of a stream.
    pub fn event(&mut self, event: &sse::Event<'_>) -> Seen {
        self.replies.event(event, &mut self.notes)
    }

    /// Token counts so far; `None` when the upstream has sent none.
    ///
    /// A side that could not be read is missing, and of a stream that was cut off the end is: see
    /// [`Self::spent`].
    #[must_use]
    pub fn usage(&self) -> Option<TokenUsage> {
        self.notes.reading.map(|reading| reading.usage)
    }

    /// What the reply has used. `prompt` estimates the tokens of its prompt, and is asked only
    /// where the upstream's count could not be read.
    #[must_use]
    pub fn spent(&self, prompt: impl FnOnce() -> u64) -> Spent {
        let notes = &self.notes;
        let ended = notes.ended || notes.finish_reason.is_some();
        let progress = Progress { ended, bytes: notes.output_bytes, counted: notes.counted };
        spent::of(notes.reading, progress, prompt)
    }

    /// Takes note of bytes of an answer that could not be read: they count as its text.
    pub fn unread(&mut self, bytes: usize) {
        self.notes.output_bytes += bytes as u64;
    }

    /// Whether there is something of an answer, be it a count or what could not be read.
    #[must_use]
    pub fn has_some(&self) -> bool {
        let notes = &self.notes;
        notes.content || notes.output_bytes > 0 || notes.reading.is_some()
    }

    /// Why the model stopped, in the upstream's words; of several choices, the last one's.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.notes.finish_reason.as_deref()
    }

    /// Bytes of text that the model has produced: content, reasoning, refusals, tool calls.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        self.notes.output_bytes
    }

    /// Whether the model has said nothing so far: see [`Notes::is_empty`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Whether reasoning was shown, so that the tokens spent on it came as part of the reply.
    #[must_use]
    pub fn shows_reasoning(&self) -> bool {
        self.notes.reasoning
    }

    /// Whether the dialect's own end was seen (`[DONE]`, `message_stop`, a whole reply).
    #[must_use]
    pub fn ended(&self) -> bool {
        self.notes.ended
    }

    /// Whether a stream that closes now, in good order, was whole: it had its end mark, or in
    /// OpenAI's dialect, whose servers do not all send one, the model has stopped.
    #[must_use]
    pub fn may_end(&self) -> bool {
        self.notes.ended || self.notes.stopped
    }

    /// The model as the upstream names it.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.notes.model.as_deref()
    }

    /// The reply's own id: `chatcmpl-…`, `msg_…`.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.notes.message_id.as_deref()
    }
}
