//! The schemas as files, for editors: `cargo xtask codegen` writes them.

use super::build::{DRAFT, REF, each_object};
use super::compile;
use crate::registry::Registry;
use serde_json::{Map, Value, json};

/// One generated file of the folder `schemas/`.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaFile {
    /// Without a folder: `provider-account.openai.schema.json`.
    pub file_name: String,
    pub json: Value,
}

/// A schema for each kind, and `gantry.schema.json` for all together.
#[must_use]
pub fn all(registry: &Registry) -> Vec<SchemaFile> {
    let kinds: Vec<&str> = registry.kinds().collect();
    let mut files = Vec::new();
    let mut shared = Map::new();
    let mut choices = Vec::new();
    for kind in &kinds {
        let Some(mut json) = registry.schema(kind) else { continue };
        publish(&mut json);
        if let (Some(example), Some(root)) = (example(registry, kind), json.as_object_mut()) {
            root.insert("examples".to_owned(), json!([example]));
        }
        files.push(SchemaFile {
            file_name: format!("{}.schema.json", kind.replace('/', ".")),
            json: json.clone(),
        });
        let Some(mut root) = take_object(&mut json) else { continue };
        root.remove("$schema");
        if let Some(Value::Object(defs)) = root.remove("$defs") {
            shared.extend(defs);
        }
        let name = kind.replace('/', ".");
        choices.push(json!({
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"$ref": format!("{REF}{name}")},
        }));
        shared.insert(name, Value::Object(root));
    }
    shared.sort_keys();
    let whole = json!({
        "$schema": DRAFT,
        "title": "A manifest of Gantry",
        "type": "object",
        "properties": {"type": {"description": "The kind.", "enum": kinds}},
        "required": ["type"],
        "allOf": choices,
        "$defs": shared,
    });
    files.push(SchemaFile { file_name: "gantry.schema.json".to_owned(), json: whole });
    files
}

fn example(registry: &Registry, kind: &str) -> Option<Value> {
    let text = registry.example(kind)?;
    Some(crate::manifest::parse("", &text).ok()?.first()?.to_json())
}

/// Takes Gantry's own keywords out, leaving a pattern where a rule can be said as one.
fn publish(root: &mut Value) {
    each_object(root, &mut |fields| {
        if let Some(pattern) = compile::pattern(fields) {
            fields.entry("pattern").or_insert_with(|| pattern.into());
        }
        fields.retain(|name, _| !name.starts_with("x-"));
    });
}

fn take_object(value: &mut Value) -> Option<Map<String, Value>> {
    value.as_object_mut().map(std::mem::take)
}
