//! Schemas of tools as vendors demand them of every tool, strict or not.
//!
//! `tool_names` calls it. A root that is no object, or that holds alternatives, is wrapped into an
//! object with one property; names of properties that are not taken are changed; members that are
//! null, which say nothing, are left out. Arguments go through the same changes, and back.

use super::fitted::fitted;
use super::{Raw, Str};
use crate::dialect::reader::{Read, Reader};
use gantry_model::facts::Limits;
use std::collections::BTreeMap;

/// The property that a wrapped schema stands in.
const WRAPPER: &str = "input";

/// Keywords that may not stand at the root.
const ROOT: [&[u8]; 6] = [b"anyOf", b"oneOf", b"allOf", b"enum", b"not", b"const"];

/// Keywords with one schema or a list of schemas.
const SCHEMAS: [&str; 13] = [
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "additionalProperties",
    "contains",
    "propertyNames",
    "additionalItems",
];

/// Keywords with schemas by name.
const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Keywords whose value may be null and mean it.
const VALUES: [&str; 4] = ["const", "default", "example", "enum"];

/// A schema in the form that the upstream takes.
#[derive(Debug, Default)]
pub(super) struct Fitted {
    pub(super) json: String,
    pub(super) wrapped: bool,
    /// Whole names of properties by those that are sent.
    pub(super) renamed: BTreeMap<String, String>,
}

/// The schema to send in place of `schema`; `None`: as it is.
pub(super) fn fit(schema: &str, limits: &Limits) -> Option<Fitted> {
    let wrapped = limits.object_roots && !is_object(schema);
    let mut needs = wrapped;
    look(&mut Reader::new(schema), limits, &mut needs).ok()?;
    if !needs {
        return None;
    }
    let mut fitted = Fitted { wrapped, ..Fitted::default() };
    let mut json = String::with_capacity(schema.len() + 64);
    let plain = if schema.starts_with(['{', '[']) { schema } else { "{}" };
    rewrite(Raw::new(plain), limits, &mut fitted, &mut json)?;
    fitted.json = if wrapped { wrap(&json)? } else { json };
    Some(fitted)
}

/// Whether the root is an object without alternatives.
fn is_object(schema: &str) -> bool {
    let (mut object, mut plain) = (true, true);
    let read = Reader::new(schema).object(|reader, key| {
        plain &= !ROOT.contains(&key);
        let value = reader.raw()?;
        if key == b"type" {
            object = matches!(value.get(), r#""object""# | "null");
        }
        Ok(())
    });
    read.is_ok() && object && plain
}

/// Looks whether anything below has to be changed, without building anything.
fn look(reader: &mut Reader<'_>, limits: &Limits, needs: &mut bool) -> Read<()> {
    match reader.peek() {
        Some(b'[') => reader.list(|reader| look(reader, limits, needs)),
        Some(b'{') => reader.object(|reader, key| {
            let name = std::str::from_utf8(key).unwrap_or_default();
            if !VALUES.contains(&name) && reader.null()? {
                *needs = true;
                return Ok(());
            }
            if NAMED.contains(&name) && reader.peek() == Some(b'{') {
                return reader.object(|reader, key| {
                    if name == "properties" {
                        *needs |= is_long(key, limits);
                    }
                    look(reader, limits, needs)
                });
            }
            if SCHEMAS.contains(&name) { look(reader, limits, needs) } else { reader.skip() }
        }),
        _ => reader.skip(),
    }
}

fn is_long(key: &[u8], limits: &Limits) -> bool {
    let Some(limit) = &limits.property_name else { return false };
    !std::str::from_utf8(key).is_ok_and(|name| limit.takes(name))
}

type Members<'a> = Vec<(String, Raw<'a>)>;

/// The members of an object, in order.
fn members<'a>(raw: Raw<'a>) -> Option<Members<'a>> {
    let (mut reader, mut found) = (Reader::new(raw.get()), Vec::new());
    reader
        .object(|reader, key| {
            found.push((String::from_utf8_lossy(key).into_owned(), reader.raw()?));
            Ok(())
        })
        .ok()?;
    reader.end().ok().map(|()| found)
}

/// The elements of a list.
fn list<'a>(raw: Raw<'a>) -> Option<Vec<Raw<'a>>> {
    let (mut reader, mut found) = (Reader::new(raw.get()), Vec::new());
    reader
        .list(|reader| {
            found.push(reader.raw()?);
            Ok(())
        })
        .ok()?;
    reader.end().ok().map(|()| found)
}

/// The elements of a list of strings.
fn strings<'a>(raw: Raw<'a>) -> Option<Vec<Str<'a>>> {
    let mut found = Vec::new();
    let mut reader = Reader::new(raw.get());
    let read = reader.list(|reader| {
        found.push(reader.string()?.into_str());
        Ok(())
    });
    read.ok().map(|()| found)
}

/// Prints a schema, or a list of schemas.
fn rewrite(raw: Raw<'_>, limits: &Limits, to: &mut Fitted, out: &mut String) -> Option<()> {
    if raw.get().starts_with('[') {
        let list = list(raw)?;
        return elements(out, &list, |each, out| rewrite(*each, limits, to, out));
    }
    if !raw.get().starts_with('{') {
        out.push_str(raw.get());
        return Some(());
    }
    let mut members = members(raw)?;
    members.retain(|(key, value)| VALUES.contains(&key.as_str()) || value.get() != "null");
    object(out, &members, |key, value, out| match key {
        "required" => required(value, limits, out),
        key if NAMED.contains(&key) && value.get().starts_with('{') => {
            named(key == "properties", value, (limits, to), out)
        }
        key if SCHEMAS.contains(&key) => rewrite(value, limits, to, out),
        _ => {
            out.push_str(value.get());
            Some(())
        }
    })
}

fn named(
    properties: bool,
    raw: Raw<'_>,
    (limits, to): (&Limits, &mut Fitted),
    out: &mut String,
) -> Option<()> {
    let mut members = members(raw)?;
    for (key, _) in members.iter_mut().filter(|_| properties) {
        if let Some(short) = limits.property_name.as_ref().and_then(|limit| fitted(key, limit)) {
            to.renamed.insert(short.clone(), std::mem::replace(key, short));
        }
    }
    object(out, &members, |_, value, out| rewrite(value, limits, to, out))
}

fn required(raw: Raw<'_>, limits: &Limits, out: &mut String) -> Option<()> {
    let Some(names) = strings(raw) else {
        out.push_str(raw.get());
        return Some(());
    };
    elements(out, &names, |name, out| {
        let short = limits.property_name.as_ref().and_then(|limit| fitted(name, limit));
        out.push_str(&quoted(short.as_deref().unwrap_or(name)));
        Some(())
    })
}

/// The schema as the one property of an object; definitions stay at the root, where they are
/// pointed to.
fn wrap(json: &str) -> Option<String> {
    let members = members(Raw::new(json))?;
    let (roots, inner): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(key, _)| key == "$defs" || key == "definitions");
    let mut inside = String::with_capacity(json.len());
    object(&mut inside, &inner, |_, value, out| {
        out.push_str(value.get());
        Some(())
    })?;
    // What points into the root points into the property.
    let inside = inside
        .replace(r##""$ref":"#""##, &format!(r##""$ref":"#/properties/{WRAPPER}""##))
        .replace(r##""$ref":"#/properties/"##, &format!(r##""$ref":"#/properties/{WRAPPER}/"##));
    let mut out = format!(
        r#"{{"type":"object","properties":{{"{WRAPPER}":{inside}}},"required":["{WRAPPER}"]"#
    );
    for (key, value) in roots {
        out.push(',');
        out.push_str(&quoted(&key));
        out.push(':');
        out.push_str(value.get());
    }
    out.push('}');
    Some(out)
}

/// Arguments as the upstream's schema has them.
pub(super) fn there(json: &str, wrapped: bool, short: impl Fn(&str) -> Option<String>) -> String {
    let json = keys(json, &short).unwrap_or_else(|| json.to_owned());
    if wrapped { format!(r#"{{"{WRAPPER}":{json}}}"#) } else { json }
}

/// Arguments as the caller's schema has them; what does not parse stays as it is.
pub(super) fn back(json: &str, wrapped: bool, whole: impl Fn(&str) -> Option<String>) -> String {
    let mut inner = json;
    if wrapped && let Some(members) = members(Raw::new(json)) {
        let found = members.iter().find(|(key, _)| key == WRAPPER);
        inner = found.map_or(json, |(_, value)| value.get());
    }
    keys(inner, &whole).unwrap_or_else(|| inner.to_owned())
}

/// A value with the keys of all its objects renamed; `None` when it is no JSON.
fn keys(json: &str, rename: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::with_capacity(json.len() + 32);
    value(Raw::new(json.trim()), rename, &mut out)?;
    Some(out)
}

fn value(raw: Raw<'_>, rename: &dyn Fn(&str) -> Option<String>, out: &mut String) -> Option<()> {
    if raw.get().starts_with('[') {
        let list = list(raw)?;
        return elements(out, &list, |each, out| value(*each, rename, out));
    }
    if !raw.get().starts_with('{') {
        out.push_str(raw.get());
        return Some(());
    }
    let mut members = members(raw)?;
    for (key, _) in &mut members {
        if let Some(name) = rename(key) {
            *key = name;
        }
    }
    object(out, &members, |_, inner, out| value(inner, rename, out))
}

fn object<'a>(
    out: &mut String,
    members: &[(String, Raw<'a>)],
    mut print: impl FnMut(&str, Raw<'a>, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&quoted(key));
        out.push(':');
        print(key, *value, out)?;
    }
    out.push('}');
    Some(())
}

fn elements<T>(
    out: &mut String,
    list: &[T],
    mut print: impl FnMut(&T, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('[');
    for (index, each) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print(each, out)?;
    }
    out.push(']');
    Some(())
}

fn quoted(text: &str) -> String {
    // A string always prints.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
