//! Compiles a kind's JSON Schema into the shape that validation uses.
//!
//! It knows the keywords that schemars writes for our structs and no others; a test refuses
//! schemas with keywords that it would overlook.

use super::build::REF;
use crate::manifest::shape::{Check, Shape, Sorts, Variants};
use serde_json::{Map, Value};

/// The keywords that [`shape`] understands, or that say nothing about what is allowed.
#[cfg(test)]
pub(super) const KEYWORDS: [&str; 30] = [
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "format",
    "pattern",
    "writeOnly",
    "type",
    "const",
    "enum",
    "oneOf",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "items",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "x-check",
    "x-later",
    "x-instead",
    "x-elsewhere",
    "x-title",
];

/// Our structs are not nested deeper, and refer to themselves nowhere.
const DEPTH_MAX: usize = 32;

type Fields = Map<String, Value>;

/// The shape of a whole schema.
pub(crate) fn shape(root: &Value) -> Shape {
    let empty = Fields::new();
    let defs = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    Compiler { defs }.shape(root, 0)
}

/// The regular expression for a schema's `x-check`.
pub(super) fn pattern(fields: &Fields) -> Option<&'static str> {
    Check::named(fields.get("x-check")?.as_str()?)?.pattern()
}

struct Compiler<'a> {
    defs: &'a Fields,
}

impl Compiler<'_> {
    fn shape(&self, schema: &Value, depth: usize) -> Shape {
        let mut shape = Shape::default();
        if depth < DEPTH_MAX
            && let Some(fields) = schema.as_object()
        {
            self.merge(&mut shape, fields, depth + 1);
        }
        shape
    }

    /// Adds what a schema says to a shape.
    fn merge(&self, shape: &mut Shape, fields: &Fields, depth: usize) {
        if depth >= DEPTH_MAX {
            return;
        }
        let name = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REF));
        if let Some(def) = name.and_then(|name| self.defs.get(name)).and_then(Value::as_object) {
            self.merge(shape, def, depth + 1);
        }
        // `Option<Struct>` is `anyOf: [Struct, null]`.
        for choice in fields.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            if let Some(choice) = choice.as_object() {
                self.merge(shape, choice, depth + 1);
            }
        }
        add_scalars(shape, fields);
        self.add_one_of(shape, fields, depth);
        let properties = fields.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            shape.fields.insert(name.clone(), self.shape(property, depth));
        }
        let inner = |key: &str| {
            fields.get(key).filter(|v| v.is_object()).map(|v| Box::new(self.shape(v, depth)))
        };
        shape.values = inner("additionalProperties").or(shape.values.take());
        shape.keys = inner("propertyNames").or(shape.keys.take());
        shape.items = inner("items").or(shape.items.take());
        shape.closed |= fields.get("additionalProperties") == Some(&Value::Bool(false));
    }

    /// Texts of an enum, or variants of which one field's text tells which it is.
    fn add_one_of(&self, shape: &mut Shape, fields: &Fields, depth: usize) {
        let Some(choices) = fields.get("oneOf").and_then(Value::as_array) else { return };
        let texts: Vec<String> = choices.iter().flat_map(texts).collect();
        if !texts.is_empty() {
            shape.sorts.text = true;
            shape.choices = texts;
            return;
        }
        shape.sorts.map = true;
        let tag = choices.iter().filter_map(tag).next();
        let Some(tag) = tag else { return };
        let shapes = choices.iter().filter_map(|choice| {
            let name = choice.get("properties")?.get(&tag)?.get("const")?.as_str()?;
            Some((name.to_owned(), self.shape(choice, depth)))
        });
        shape.variants = Some(Variants { shapes: shapes.collect(), tag });
    }
}

/// The field whose text is fixed.
fn tag(choice: &Value) -> Option<String> {
    let properties = choice.get("properties")?.as_object()?;
    properties.iter().find(|(_, p)| p.get("const").is_some()).map(|(name, _)| name.clone())
}

fn texts(schema: &Value) -> Vec<String> {
    let one = schema.get("const").into_iter();
    let many = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    one.chain(many).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What is said about the value itself, not about values inside it.
fn add_scalars(shape: &mut Shape, fields: &Fields) {
    let names = |key: &str| -> Vec<String> {
        let list = fields.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    for sort in text("type").map(str::to_owned).into_iter().chain(names("type")) {
        add_sort(&mut shape.sorts, &sort);
    }
    let choices = texts(&Value::Object(
        fields.iter().filter(|(k, _)| *k == "const" || *k == "enum").map(clone).collect(),
    ));
    if !choices.is_empty() {
        shape.sorts.text = true;
        shape.choices = choices;
    }
    let whole = |key: &str| fields.get(key).and_then(Value::as_u64);
    let number = |key: &str| fields.get(key).and_then(Value::as_f64);
    shape.length.0 = whole("minLength").or(whole("minItems")).or(shape.length.0);
    shape.length.1 = whole("maxLength").or(whole("maxItems")).or(shape.length.1);
    shape.range.0 = number("minimum").or(shape.range.0);
    shape.range.1 = number("maximum").or(shape.range.1);
    shape.required.extend(names("required"));
    shape.later.extend(names("x-later"));
    shape.elsewhere.extend(names("x-elsewhere"));
    if let Some(instead) = text("x-instead") {
        shape.instead = instead.to_owned();
    }
    if let Some(title) = text("x-title") {
        shape.title = title.to_owned();
    }
    shape.check = text("x-check").and_then(Check::named).or(shape.check);
    shape.secret |= fields.get("writeOnly") == Some(&Value::Bool(true));
}

fn clone((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn add_sort(sorts: &mut Sorts, name: &str) {
    match name {
        "null" => sorts.null = true,
        "boolean" => sorts.boolean = true,
        "integer" => sorts.whole = true,
        "number" => sorts.number = true,
        "string" => sorts.text = true,
        "array" => sorts.list = true,
        "object" => sorts.map = true,
        _ => {}
    }
}
