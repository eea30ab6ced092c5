//! The generated schemas: checked in, complete, and wholly understood by validation.

use super::build::{REF, each_object, property_names};
use super::files::SchemaFile;
use super::{compile, files};
use crate::registry::Registry;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn all() -> Vec<SchemaFile> {
    files::all(&Registry::standard())
}

fn text(file: &SchemaFile) -> String {
    serde_json::to_string_pretty(&file.json).unwrap() + "\n"
}

#[test]
fn the_checked_in_schemas_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        for file in all() {
            fs::write(folder.join(&file.file_name), text(&file)).unwrap();
        }
    }
    let present: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let wanted: BTreeSet<String> = all().into_iter().map(|file| file.file_name).collect();
    assert_eq!(present, wanted, "run `cargo xtask codegen`");
    for file in all() {
        let found = fs::read_to_string(folder.join(&file.file_name)).unwrap();
        let name = &file.file_name;
        assert!(found == text(&file), "schemas/{name} is out of date: run `cargo xtask codegen`");
    }
}

/// Visits every schema, but not the maps of names in between.
fn each_schema(schema: &Value, visit: &mut dyn FnMut(&Map<String, Value>)) {
    let Some(fields) = schema.as_object() else { return };
    visit(fields);
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                named.values().for_each(|inner| each_schema(inner, visit));
            }
            ("oneOf" | "anyOf", Value::Array(choices)) => {
                choices.iter().for_each(|inner| each_schema(inner, visit));
            }
            ("items" | "additionalProperties" | "propertyNames", _) => each_schema(value, visit),
            _ => {}
        }
    }
}

#[test]
fn validation_knows_every_keyword() {
    for kind in Registry::standard().kinds() {
        each_schema(&Registry::standard().schema(kind).unwrap(), &mut |fields| {
            for (key, value) in fields {
                assert!(compile::KEYWORDS.contains(&key.as_str()), "{kind}: {key}: {value}");
            }
            if let Some(name) = fields.get("x-check") {
                assert!(
                    crate::manifest::shape::Check::named(name.as_str().unwrap()).is_some(),
                    "{kind}: {name}"
                );
            }
        });
    }
}

#[test]
fn every_field_is_described_and_nothing_of_our_own_is_published() {
    for file in all() {
        each_schema(&file.json, &mut |fields| {
            assert!(fields.keys().all(|key| !key.starts_with("x-")), "{}", file.file_name);
            for (name, property) in
                fields.get("properties").and_then(Value::as_object).unwrap_or(&Map::new())
            {
                let described = property.get("description").is_some()
                    || property.get("$ref").is_some()
                    || property.get("const").is_some()
                    || name == "value";
                assert!(described, "{}: {name}: {property}", file.file_name);
            }
        });
    }
}

#[test]
fn references_within_a_schema_lead_somewhere() {
    for file in all() {
        let defs = file.json.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut copy = file.json.clone();
        each_object(&mut copy, &mut |fields| {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                let name = name.strip_prefix(REF).unwrap();
                assert!(defs.contains_key(name), "{}: {name}", file.file_name);
            }
        });
    }
}

#[test]
fn kinds_that_share_a_definition_agree_on_it() {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for kind in Registry::standard().kinds() {
        let schema = Registry::standard().schema(kind).unwrap();
        for (name, def) in schema["$defs"].as_object().unwrap() {
            let first = seen.entry(name.clone()).or_insert_with(|| def.clone());
            assert_eq!(first, def, "{kind}: {name}");
        }
    }
}

#[test]
fn an_account_has_the_fields_of_its_provider_only() {
    let azure = Registry::standard().schema("provider-account/azure-openai").unwrap();
    let names = property_names(azure.as_object().unwrap());
    assert!(names.iter().any(|name| name == "azure_endpoint"));
    assert!(!names.iter().any(|name| name == "base_url"));
    let auth = &azure["$defs"]["azure-openai.AuthData"]["oneOf"];
    assert_eq!(auth.as_array().unwrap().len(), 1);
}
