//! Pieces of which the schemas of kinds are made.
//!
//! The struct of a kind gives its schema; kinds with several spellings narrow it to what one of
//! them takes.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(crate) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
pub(crate) const REF: &str = "#/$defs/";

/// The schema of a struct, which refuses unknown fields.
pub(crate) fn generate<T: JsonSchema>(kind: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = generator.into_root_schema_for::<T>().to_value();
    close(&mut root);
    if let Some(fields) = root.as_object_mut() {
        fields.insert("title".to_owned(), kind.into());
    }
    root
}

/// Fixes the text of `type` and drops definitions that nothing refers to.
pub(crate) fn finish(root: &mut Value, kind: &str) {
    if let Some(fields) = root.as_object_mut() {
        set_const(fields, kind);
    }
    prune(root);
}

/// Refuses unknown fields wherever fields are known.
fn close(schema: &mut Value) {
    each_object(schema, &mut |fields| {
        // A map of properties may itself have one of that name, which is then no list of them.
        if fields.get("properties").is_some_and(Value::is_object)
            && fields.get("type") == Some(&json!("object"))
            && !fields.contains_key("additionalProperties")
        {
            fields.insert("additionalProperties".to_owned(), false.into());
        }
    });
}

/// Keeps the named properties and remembers the others for a better message.
pub(crate) fn narrow(fields: &mut Map<String, Value>, keep: &[&[&str]], title: &str) {
    let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let (kept, gone): (Map<_, _>, Map<_, _>) = std::mem::take(properties)
        .into_iter()
        .partition(|(name, _)| keep.iter().any(|names| names.contains(&name.as_str())));
    *properties = kept;
    let gone: Vec<String> = gone.into_iter().map(|(name, _)| name).collect();
    fields.insert("x-elsewhere".to_owned(), json!(gone));
    fields.insert("x-title".to_owned(), title.into());
}

pub(crate) fn require(fields: &mut Map<String, Value>, names: &[String]) {
    let required = fields.entry("required").or_insert_with(|| json!([]));
    if let Some(list) = required.as_array_mut() {
        list.extend(names.iter().map(|name| Value::String(name.clone())));
    }
}

pub(crate) fn set_const(fields: &mut Map<String, Value>, kind: &str) {
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        let text = json!({"description": "The kind.", "type": "string", "const": kind});
        properties.insert("type".to_owned(), text);
    }
}

pub(crate) fn property_names(fields: &Map<String, Value>) -> Vec<String> {
    let properties = fields.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys).cloned().collect()
}

pub(crate) fn def<'a>(root: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    root.get_mut("$defs")?.get_mut(name)?.as_object_mut()
}

pub(crate) fn rename_def(root: &mut Value, from: &str, to: &str) {
    if let Some(Value::Object(defs)) = root.get_mut("$defs")
        && let Some(def) = defs.remove(from)
    {
        defs.insert(to.to_owned(), def);
    }
    each_object(root, &mut |fields| {
        if fields.get("$ref") == Some(&format!("{REF}{from}").into()) {
            fields.insert("$ref".to_owned(), format!("{REF}{to}").into());
        }
    });
}

/// Drops definitions that nothing refers to.
fn prune(root: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        each_object(root, &mut |fields| {
            let name = fields.get("$ref").and_then(Value::as_str);
            used.extend(name.and_then(|name| name.strip_prefix(REF)).map(str::to_owned));
        });
        let Some(Value::Object(defs)) = root.get_mut("$defs") else { return };
        let before = defs.len();
        defs.retain(|name, _| used.contains(name));
        if defs.len() == before {
            defs.sort_keys();
            break;
        }
    }
    if root["$defs"].as_object().is_some_and(Map::is_empty)
        && let Some(fields) = root.as_object_mut()
    {
        fields.remove("$defs");
    }
}

/// Calls `change` on every object in a schema, the outer ones first.
pub(crate) fn each_object(schema: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
