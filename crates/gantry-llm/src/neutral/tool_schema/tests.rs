//! What becomes of schemas and of the arguments that follow them.

use super::{back, fit, there};
use gantry_model::facts::{Limit, Limits};

fn claude() -> Limits {
    let also = Some("_.-".to_owned());
    let property_name = Some(Limit { chars_max: Some(64), also, ..Limit::default() });
    Limits { object_roots: true, property_name, ..Limits::default() }
}

#[test]
fn roots_become_objects_and_nulls_go() {
    for (schema, expected) in [
        (r#"{"type":"object","properties":{"a":{}}}"#, None),
        (r#"{"properties":{"a":{"anyOf":[{}],"default":null}}}"#, None),
        (r#"{}"#, None),
        (r#"{"type":"object","properties":null}"#, Some(r#"{"type":"object"}"#)),
        (
            r#"{"properties":{"a":{"type":"string","enum":null,"items":null}}}"#,
            Some(r#"{"properties":{"a":{"type":"string","enum":null}}}"#),
        ),
        (
            r#"{"type":"object","anyOf":[{"required":["a"]}]}"#,
            Some(concat!(
                r#"{"type":"object","properties":{"input":{"type":"object","#,
                r#""anyOf":[{"required":["a"]}]}},"required":["input"]}"#
            )),
        ),
        (
            r##"{"type":"array","items":{"$ref":"#/$defs/x"},"$defs":{"x":{}}}"##,
            Some(concat!(
                r##"{"type":"object","properties":{"input":{"type":"array","##,
                r##""items":{"$ref":"#/$defs/x"}}},"required":["input"],"$defs":{"x":{}}}"##
            )),
        ),
        ("true", Some(r#"{"type":"object","properties":{"input":{}},"required":["input"]}"#)),
    ] {
        let found = fit(schema, &claude()).map(|fitted| fitted.json);
        assert_eq!(found.as_deref(), expected, "{schema}");
    }
    assert!(fit(r#"{"oneOf":[{}]}"#, &Limits::default()).is_none());
}

#[test]
fn names_of_properties_go_there_and_come_back() {
    let long = "x".repeat(70);
    let schema = format!(
        r#"{{"type":"object","properties":{{"$filter":{{"properties":{{"größe":{{}}}}}},
        "{long}":{{}},"ok.a-b_1":{{}}}},"required":["$filter","ok.a-b_1"]}}"#
    );
    let fitted = fit(&schema, &claude()).unwrap();
    assert_eq!(fitted.renamed.len(), 3, "{fitted:?}");
    let limit = claude().property_name.unwrap();
    for (short, whole) in &fitted.renamed {
        assert!(limit.takes(short) && !limit.takes(whole));
        assert!(fitted.json.contains(short.as_str()) && !fitted.json.contains(whole.as_str()));
    }
    let args =
        format!(r#"{{"$filter":{{"größe":[{{"größe":1.50}}]}},"{long}":null,"ok.a-b_1":""}}"#);
    let short = |name: &str| {
        fitted.renamed.iter().find(|(_, whole)| *whole == name).map(|(short, _)| short.clone())
    };
    for wrapped in [false, true] {
        let sent = there(&args, wrapped, short);
        assert!(!sent.contains("größe") && sent.starts_with("{\"input\":") == wrapped, "{sent}");
        assert_eq!(back(&sent, wrapped, |name| fitted.renamed.get(name).cloned()), args);
    }
    assert_eq!(back("{\"a", true, |_| None), "{\"a");
}
