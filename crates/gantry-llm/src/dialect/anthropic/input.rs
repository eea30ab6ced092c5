//! The arguments of a streamed call on their way into an `input`, which must be an object.
//!
//! The printer of streams feeds it. What begins as an object goes on at once; what is none is held
//! back and wrapped at its end, as in a whole reply.

use crate::dialect::json::Json;
use crate::dialect::progress::Progress;
use crate::neutral::Text;

/// Of the call that is open; the default is one that has no arguments yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    progress: Progress,
    form: Form,
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// Too little has come to tell.
    #[default]
    Unknown,
    Object,
    Other,
}

impl Input {
    /// Takes the next piece of the arguments and gives back what of them may go on.
    pub(super) fn feed<'a>(&mut self, fragment: Text<'a>) -> Option<Text<'a>> {
        self.progress.feed(&fragment);
        match self.form {
            Form::Object => return Some(fragment),
            Form::Other => fragment.push_to(&mut self.held),
            Form::Unknown => {
                let alone = self.held.is_empty();
                fragment.push_to(&mut self.held);
                self.form = form(&self.held);
                if self.form == Form::Object {
                    let held = std::mem::take(&mut self.held);
                    return Some(if alone { fragment } else { held.into() });
                }
            }
        }
        None
    }

    /// Whether the arguments are whole, so that the next block may begin.
    pub(super) fn is_whole(&self) -> bool {
        self.progress.is_whole()
    }

    /// All that there is, where it was no object and says something: wrapped in one.
    pub(super) fn end(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        if held.trim().is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(held.len() + 32);
        let mut json = Json::new(&mut out);
        json.open(b'{');
        json.member_str("arguments", &held);
        json.close(b'}');
        String::from_utf8(out).ok()
    }
}

/// What a text begins as. An object's first key tells it from what other languages write so.
fn form(text: &str) -> Form {
    let Some(first) = text.trim_start().chars().next() else { return Form::Unknown };
    if first != '{' {
        return Form::Other;
    }
    match text.trim_start().get(1..).and_then(|rest| rest.trim_start().chars().next()) {
        None => Form::Unknown,
        Some('"' | '}') => Form::Object,
        Some(_) => Form::Other,
    }
}
