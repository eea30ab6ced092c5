//! Output hooks: what looks at the words of a reply before its caller does.
//!
//! A gateway is made with a list of them ([`crate::Gateway::screened`]); each reply gets its own.
//! They run in the relay's one path, for whole replies and streams in any dialect.

use gantry_llm::screen::{Screen, Verdict};
use std::fmt;
use std::sync::Arc;

/// Makes a screen for one reply.
pub type NewScreen = Arc<dyn Fn() -> Box<dyn Screen> + Send + Sync>;

/// The hooks of a gateway, in the order in which they look.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Vec<NewScreen>);

impl Hooks {
    pub(crate) fn new(hooks: Vec<NewScreen>) -> Self {
        Self(hooks)
    }

    /// Screens for one reply; `None` where there are none, which costs nothing.
    pub(crate) fn screens(&self) -> Option<Screens> {
        (!self.0.is_empty()).then(|| Screens(self.0.iter().map(|new| new()).collect()))
    }
}

/// The screens of one reply, as one.
#[derive(Debug)]
pub(crate) struct Screens(Vec<Box<dyn Screen>>);

impl Screen for Screens {
    fn edits(&self) -> bool {
        self.0.iter().any(|screen| screen.edits())
    }

    /// Each sees what those before it made of the text.
    fn text(&mut self, text: &str) -> Verdict {
        let mut changed: Option<String> = None;
        for screen in &mut self.0 {
            match screen.text(changed.as_deref().unwrap_or(text)) {
                Verdict::Pass => {}
                Verdict::Replace(other) => changed = Some(other),
                Verdict::Block(why) => return Verdict::Block(why),
            }
        }
        changed.map_or(Verdict::Pass, Verdict::Replace)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}
