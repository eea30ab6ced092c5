//! JSON Schemas of all kinds (draft 2020-12), for editors and for validation.
//!
//! The structs in [`crate::kinds`] give them; the rows of the catalogue narrow them to what one
//! provider takes. `cargo xtask codegen` writes [`files`] to `schemas/`. Validation uses the same
//! schemas, compiled into shapes, so that an editor and `apply` never disagree.

mod compile;
pub mod files;

use crate::catalogue::{self, GEMINI, KIND_PREFIX, Provider};
use crate::kinds::provider_account::{ModelIntegration, ProviderAccount};
use crate::kinds::{GlobalSettings, VirtualAccount, VirtualModelAccount};
use crate::kinds::{global_settings, virtual_account, virtual_model};
use crate::manifest::shape::Shape;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const REF: &str = "#/$defs/";

/// The shape of a kind's manifests.
pub(crate) fn shape(kind: &str) -> Option<&'static Shape> {
    static SHAPES: OnceLock<BTreeMap<String, Shape>> = OnceLock::new();
    let shapes = SHAPES.get_or_init(|| {
        let kinds = crate::kinds::all().into_iter();
        let shapes = kinds.filter_map(|kind| {
            let schema = kind_schema(&kind)?;
            Some((kind, compile::shape(&schema)))
        });
        shapes.collect()
    });
    shapes.get(kind)
}

/// Whether the published SDK knows a kind that Gantry does not implement yet.
pub(crate) fn later_kind(kind: &str) -> bool {
    include_str!("../data/kinds-later.txt").lines().filter(|line| !line.starts_with('#')).any(
        |line| match line.strip_suffix('*') {
            Some(family) => kind.starts_with(family),
            None => line == kind,
        },
    )
}

/// The schema of one kind with Gantry's own keywords, which begin with `x-`.
fn kind_schema(kind: &str) -> Option<Value> {
    let mut root = match kind {
        virtual_model::KIND => {
            let mut root = generate::<VirtualModelAccount>(kind);
            narrow_targets(&mut root);
            set_const(def(&mut root, "VirtualModel")?, virtual_model::MODEL_KIND);
            root
        }
        virtual_account::KIND => generate::<VirtualAccount>(kind),
        global_settings::KIND => generate::<GlobalSettings>(kind),
        _ => {
            let row = catalogue::provider(kind.strip_prefix(KIND_PREFIX)?)?;
            let mut root = generate::<ProviderAccount>(kind);
            narrow_account(&mut root, row);
            root
        }
    };
    set_const(root.as_object_mut()?, kind);
    prune(&mut root);
    Some(root)
}

fn generate<T: JsonSchema>(kind: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = generator.into_root_schema_for::<T>().to_value();
    close(&mut root);
    if let Some(fields) = root.as_object_mut() {
        fields.insert("title".to_owned(), kind.into());
    }
    root
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

fn narrow_account(root: &mut Value, row: &Provider) {
    let title = format!("`{}`", row.kind());
    if let Some(fields) = root.as_object_mut() {
        fields.insert("description".to_owned(), format!("An account at {}.", row.title).into());
        narrow(fields, &[&ProviderAccount::COMMON, &texts(&row.account_fields)], &title);
        require(fields, &row.account_required);
        fields.insert("x-later".to_owned(), json!(row.fields_later));
    }
    if let Some(fields) = def(root, "ModelIntegration") {
        narrow(fields, &[&ModelIntegration::COMMON, &texts(&row.model_fields)], &title);
        require(fields, &row.model_required);
        fields.insert("x-later".to_owned(), json!(row.fields_later));
        set_const(fields, &row.model_kind);
    }
    if let Some(fields) = def(root, "AuthData") {
        narrow_auth(fields, row);
    }
    rename_def(root, "ModelIntegration", &format!("{}.Model", row.name));
    rename_def(root, "AuthData", &format!("{}.AuthData", row.name));
}

fn narrow_auth(fields: &mut Map<String, Value>, row: &Provider) {
    if row.auth_types.iter().any(|name| name == "custom-host") {
        let url = json!({
            "description": "Address of the server, with or without `/v1`.",
            "type": "string",
            "x-check": "url",
        });
        fields.remove("oneOf");
        fields.insert("type".to_owned(), "object".into());
        fields.insert("properties".to_owned(), json!({"custom_host": url}));
        fields.insert("required".to_owned(), json!(["custom_host"]));
        fields.insert("additionalProperties".to_owned(), false.into());
        return;
    }
    fields.insert("x-later".to_owned(), json!(row.auth_types_later));
    let Some(variants) = fields.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    variants.retain(|variant| {
        let name = variant.pointer("/properties/type/const").and_then(Value::as_str);
        name.is_some_and(|name| row.auth_types.iter().any(|known| known == name))
    });
    if row.name != GEMINI {
        return;
    }
    for variant in variants {
        let Some(fields) = variant.as_object_mut() else { continue };
        if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut)
            && let Some(key) = properties.remove("api_key")
        {
            properties.insert("apiKey".to_owned(), key);
        }
        fields.insert("required".to_owned(), json!(["type", "apiKey"]));
    }
}

/// Gives each way of routing targets with its own fields.
fn narrow_targets(root: &mut Value) {
    let Some(whole) = def(root, "Target").cloned() else { return };
    let special: BTreeSet<&str> = virtual_model::TARGET_FIELDS
        .iter()
        .flat_map(|(_, fields)| fields.iter().copied())
        .collect();
    for (way, fields) in virtual_model::TARGET_FIELDS {
        let mut target = whole.clone();
        let known = property_names(&target);
        let keep: Vec<&str> = known
            .iter()
            .map(String::as_str)
            .filter(|name| !special.contains(name) || fields.contains(name))
            .collect();
        narrow(&mut target, &[&keep], &format!("a target of {way}"));
        if fields.contains(&"weight") {
            require(&mut target, &["weight".to_owned()]);
        }
        let name = format!("Target.{way}");
        let variants = def(root, "RoutingConfig").and_then(|routing| routing.get_mut("oneOf"));
        for variant in variants.and_then(Value::as_array_mut).into_iter().flatten() {
            if variant.pointer("/properties/type/const") == Some(&way.into())
                && let Some(items) = variant.pointer_mut("/properties/load_balance_targets/items")
            {
                *items = json!({"$ref": format!("{REF}{name}")});
            }
        }
        if let Some(defs) = root.get_mut("$defs").and_then(Value::as_object_mut) {
            defs.insert(name, Value::Object(target));
        }
    }
}

/// Keeps the named properties and remembers the others for a better message.
fn narrow(fields: &mut Map<String, Value>, keep: &[&[&str]], title: &str) {
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

fn require(fields: &mut Map<String, Value>, names: &[String]) {
    let required = fields.entry("required").or_insert_with(|| json!([]));
    if let Some(list) = required.as_array_mut() {
        list.extend(names.iter().map(|name| Value::String(name.clone())));
    }
}

fn set_const(fields: &mut Map<String, Value>, kind: &str) {
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        let text = json!({"description": "The kind.", "type": "string", "const": kind});
        properties.insert("type".to_owned(), text);
    }
}

fn property_names(fields: &Map<String, Value>) -> Vec<String> {
    let properties = fields.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys).cloned().collect()
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn def<'a>(root: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    root.get_mut("$defs")?.get_mut(name)?.as_object_mut()
}

fn rename_def(root: &mut Value, from: &str, to: &str) {
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
fn each_object(schema: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
