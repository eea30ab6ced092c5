//! Between trees, JSON values and manifests.

use super::Document;
use super::tree::{Member, Node, Position, Tree};
use crate::kind::{Manifest, Row};
use serde_json::Value;

impl Document {
    /// A document without a text, as the official CLI sends it. Its problems have no positions.
    #[must_use]
    pub fn from_json(value: Value) -> Self {
        Self { file: String::new(), root: from_value(value) }
    }

    /// The document as it is written, valid or not.
    #[must_use]
    pub fn to_json(&self) -> Value {
        plain(&self.root)
    }
}

/// The manifest as its author spells it: what `get` prints and `apply` takes back.
#[must_use]
pub fn to_json(manifest: &Manifest) -> Value {
    manifest.to_json()
}

/// Reads a tree as a manifest of a kind.
pub(super) fn read(row: &Row, root: &Node) -> Result<Manifest, serde_json::Error> {
    match without_nulls(root) {
        Value::Object(fields) => row.read(fields),
        other => row.restore(other),
    }
}

/// A tree of JSON text; `None` when it is not JSON.
pub(super) fn from_text(text: &str) -> Option<Node> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().map(from_value)
}

fn from_value(value: Value) -> Node {
    let value = match value {
        Value::Null => Tree::Null,
        Value::Bool(value) => Tree::Bool(value),
        Value::Number(number) => Tree::Number(number),
        Value::String(text) => Tree::Text(text),
        Value::Array(items) => Tree::List(items.into_iter().map(from_value).collect()),
        Value::Object(fields) => {
            let member =
                |(key, value)| Member { key, at: Position::default(), node: from_value(value) };
            Tree::Map(fields.into_iter().map(member).collect())
        }
    };
    Node { value, at: Position::default() }
}

/// The tree as it is.
pub(super) fn plain(node: &Node) -> Value {
    match &node.value {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Number(number) => Value::Number(number.clone()),
        Tree::Text(text) => Value::String(text.clone()),
        Tree::List(items) => Value::Array(items.iter().map(plain).collect()),
        Tree::Map(members) => Value::Object(
            members.iter().map(|member| (member.key.clone(), plain(&member.node))).collect(),
        ),
    }
}

/// The tree without fields that are there and empty, which mean the same as absent ones; only in
/// `override_params`, which belong to the upstream, `null` may mean something.
fn without_nulls(node: &Node) -> Value {
    match &node.value {
        Tree::List(items) => Value::Array(items.iter().map(without_nulls).collect()),
        Tree::Map(members) => {
            let given = members.iter().filter(|m| !matches!(m.node.value, Tree::Null));
            let field = |member: &Member| {
                let whole = member.key == "override_params";
                let value = if whole { plain(&member.node) } else { without_nulls(&member.node) };
                (member.key.clone(), value)
            };
            Value::Object(given.map(field).collect())
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => plain(node),
    }
}
