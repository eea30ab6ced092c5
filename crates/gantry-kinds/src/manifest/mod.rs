//! From the text of manifests to validated [`Manifest`]s, and every problem on the way.
//!
//! The control plane's apply, `gantry gateway --config` and `gantry diff` call [`parse`], then
//! [`Document::check`] on each document, then [`check_set`] on everything that would be stored; the
//! control plane calls [`check_access`] too, a gateway that runs from files [`check_subjects`].
//! All problems are reported, not the first only, with the place of the offending field. Nothing
//! here reads files, and no message shows the value of a secret.

mod access;
pub(crate) mod checks;
mod json;
mod scalar;
mod set;
pub(crate) mod shape;
pub(crate) mod tree;
mod validate;
mod yaml;

pub use access::{Tenancy, check_access, check_subjects};
pub use checks::nearest;
pub use json::to_json;
pub use set::{SetEntry, check_set};
pub use tree::{Position, Step};
pub use yaml::parse;

use crate::kind::Manifest;
use crate::registry::Registry;
use gantry_model::rest::Problem;
use std::borrow::Cow;
use std::fmt;
use tree::{Node, Tree};
use validate::Validator;

/// One manifest as it was written.
///
/// Its debug output says kind and name only, because the rest may hold secrets.
#[derive(Clone)]
pub struct Document {
    file: String,
    root: Node,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("file", &self.file)
            .field("kind", &self.kind())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Document {
    /// The manifest's `type`, if it has one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.root.get("type")?.text()
    }

    /// The manifest's `name`, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.root.get("name")?.text()
    }

    /// The file it came from; empty when it did not come as text.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Reads and validates the manifest as far as that is possible without the others, by the
    /// kinds of this release.
    ///
    /// # Errors
    /// All problems, in the order of the text.
    pub fn check(&self) -> Result<Manifest, Vec<Problem>> {
        self.check_by(&Registry::standard())
    }

    /// As [`Document::check`], by other kinds.
    ///
    /// # Errors
    /// As [`Document::check`].
    pub fn check_by(&self, registry: &Registry) -> Result<Manifest, Vec<Problem>> {
        let kind = self.known_kind(registry).map_err(|problem| vec![problem])?;
        let (Some(row), Some(shape)) = (registry.row(kind), registry.shape(kind)) else {
            return Err(vec![self.problem(&["type".into()], format!("unknown kind `{kind}`"))]);
        };
        let root = self.spelled(kind);
        let mut validator = Validator::new(&self.file);
        validator.check(&root, shape);
        let mut problems = validator.into_problems();
        if problems.is_empty() {
            // Fails only where a shape is laxer than its struct, which tests keep from happening.
            let manifest = json::read(row, &root);
            let manifest = manifest.map_err(|error| vec![self.problem(&[], error.to_string())])?;
            let found = manifest.check().into_iter();
            problems.extend(found.map(|(path, message)| self.problem(&path, message)));
            if problems.is_empty() {
                return Ok(manifest);
            }
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(problems)
    }

    /// A problem with the field at `path`, or with the nearest one around it that exists.
    #[must_use]
    pub fn problem(&self, path: &[Step], message: String) -> Problem {
        let at = self.root.locate(path);
        let (file, field) = (self.file.clone(), tree::print(path));
        Problem { file, line: at.line, column: at.column, field, message }
    }

    /// A problem with the first field that holds this text, or with the whole manifest when none
    /// does.
    #[must_use]
    pub fn problem_at_text(&self, text: &str, message: String) -> Problem {
        self.problem(&self.root.path_to(text).unwrap_or_default(), message)
    }

    /// The tree with the spelling of its kind that is stored.
    fn spelled(&self, kind: &str) -> Cow<'_, Node> {
        if self.kind() == Some(kind) {
            return Cow::Borrowed(&self.root);
        }
        let mut root = self.root.clone();
        if let Tree::Map(members) = &mut root.value {
            for member in members.iter_mut().filter(|member| member.key == "type") {
                member.node.value = Tree::Text(kind.to_owned());
            }
        }
        Cow::Owned(root)
    }

    fn known_kind<'r>(&self, registry: &'r Registry) -> Result<&'r str, Problem> {
        if !matches!(self.root.value, Tree::Map(_)) {
            let found = self.root.describe();
            return Err(self.problem(&[], format!("expected a manifest, found {found}")));
        }
        let Some(node) = self.root.get("type") else {
            let known = "such as `provider-account/openai` or `virtual-account`";
            return Err(self.problem(&[], format!("missing field `type`, {known}")));
        };
        let path = ["type".into()];
        let Some(kind) = node.text() else {
            let found = node.describe();
            return Err(self.problem(&path, format!("expected text, found {found}")));
        };
        if let Some(known) = registry.spelling(kind) {
            return Ok(known);
        }
        let message = if registry.later(kind) {
            format!("kind `{kind}` is not supported yet")
        } else {
            match checks::nearest(kind, registry.kinds()) {
                Some(near) => format!("unknown kind `{kind}`; did you mean `{near}`?"),
                None => format!("unknown kind `{kind}`"),
            }
        };
        Err(self.problem(&path, message))
    }
}

#[cfg(test)]
mod tests;
