//! What OpenAI demands of JSON Schemas beyond JSON Schema itself.
//!
//! The printer of requests uses it. It never changes what a schema means: a schema that strict
//! mode would refuse is sent without strict mode.

use crate::dialect::json::Json;
use crate::dialect::reader::{Read, Reader};
use crate::dialect::wire::{self, Skipped, wire};
use crate::neutral::{Raw, Str};

wire! {
    struct Head {
        may kind as "type": Skipped,
        may properties: Skipped,
    }
}

/// Prints the schema of a function's arguments. OpenAI refuses one without `properties`, which
/// JSON Schema and Anthropic let callers leave out.
pub(super) fn parameters(schema: Option<Raw<'_>>, json: &mut Json<'_>) {
    let raw = schema.map_or("{}", |schema| schema.get());
    if raw.starts_with(r#"{"type":"object","properties":{"#) {
        // So begin most schemas: no need to read on.
        return json.raw(raw);
    }
    let (Ok(head), Some(rest)) = (wire::parse_text::<Head>(raw), raw.strip_prefix('{')) else {
        return json.raw(raw);
    };
    json.open(b'{');
    if head.kind.is_none() {
        json.member_str("type", "object");
    }
    if head.properties.is_none() {
        json.member_raw("properties", "{}");
    }
    let rest = rest.trim_start();
    if rest.starts_with('}') { json.close(b'}') } else { json.raw(rest) }
}

/// Keywords without schemas in them that strict mode takes, as OpenAI's guide to structured
/// outputs lists them, and those that only describe. `default` is refused.
const PLAIN: [&[u8]; 17] = [
    b"$comment",
    b"$id",
    b"$schema",
    b"const",
    b"description",
    b"enum",
    b"exclusiveMaximum",
    b"exclusiveMinimum",
    b"maxItems",
    b"maxLength",
    b"maximum",
    b"minItems",
    b"minLength",
    b"minimum",
    b"multipleOf",
    b"pattern",
    b"title",
];

/// Formats of strings that strict mode takes.
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Whether strict mode takes a schema: all its objects are closed and list all their properties as
/// required, and it uses no keyword that is not known to be taken.
pub(super) fn fits_strict_mode(schema: &str) -> bool {
    let mut fits = true;
    match node(&mut Reader::new(schema), &mut fits) {
        Ok(root) => fits && root.kind == Some(r#""object""#) && !root.any_of,
        Err(_) => false,
    }
}

/// What is known of one schema in the tree.
#[derive(Default)]
struct Node<'a> {
    /// The value of `type`, as it is written.
    kind: Option<&'a str>,
    any_of: bool,
    members: usize,
    /// A `$ref`, beside which strict mode takes nothing.
    reference: bool,
    names: Vec<Vec<u8>>,
    required: Vec<Str<'a>>,
    closed: bool,
}

impl Node<'_> {
    fn fits(&mut self) -> bool {
        if self.reference {
            return self.members == 1;
        }
        let object = self.kind.is_some_and(|kind| kind.contains(r#""object""#));
        if !object && self.names.is_empty() {
            return true;
        }
        self.required.sort_unstable_by(|one, next| one.as_bytes().cmp(next.as_bytes()));
        let required = |name: &Vec<u8>| {
            self.required.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
        };
        self.closed && self.names.iter().all(required)
    }
}

fn node<'a>(reader: &mut Reader<'a>, fits: &mut bool) -> Read<Node<'a>> {
    let mut node = Node::default();
    reader.object(|reader, key| member(reader, key, &mut node, fits))?;
    *fits &= node.fits();
    Ok(node)
}

fn member<'a>(reader: &mut Reader<'a>, key: &[u8], of: &mut Node<'a>, fits: &mut bool) -> Read<()> {
    of.members += 1;
    match key {
        b"$ref" => {
            of.reference = true;
            reader.skip()?;
        }
        b"type" => of.kind = Some(reader.raw()?.get()),
        b"properties" => reader.object(|reader, name| {
            of.names.push(name.to_vec());
            node(reader, fits).map(drop)
        })?,
        b"required" => reader.list(|reader| {
            of.required.push(reader.string()?.into_str());
            Ok(())
        })?,
        b"additionalProperties" => of.closed = reader.raw()?.get() == "false",
        b"$defs" | b"definitions" => reader.object(|reader, _| node(reader, fits).map(drop))?,
        b"items" => node(reader, fits).map(drop)?,
        b"anyOf" => {
            of.any_of = true;
            reader.list(|reader| node(reader, fits).map(drop))?;
        }
        b"format" => *fits &= FORMATS.contains(&&*reader.string()?.into_str()),
        plain => {
            *fits &= PLAIN.contains(&plain);
            reader.skip()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Json, Raw, fits_strict_mode, parameters};

    #[test]
    fn arguments_always_have_a_type_and_properties() {
        for (schema, expected) in [
            (None, r#"{"type":"object","properties":{}}"#),
            (Some("{ }"), r#"{"type":"object","properties":{}}"#),
            (Some(r#"{"type":"object"}"#), r#"{"properties":{},"type":"object"}"#),
            (Some(r#"{ "$id":"x"}"#), r#"{"type":"object","properties":{},"$id":"x"}"#),
            (
                Some(r#"{"type":"object","$defs":{"a":{"properties":{}}}}"#),
                r#"{"properties":{},"type":"object","$defs":{"a":{"properties":{}}}}"#,
            ),
            (Some(r#"{"properties":{"a":{}}}"#), r#"{"type":"object","properties":{"a":{}}}"#),
            (Some(r#"{"properties":{},"type":"object"}"#), r#"{"properties":{},"type":"object"}"#),
            (Some("true"), "true"),
        ] {
            let mut out = Vec::new();
            parameters(schema.map(Raw::new), &mut Json::new(&mut out));
            let printed = String::from_utf8(out).unwrap();
            // What is written with spaces keeps them.
            assert_eq!(printed.replace("{ ", "{"), expected, "{schema:?}");
        }
    }

    #[test]
    fn strict_mode_takes_closed_objects_with_all_properties_required() {
        let closed = |inside: &str| {
            format!(
                r#"{{"type":"object","additionalProperties":false,"required":["a"],
                "properties":{{"a":{inside}}}}}"#
            )
        };
        for (schema, fits) in [
            (r#"{"type":"object","properties":{},"additionalProperties":false}"#.to_owned(), true),
            (closed(r#"{"type":"string","maxLength":3,"description":"x"}"#), true),
            (closed(r##"{"anyOf":[{"type":"null"},{"$ref":"#/$defs/b"}]}"##), true),
            (closed(r##"{"$ref":"#/$defs/b","description":"x"}"##), false),
            (closed(r#"{"type":"string","format":"uuid"}"#), true),
            (closed(r#"{"type":"string","format":"uri"}"#), false),
            (closed(r#"{"type":"string","default":"x"}"#), false),
            (closed(r#"{"type":"object"}"#), false),
            (closed(r#"{"type":["object","null"]}"#), false),
            (closed(r#"{"type":"array","items":{"type":"object","properties":{}}}"#), false),
            (closed(r#"{"allOf":[]}"#), false),
            (closed("true"), false),
            (closed(&closed(r#"{"type":"number"}"#)), true),
            (r#"{"type":"object","properties":{}}"#.to_owned(), false),
            (r#"{"additionalProperties":false,"properties":{}}"#.to_owned(), false),
            (
                r#"{"type":"object","additionalProperties":false,"properties":{"a":{}},
                "required":[]}"#
                    .to_owned(),
                false,
            ),
            (
                r#"{"type":"object","additionalProperties":false,"required":["\u0061"],
                "properties":{"a":{"type":"string"}}}"#
                    .to_owned(),
                true,
            ),
            (r#"{"type":"object","additionalProperties":false,"anyOf":[]}"#.to_owned(), false),
        ] {
            assert_eq!(fits_strict_mode(&schema), fits, "{schema}");
        }
    }
}
