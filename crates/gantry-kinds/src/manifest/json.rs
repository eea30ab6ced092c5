//! Between trees, JSON values and typed manifests.
//!
//! Two providers spell their credential unlike all others: Ollama's `auth_data` holds an address,
//! Gemini's `apiKey`. The structs know neither; here is where they are put right, both ways.

use super::Document;
use super::tree::{Member, Node, Position, Tree};
use crate::catalogue::{GEMINI, KIND_PREFIX};
use crate::kinds::{Manifest, global_settings, virtual_account, virtual_model};
use serde_json::{Map, Value};

const OLLAMA: &str = "ollama";

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
    let value = match manifest {
        Manifest::ProviderAccount(account) => serde_json::to_value(account),
        Manifest::VirtualModel(group) => serde_json::to_value(group),
        Manifest::VirtualAccount(account) => serde_json::to_value(account),
        Manifest::GlobalSettings(settings) => serde_json::to_value(settings),
    };
    // The structs have text keys only, which is all that could fail.
    let mut value = value.unwrap_or_default();
    let Some(fields) = value.as_object_mut() else { return value };
    match provider(fields) {
        Some(OLLAMA) => {
            if let Some(url) = fields.remove("base_url") {
                let host = Map::from_iter([("custom_host".to_owned(), url)]);
                fields.insert("auth_data".to_owned(), Value::Object(host));
            }
        }
        Some(GEMINI) => rename(fields.get_mut("auth_data"), "api_key", "apiKey"),
        _ => {}
    }
    value
}

/// Reads a tree as a manifest of a known kind.
pub(super) fn read(kind: &str, root: &Node) -> Result<Manifest, serde_json::Error> {
    let mut value = without_nulls(root);
    if let Some(fields) = value.as_object_mut() {
        match provider(fields) {
            Some(OLLAMA) => {
                let host =
                    fields.remove("auth_data").and_then(|auth| auth.get("custom_host").cloned());
                if let Some(host) = host {
                    fields.insert("base_url".to_owned(), host);
                }
            }
            Some(GEMINI) => rename(fields.get_mut("auth_data"), "apiKey", "api_key"),
            _ => {}
        }
    }
    Ok(match kind {
        virtual_model::KIND => Manifest::VirtualModel(serde_json::from_value(value)?),
        virtual_account::KIND => Manifest::VirtualAccount(serde_json::from_value(value)?),
        global_settings::KIND => Manifest::GlobalSettings(serde_json::from_value(value)?),
        _ => Manifest::ProviderAccount(serde_json::from_value(value)?),
    })
}

/// A tree of JSON text; `None` when it is not JSON.
pub(super) fn from_text(text: &str) -> Option<Node> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().map(from_value)
}

fn provider(fields: &Map<String, Value>) -> Option<&'static str> {
    let name = fields.get("type")?.as_str()?.strip_prefix(KIND_PREFIX)?;
    [OLLAMA, GEMINI].into_iter().find(|known| *known == name)
}

fn rename(fields: Option<&mut Value>, from: &str, to: &str) {
    if let Some(fields) = fields.and_then(Value::as_object_mut)
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
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
