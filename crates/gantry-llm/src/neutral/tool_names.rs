//! Tools that are not as the upstream takes them, such as those of MCP servers: with longer names,
//! with dots and slashes, with schemas of other forms.
//!
//! `translate` changes them on the way there, in tools, calls of earlier turns and the choice of a
//! tool alike; replies have them as the caller knows them. What is sent depends on nothing but what
//! it stands for, so that the prompt stays the same from turn to turn and caches keep working.

use super::fitted::fitted;
use super::tool_schema::{self, back, there};
use super::{Arguments, Block, Body, Event, Losses, Part, Request, Sink, Str, Text, ToolChoice};
use gantry_model::facts::{Limit, Limits};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Why a name is another at the upstream.
const NAME: &str = "longer than the upstream takes, or of other letters: changed there, and whole \
                    in the answer";

/// Why a schema is another at the upstream.
const SCHEMA: &str = "changed to the form that the upstream demands, and back in the answer";

/// What replies need to speak of tools as the caller does; nearly always empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames {
    /// Whole names by their short ones.
    names: BTreeMap<String, String>,
    /// The same of properties.
    properties: BTreeMap<String, String>,
    /// Tools, by the caller's names, whose arguments stand in a wrapper.
    wrapped: BTreeSet<String>,
}

impl ToolNames {
    /// Changes what the upstream does not take.
    pub(crate) fn fit(
        request: &mut Request<'_>,
        limits: &Limits,
        schemas: &mut Vec<(usize, String)>,
        losses: &mut Losses,
    ) -> Self {
        let mut names = Self::default();
        for (index, tool) in request.tools.iter().enumerate() {
            let Some(schema) = tool.schema else { continue };
            if let Some(fitted) = tool_schema::fit(schema.get(), limits) {
                if fitted.wrapped || !fitted.renamed.is_empty() {
                    losses.added(&tool.place.to_string(), SCHEMA);
                }
                if fitted.wrapped {
                    names.wrapped.insert(tool.name.to_string());
                }
                names.properties.extend(fitted.renamed);
                schemas.push((index, fitted.json));
            }
        }
        names.arguments(request);
        if let Some(limit) = &limits.tool_name {
            names.fit_names(request, limit, losses);
        }
        names
    }

    /// Calls of earlier turns follow the schemas that are sent.
    fn arguments(&self, request: &mut Request<'_>) {
        if self.properties.is_empty() && self.wrapped.is_empty() {
            return;
        }
        let shorts: BTreeMap<&String, &String> =
            self.properties.iter().map(|(short, whole)| (whole, short)).collect();
        let short = |name: &str| shorts.get(&name.to_owned()).map(|short| (*short).clone());
        for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            let Body::ToolCall(call) = &mut part.body else { continue };
            let wrapped = self.wrapped.contains(&*call.name);
            let text = match &call.arguments {
                Arguments::Text(text) => text.decode(),
                Arguments::Json(raw) => Cow::Borrowed(raw.get()),
            };
            if text.trim().is_empty() {
                continue;
            }
            let sent = there(&text, wrapped, short);
            call.arguments = Arguments::Text(Text::Owned(sent));
        }
    }

    fn fit_names(&mut self, request: &mut Request<'_>, limit: &Limit, losses: &mut Losses) {
        for tool in &mut request.tools {
            if self.rename(&mut tool.name, limit) {
                losses.approximated(format_args!("{}.name", tool.place), NAME);
            }
        }
        let calls = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in calls {
            if let Body::ToolCall(call) = &mut part.body
                && self.rename(&mut call.name, limit)
            {
                losses.approximated(format_args!("{}.name", part.place), NAME);
            }
        }
        // Only of tools that are there: another one is refused by the name that the caller gave.
        let chosen = request.tool_choice.iter_mut().filter_map(|choice| match choice {
            ToolChoice::Tool(name) => Some(name),
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Any => None,
        });
        for name in chosen.chain(request.allowed_tools.iter_mut().flatten()) {
            if self.names.values().any(|whole| **whole == **name) {
                self.rename(name, limit);
            }
        }
    }

    /// Whether the name is changed for the first time.
    fn rename(&mut self, name: &mut Str<'_>, limit: &Limit) -> bool {
        let Some(short) = fitted(name, limit) else { return false };
        let whole = std::mem::replace(name, short.clone().into());
        self.names.insert(short, whole.0.into_owned()).is_none()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.properties.is_empty() && self.wrapped.is_empty()
    }

    /// The same for what an upstream says in words.
    pub fn restore_text(&self, text: &mut String) {
        for (short, whole) in self.names.iter().chain(&self.properties) {
            if text.contains(short) {
                *text = text.replace(short, whole);
            }
        }
    }

    /// Names the tools of an answer as the caller knows them.
    pub(crate) fn restore(&self, parts: &mut [Part<'_>]) {
        for part in parts {
            let Body::ToolCall(call) = &mut part.body else { continue };
            if let Some(whole) = self.names.get(&*call.name) {
                call.name = whole.clone().into();
            }
            if self.reshapes(&call.name) {
                let text = match &call.arguments {
                    Arguments::Text(text) => text.decode(),
                    Arguments::Json(raw) => Cow::Borrowed(raw.get()),
                };
                let restored = self.arguments_back(&call.name, &text);
                call.arguments = Arguments::Text(Text::Owned(restored));
            }
        }
    }

    /// Whether arguments of the tool, as the caller names it, are to be changed.
    fn reshapes(&self, name: &str) -> bool {
        !self.properties.is_empty() || self.wrapped.contains(name)
    }

    fn arguments_back(&self, name: &str, json: &str) -> String {
        back(json, self.wrapped.contains(name), |key| self.properties.get(key).cloned())
    }
}

/// Arguments of streamed calls that are put together before they can be changed; as many bytes as
/// the calls have.
#[derive(Debug, Default)]
pub(crate) struct Held(BTreeMap<usize, (String, String)>);

/// Restores names and arguments on the way to a printer.
pub(crate) struct Restoring<'s> {
    pub(crate) names: &'s ToolNames,
    pub(crate) held: &'s mut Held,
    pub(crate) sink: &'s mut dyn Sink,
}

impl Restoring<'_> {
    /// Sends what was held of all calls.
    fn release(&mut self) {
        for (call, held) in std::mem::take(&mut self.held.0) {
            self.release_one(call, held);
        }
    }

    fn release_one(&mut self, call: usize, (name, json): (String, String)) {
        if !json.is_empty() {
            let fragment = Text::Owned(self.names.arguments_back(&name, &json));
            self.sink.send(Event::ToolArguments { call, fragment });
        }
    }
}

impl Sink for Restoring<'_> {
    fn send(&mut self, event: Event<'_>) {
        let event = match event {
            Event::ToolStart { call, id, name, signature } => {
                let whole = self.names.names.get(&*name);
                let name = whole.map_or(name, |whole| whole.clone().into());
                if self.names.reshapes(&name) {
                    self.held.0.insert(call, (name.to_string(), String::new()));
                }
                Event::ToolStart { call, id, name, signature }
            }
            Event::ToolArguments { call, fragment } => match self.held.0.get_mut(&call) {
                Some((_, json)) => return fragment.push_to(json),
                None => Event::ToolArguments { call, fragment },
            },
            Event::BlockEnd(Block::Call(call)) => {
                if let Some(held) = self.held.0.remove(&call) {
                    self.release_one(call, held);
                }
                event
            }
            Event::Stop(_) | Event::End => {
                self.release();
                event
            }
            event => event,
        };
        self.sink.send(event);
    }
}
