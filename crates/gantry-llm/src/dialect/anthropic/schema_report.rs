//! What rewriting a schema changed, in words for the report of losses.
//!
//! The rewriting of schemas fills it, the request printer reports it.

/// Most names of keywords that are listed.
const NAMES_MAX: usize = 8;

/// What is not as the caller wrote it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Objects were closed that were open by default.
    pub(super) closed: bool,
    /// `oneOf` became `anyOf`.
    pub(super) one_of: bool,
    /// Members beside a `$ref` were left out.
    pub(super) beside_reference: bool,
    /// Names of keywords that stand in a description now.
    moved: Vec<String>,
}

impl Changes {
    /// Notes a keyword that was moved.
    pub(super) fn moved(&mut self, name: &str) {
        if self.moved.len() < NAMES_MAX && !self.moved.iter().any(|known| known == name) {
            self.moved.push(name.to_owned());
        }
    }

    /// All changes; none: the schema means what it meant.
    pub(super) fn note(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.moved.is_empty() {
            let names: Vec<String> = self.moved.iter().map(|name| format!("`{name}`")).collect();
            parts.push(format!("only the description says {}", names.join(", ")));
        }
        for (changed, note) in [
            (self.closed, "objects take no other properties"),
            (self.one_of, "`oneOf` is sent as `anyOf`"),
            (self.beside_reference, "what stands beside a `$ref` is left out"),
        ] {
            if changed {
                parts.push(note.to_owned());
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
