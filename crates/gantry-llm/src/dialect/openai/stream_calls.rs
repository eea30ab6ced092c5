//! The tool calls of a streamed chat completion: which call a fragment belongs to.
//!
//! `read_stream` feeds it. Fragments are keyed by `index`; servers that leave it out, or send the
//! same one for all calls, show by an id, a name or an object behind whole arguments that another
//! call begins. It keeps no arguments but those that came before their call's name.

use super::wire_request::thought_signature;
use crate::dialect::progress::Progress;
use crate::dialect::wire::wire;
use crate::neutral::{Event, Losses, Raw, Sink, Str, StrOr, Text};

wire! {
    pub(super) struct ToolDelta<'a> {
        may index: u64,
        may id: Str<'a>,
        may function: FunctionDelta<'a>,
        may extra_content: Raw<'a>,
    }

    pub(super) struct FunctionDelta<'a> {
        may name: Str<'a>,
        // Whole, as an object, from some servers.
        may arguments: StrOr<Text<'a>, Raw<'a>>,
    }
}

/// A tool call that began.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    /// Once it is known, the printer has been told of the call.
    name: Option<String>,
    progress: Progress,
    /// Its arguments are `{}` so far, which is not sent yet: some servers begin so and mean none.
    empty: bool,
    /// Arguments that came before the name.
    early: String,
    /// The signature that came before the name.
    signature: Option<String>,
}

/// The calls of one stream, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// Where a fragment goes.
enum Place {
    Known(usize),
    /// A new call, with the name that it has of the one before when it brings none.
    New(Option<String>),
    /// The call is whole, and is told once more.
    Repeated,
}

const PATH: &str = "reply.choices[0].message.tool_calls";

impl Calls {
    /// Whether a call has begun.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|call| call.name.is_some())
    }

    /// Reports calls that never got a name.
    pub(super) fn report(&self, losses: &mut Losses) {
        if self.0.iter().any(|call| call.name.is_none()) {
            losses.once(PATH, "a call that was never named is left out");
        }
    }

    /// Sends the `{}` of calls that have nothing else, because something else begins.
    pub(super) fn close_empty(&mut self, sink: &mut dyn Sink) {
        for (at, call) in self.0.iter_mut().enumerate() {
            if std::mem::take(&mut call.empty) {
                let fragment = Text::Plain("{}");
                call.progress.feed(&fragment);
                sink.send(Event::ToolArguments { call: at, fragment });
            }
        }
    }

    /// Takes one fragment.
    pub(super) fn take(&mut self, delta: ToolDelta<'_>, losses: &mut Losses, sink: &mut dyn Sink) {
        let Some(function) = delta.function else {
            losses.once(PATH, "not a function call");
            return;
        };
        let name = function.name.filter(|name| !name.is_empty());
        let id = delta.id.unwrap_or_default();
        let arguments = match function.arguments {
            Some(StrOr::Str(text)) => text,
            Some(StrOr::Other(raw)) => Text::Owned(raw.get().to_owned()),
            None => Text::default(),
        };
        let (at, inherited) = match self.place((delta.index, &id), name.as_deref(), &arguments) {
            Place::Known(at) => {
                self.identify(at, &id);
                (at, None)
            }
            Place::New(inherited) => {
                self.close_empty(sink);
                // No two calls have one id.
                let id = if self.0.iter().any(|call| call.id == *id) { "" } else { &*id };
                let (index, id) = (delta.index, id.to_owned());
                self.0.push(Call { index, id, ..Call::default() });
                (self.0.len() - 1, inherited)
            }
            Place::Repeated => {
                losses.once(PATH, "a call that is whole was sent again");
                return;
            }
        };
        let Some(call) = self.0.get_mut(at) else { return };
        let signature = thought_signature(delta.extra_content);
        if signature.is_some() && call.name.is_some() {
            let note = "a signature behind the call that it is of";
            losses.once("reply.choices[0].message.tool_calls.extra_content", note);
        }
        let name = name.or(inherited.map(Str::from));
        call.begin(at, name, signature, sink);
        call.arguments(at, arguments, sink);
    }

    /// An id that comes behind its call's first fragment, and before its name.
    fn identify(&mut self, at: usize, id: &str) {
        if let Some(call) = self.0.get_mut(at)
            && call.id.is_empty()
            && call.name.is_none()
        {
            id.clone_into(&mut call.id);
        }
    }

    /// The call that a fragment belongs to. An id that changes without a name begins nothing,
    /// because some servers make up another one for each fragment.
    fn place(
        &self,
        (index, id): (Option<u64>, &str),
        name: Option<&str>,
        arguments: &Text<'_>,
    ) -> Place {
        let last = self.0.len().checked_sub(1);
        let same_id = |call: &Call| !id.is_empty() && call.id == id;
        let of_id = |call: &Call| same_id(call) && (index.is_none() || call.index == index);
        let known = self.0.iter().rposition(of_id).or_else(|| match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None => last.filter(|_| id.is_empty() || name.is_none()),
        });
        let Some((at, call)) = known.and_then(|at| Some((at, self.0.get(at)?))) else {
            return Place::New(None);
        };
        let another_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
        let Some(own) = &call.name else {
            let begins = name.is_some() && another_id;
            return if begins { Place::New(None) } else { Place::Known(at) };
        };
        if name.is_some_and(|name| another_id || name != own) {
            return Place::New(None);
        }
        let whole = call.progress.is_whole() || call.empty && name.is_some();
        if !whole || !begins_object(arguments) {
            return Place::Known(at);
        }
        if same_id(call) { Place::Repeated } else { Place::New(Some(own.clone())) }
    }
}

impl Call {
    /// Tells the printer of the call once its name is known.
    fn begin(
        &mut self,
        at: usize,
        name: Option<Str<'_>>,
        signature: Option<Text<'_>>,
        sink: &mut dyn Sink,
    ) {
        if self.name.is_some() {
            return;
        }
        let Some(name) = name else {
            let signature = signature.map(|signature| signature.decode().into_owned());
            self.signature = signature.or(self.signature.take());
            return;
        };
        self.name = Some(name.to_string());
        let signature = signature.or(self.signature.take().map(Text::Owned));
        sink.send(Event::ToolStart { call: at, id: Str::from(&*self.id), name, signature });
        let early = std::mem::take(&mut self.early);
        self.arguments(at, early.into(), sink);
    }

    fn arguments(&mut self, at: usize, arguments: Text<'_>, sink: &mut dyn Sink) {
        if self.name.is_none() {
            return arguments.push_to(&mut self.early);
        }
        if arguments.is_empty() {
            return;
        }
        if !self.progress.has_begun() && is_empty_object(&arguments) {
            self.empty = true;
            return;
        }
        self.empty = false;
        self.progress.feed(&arguments);
        sink.send(Event::ToolArguments { call: at, fragment: arguments });
    }
}

fn is_empty_object(text: &Text<'_>) -> bool {
    match text {
        Text::Plain(text) => text.trim() == "{}",
        Text::Owned(text) => text.trim() == "{}",
        Text::Escaped(_) => false,
    }
}

fn begins_object(text: &Text<'_>) -> bool {
    text.decode().trim_start().starts_with('{')
}
