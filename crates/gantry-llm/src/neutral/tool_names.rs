//! Tools whose names are not as the upstream takes them, such as those of MCP servers: longer, or
//! with dots and slashes.
//!
//! `translate` renames them on the way there, in tools, calls of earlier turns and the choice of
//! a tool alike; replies name them whole again. A short name depends on nothing but the whole one,
//! so that the prompt stays the same from turn to turn and caches keep working.

use super::fitted::fitted;
use super::{Body, Event, Losses, Part, Request, Sink, Str, ToolChoice};
use gantry_model::facts::Limit;
use std::collections::BTreeMap;

/// Why a name is another at the upstream.
const NOTE: &str = "longer than the upstream takes, or of other letters: changed there, and whole \
                    in the answer";

/// Whole names by their short ones; nearly always empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames(BTreeMap<String, String>);

impl ToolNames {
    /// Renames what the upstream does not take.
    pub(crate) fn fit(request: &mut Request<'_>, limit: &Limit, losses: &mut Losses) -> Self {
        let mut names = Self::default();
        for tool in &mut request.tools {
            if names.rename(&mut tool.name, limit) {
                losses.approximated(format_args!("{}.name", tool.place), NOTE);
            }
        }
        let calls = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in calls {
            if let Body::ToolCall(call) = &mut part.body
                && names.rename(&mut call.name, limit)
            {
                losses.approximated(format_args!("{}.name", part.place), NOTE);
            }
        }
        // Only of tools that are there: another one is refused by the name that the caller gave.
        let chosen = request.tool_choice.iter_mut().filter_map(|choice| match choice {
            ToolChoice::Tool(name) => Some(name),
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Any => None,
        });
        for name in chosen.chain(request.allowed_tools.iter_mut().flatten()) {
            if names.0.values().any(|whole| **whole == **name) {
                names.rename(name, limit);
            }
        }
        names
    }

    /// Whether the name is changed for the first time.
    fn rename(&mut self, name: &mut Str<'_>, limit: &Limit) -> bool {
        let Some(short) = fitted(name, limit) else { return false };
        let whole = std::mem::replace(name, short.clone().into());
        self.0.insert(short, whole.0.into_owned()).is_none()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same for what an upstream says in words.
    pub fn restore_text(&self, text: &mut String) {
        for (short, whole) in &self.0 {
            if text.contains(short) {
                *text = text.replace(short, whole);
            }
        }
    }

    /// Names the tools of an answer as the caller knows them.
    pub(crate) fn restore(&self, parts: &mut [Part<'_>]) {
        for part in parts {
            if let Body::ToolCall(call) = &mut part.body
                && let Some(whole) = self.0.get(&*call.name)
            {
                call.name = whole.clone().into();
            }
        }
    }
}

/// Restores names on the way to a printer.
pub(crate) struct Restoring<'s> {
    pub(crate) names: &'s ToolNames,
    pub(crate) sink: &'s mut dyn Sink,
}

impl Sink for Restoring<'_> {
    fn send(&mut self, event: Event<'_>) {
        self.sink.send(match event {
            Event::ToolStart { call, id, name, signature } => {
                let whole = self.names.0.get(&*name);
                let name = whole.map_or(name, |whole| whole.clone().into());
                Event::ToolStart { call, id, name, signature }
            }
            event => event,
        });
    }
}
