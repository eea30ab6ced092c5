//! What becomes of schemas: a table of those that are refused, and what holds for all.

use super::{Changes, Room, Titles, Unfit, print};
use crate::dialect::json::Json;
use crate::neutral::Raw;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use serde_json::{Value, json};

fn printed(schema: &str) -> Result<(String, Changes), Unfit> {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let done = print(Raw::new(schema), Titles::default(), &mut Room::default(), &mut json);
    assert!(done.is_ok() || out.is_empty(), "what is refused leaves no trace");
    done.map(|changes| (String::from_utf8(out).unwrap(), changes))
}

#[test]
fn schemas_without_a_grammar_are_refused() {
    let closed = |value: &str| {
        format!(
            r#"{{"type":"object","properties":{{"a":{value}}},"required":["a"],
            "additionalProperties":false}}"#
        )
    };
    for (value, expected) in [
        (r#"{"type":"object"}"#, "objects of any keys"),
        (r#"{"type":"object","properties":{}}"#, "objects of any keys"),
        (r#"{"type":"object","additionalProperties":{}}"#, "objects of any keys"),
        (
            r#"{"type":"object","patternProperties":{"^a":{}},"additionalProperties":false}"#,
            "objects of any keys",
        ),
        ("{}", "values of any type"),
        ("true", "values of any type"),
        (r#"{"description":"x"}"#, "values of any type"),
        (r#"{"type":"array"}"#, "values of any type"),
        (r#"{"enum":[{}]}"#, "values of any type"),
        (r#"{"const":[1]}"#, "values of any type"),
        (r##"{"$ref":"#"}"##, "recursive schema"),
        (r#"{"$ref":"https://x/y"}"#, "references to anything but a definition"),
        (r##"{"$ref":"#/properties/b"}"##, "references to anything but a definition"),
        (r#"{"allOf":[{"type":"string"},{"type":"string"}]}"#, "alternatives beside other demands"),
        (
            r#"{"anyOf":[{"type":"string"}],"oneOf":[{"type":"string"}]}"#,
            "alternatives beside other demands",
        ),
        (
            r#"{"properties":{"b":{"type":"null"}},"anyOf":[{"type":"string"}]}"#,
            "alternatives beside other demands",
        ),
        (r#"{"type":"array","items":[{"type":"string"}]}"#, "tuples"),
    ] {
        assert_eq!(printed(&closed(value)).unwrap_err(), expected, "{value}");
    }
    assert!(printed(&closed(r#"{"type":"string"}"#)).is_ok());
}

#[test]
fn deep_and_large_schemas_are_refused() {
    let nested = |levels: usize| {
        let (begin, end) = (r#"{"type":"array","items":"#, "}");
        format!("{}{{\"type\":\"null\"}}{}", begin.repeat(levels), end.repeat(levels))
    };
    assert!(printed(&nested(31)).is_ok());
    assert_eq!(printed(&nested(32)).unwrap_err(), "schema of more than 32 levels");
    let unions = |count: usize| {
        let names = (0..count).map(|n| format!("p{n}"));
        let all: Vec<String> = names.clone().collect();
        let either = json!({"type": ["string", "null"]});
        let properties: Value = names.map(|name| (name, either.clone())).collect();
        json!({"type": "object", "properties": properties, "required": all}).to_string()
    };
    assert!(printed(&unions(16)).is_ok());
    let large = "more than 24 optional properties and 16 alternatives";
    assert_eq!(printed(&unions(17)).unwrap_err(), large);
}

#[test]
fn only_definitions_in_a_circle_are_recursive() {
    let root = |definitions: Value| {
        let target = json!({"$ref": "#/$defs/a"});
        let schema = json!({"type": "object", "properties": {"a": target}, "$defs": definitions});
        printed(&schema.to_string()).map(|_| ())
    };
    let to = |name: &str| json!({"anyOf": [{"$ref": format!("#/$defs/{name}")}]});
    let leaf = json!({"type": "null"});
    assert_eq!(root(json!({"a": to("b"), "b": to("c"), "c": leaf, "d": to("c")})), Ok(()));
    for definitions in [
        json!({"a": to("a")}),
        json!({"a": to("b"), "b": to("c"), "c": to("b")}),
        json!({"a": leaf, "b": to("c"), "c": to("b")}),
    ] {
        assert_eq!(root(definitions), Err("recursive schema"));
    }
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "minLength": 1, "description": "\"x\""})),
        Just(json!({"type": ["integer", "null"], "minimum": 0})),
        Just(json!({"enum": ["a", null], "type": ["string", "null"]})),
        Just(json!({"const": null, "title": "t"})),
        Just(json!({"$ref": "#/$defs/d", "description": "x"})),
        Just(json!({"type": "object"})),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            inner.clone().prop_map(|one| json!({"type": "array", "items": one, "minItems": 2})),
            list.clone().prop_map(|list| json!({"oneOf": list, "not": {}})),
            list.prop_map(|list| json!({"allOf": list})),
            (".{0,3}", inner.clone()).prop_map(|(name, one)| json!({"properties": {name: one}})),
            inner.prop_map(|one| json!({"$defs": {"d": one}, "$ref": "#/$defs/d"})),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_taken_as_it_is(schema in schema()) {
        if let Ok((once, _)) = printed(&schema.to_string()) {
            let (twice, changes) = printed(&once).unwrap();
            assert_eq!(once, twice);
            assert_eq!(changes.note(), None);
        }
    }
}
