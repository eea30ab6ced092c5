//! Tools whose names are longer than the upstream takes, such as those of MCP servers.
//!
//! `translate` shortens them on the way there, in tools, calls of earlier turns and the choice of
//! a tool alike; replies name them whole again. A short name depends on nothing but the whole one,
//! so that the prompt stays the same from turn to turn and caches keep working.

use super::{Body, Event, Losses, Part, Request, Sink, Str, ToolChoice};
use std::collections::BTreeMap;

/// Hexadecimal digits that stand for what is cut off: 48 bits.
const DIGITS: usize = 12;

/// Whole names by their short ones; nearly always empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames(BTreeMap<String, String>);

impl ToolNames {
    /// Shortens what is longer than `most` characters.
    pub(crate) fn shorten(request: &mut Request<'_>, most: usize, losses: &mut Losses) -> Self {
        let mut names = Self::default();
        let note = format!("longer than {most} characters: cut, and whole in the answer");
        for tool in &mut request.tools {
            if names.fit(&mut tool.name, most) {
                losses.approximated(format_args!("{}.name", tool.place), &note);
            }
        }
        let calls = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in calls {
            if let Body::ToolCall(call) = &mut part.body
                && names.fit(&mut call.name, most)
            {
                losses.approximated(format_args!("{}.name", part.place), &note);
            }
        }
        // Only of tools that are there: another one is refused by the name that the caller gave.
        let chosen = request.tool_choice.iter_mut().filter_map(|choice| match choice {
            ToolChoice::Tool(name) => Some(name),
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Any => None,
        });
        for name in chosen.chain(request.allowed_tools.iter_mut().flatten()) {
            if names.0.values().any(|whole| **whole == **name) {
                names.fit(name, most);
            }
        }
        names
    }

    /// Whether the name is shortened for the first time.
    fn fit(&mut self, name: &mut Str<'_>, most: usize) -> bool {
        // Bytes are at least as many as characters, and quicker to count.
        if name.len() <= most || name.chars().count() <= most {
            return false;
        }
        let short = short(name, most);
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

fn short(name: &str, most: usize) -> String {
    let kept: String = name.chars().take(most.saturating_sub(DIGITS + 1)).collect();
    // FNV-1a, whose values are the same in every version of everything.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{kept}_{:012x}", hash >> 16)
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

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn short_names_are_as_long_as_may_be_and_differ_where_the_whole_ones_do() {
        let long = "mcp__server__".to_owned() + &"a".repeat(80);
        let other = format!("{long}b");
        assert_eq!(short(&long, 64), short(&long, 64));
        assert_ne!(short(&long, 64), short(&other, 64));
        for name in [&long, &other, &"é".repeat(90)] {
            assert_eq!(short(name, 64).chars().count(), 64, "{name}");
        }
        // Pinned: caches of prompts outlive a version.
        assert_eq!(
            short(&long, 64),
            "mcp__server__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_656c6204b3f3"
        );
    }
}
