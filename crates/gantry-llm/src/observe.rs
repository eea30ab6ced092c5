//! Meters replies that are forwarded unchanged: usage, finish reason, first token, errors.
//!
//! The relay feeds it each event of a stream, or a whole reply, in the dialect it came in. It reads
//! with the scanning cursor: no tree, no copy but of the few strings that are kept. It never judges
//! a reply beyond its shape and never changes one.

mod messages;
mod openai;
#[cfg(test)]
mod tests;
mod usage;
pub(crate) mod value;

use crate::scan::Fault;
use crate::scan::ScanError;
use crate::scan::cursor::Cursor;
use crate::sse;
use gantry_model::usage::TokenUsage;
use usage::Counts;

/// Which replies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI `chat.completion` and `chat.completion.chunk`.
    Chat,
    /// OpenAI `text_completion` (legacy).
    Completion,
    /// OpenAI embedding lists; never streamed.
    Embedding,
    /// Anthropic messages.
    Messages,
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

/// Reads one reply, streamed or whole.
#[derive(Debug)]
pub struct Observer {
    wire: Wire,
    model: Option<String>,
    message_id: Option<String>,
    finish_reason: Option<String>,
    counts: Option<Counts>,
    /// A usage that covers the whole reply was seen, not only the input's side of it.
    counts_output: bool,
    output_bytes: u64,
    /// The model has produced something.
    content: bool,
    /// A reason to stop was seen, and no content after it.
    stopped: bool,
    /// It has shown some of its reasoning.
    reasoning: bool,
    ended: bool,
}

/// What was found in one event or reply.
#[derive(Debug, Default)]
struct Found {
    content: bool,
    reasoning: bool,
    finish: bool,
    usage: bool,
    /// A role, so that usage beside it does not make this a usage event.
    role: bool,
    /// The member that makes an object a reply of its dialect.
    body: bool,
    text_bytes: u64,
    error: Option<Box<UpstreamError>>,
    /// The whole object calls itself an error.
    is_error: bool,
}

impl Observer {
    #[must_use]
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            model: None,
            message_id: None,
            finish_reason: None,
            counts: None,
            counts_output: false,
            output_bytes: 0,
            content: false,
            stopped: false,
            reasoning: false,
            ended: false,
        }
    }

    /// Reads a whole reply with status 200.
    ///
    /// # Errors
    /// When it is not a JSON object, has no `choices` (`data`, `content`), is an error, or says
    /// nothing at all.
    pub fn reply(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let found = self.read(body).map_err(|f| Malformed::Json(ScanError::new(body, f)))?;
        if let Some(error) = found.error {
            return Err(Malformed::Error(error));
        }
        if !found.body {
            let field = match self.wire {
                Wire::Chat | Wire::Completion => "choices",
                Wire::Embedding => "data",
                Wire::Messages => "content",
            };
            return Err(Malformed::Missing { field });
        }
        if self.is_empty() {
            return Err(Malformed::Empty);
        }
        self.ended = true;
        Ok(())
    }

    /// Reads one event of a stream.
    pub fn event(&mut self, event: &sse::Event<'_>) -> Seen {
        match self.wire {
            Wire::Messages => messages::event(self, event),
            Wire::Chat | Wire::Completion | Wire::Embedding => self.openai_event(event),
        }
    }

    /// Token counts so far; `None` when the upstream has sent none.
    ///
    /// A stream that was cut off may lack the output's side: see [`Self::usage_is_final`].
    #[must_use]
    pub fn usage(&self) -> Option<TokenUsage> {
        let counts = self.counts.as_ref()?;
        Some(match self.wire {
            Wire::Messages => counts.anthropic(),
            Wire::Chat | Wire::Completion | Wire::Embedding => counts.openai(),
        })
    }

    /// Whether [`Self::usage`] covers the whole reply. If not, the output has to be estimated, from
    /// [`Self::output_bytes`] say.
    #[must_use]
    pub fn usage_is_final(&self) -> bool {
        let whole = self.counts_output && (self.ended || self.finish_reason.is_some());
        whole && !self.usage_is_doubted()
    }

    /// Whether a count was beyond belief, and is treated as not sent.
    #[must_use]
    pub fn usage_is_doubted(&self) -> bool {
        self.counts.is_some_and(|counts| counts.doubted)
    }

    /// Why the model stopped, in the upstream's words; of several choices, the last one's.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref()
    }

    /// Bytes of text that the model has produced: content, reasoning, refusals, tool calls.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        self.output_bytes
    }

    /// Whether the model has said nothing so far: no content, no reason to stop, and no usage of
    /// its own. A reply that ends so is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.content && self.finish_reason.is_none() && !self.counts_output
    }

    /// Whether reasoning was shown, so that the tokens spent on it came as part of the reply.
    #[must_use]
    pub fn shows_reasoning(&self) -> bool {
        self.reasoning
    }

    /// Whether the dialect's own end was seen (`[DONE]`, `message_stop`, a whole reply).
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether a stream that closes now, in good order, was whole: it had its end mark, or in
    /// OpenAI's dialect, whose servers do not all send one, the model has stopped.
    #[must_use]
    pub fn may_end(&self) -> bool {
        self.ended || self.stopped
    }

    /// The model as the upstream names it.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The reply's own id: `chatcmpl-…`, `msg_…`.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    fn read(&mut self, body: &[u8]) -> Result<Found, Fault> {
        if let Some(found) = self.listed_error(body) {
            return Ok(found);
        }
        let mut cursor = Cursor::new(body);
        cursor.start_of_object()?;
        let mut found = Found::default();
        match self.wire {
            Wire::Messages => messages::reply(self, &mut found, &mut cursor)?,
            Wire::Chat | Wire::Completion | Wire::Embedding => {
                openai::object(self, &mut found, &mut cursor)?;
            }
        }
        cursor.end()?;
        if found.is_error && found.error.is_none() {
            found.error = Some(value::error_of(body));
        }
        self.output_bytes += found.text_bytes;
        self.content |= found.content;
        self.reasoning |= found.reasoning;
        Ok(found)
    }

    /// Google's form of an error: a list of one.
    fn listed_error(&mut self, body: &[u8]) -> Option<Found> {
        let inner = body.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
        let inner = Some(inner.trim_ascii()).filter(|inner| inner.starts_with(b"{"))?;
        self.read(inner).ok().filter(|found| found.error.is_some())
    }

    fn openai_event(&mut self, event: &sse::Event<'_>) -> Seen {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.ended = true;
            return Seen::Done;
        }
        let found = self.read(data);
        if event.name == Some("error") {
            let error = found.ok().and_then(|found| found.error);
            return Seen::Error(error.unwrap_or_else(|| value::error_of(data)));
        }
        if let Ok(found) = &found {
            // Of several choices one may go on when another has stopped.
            self.stopped = found.finish || self.stopped && !found.content;
        }
        match found {
            Err(_) => Seen::Malformed,
            Ok(Found { error: Some(error), .. }) => Seen::Error(error),
            Ok(Found { content: true, .. }) => Seen::Content,
            Ok(Found { finish: true, .. }) => Seen::Finish,
            Ok(Found { usage: true, role: false, .. }) => Seen::Usage,
            Ok(Found { body: true, .. }) => Seen::Preamble,
            Ok(_) => Seen::Ignored,
        }
    }
}
