//! Reading into wire structs, and the places that errors name.

use super::{is_object, parse_into};
use crate::context::Error;
use crate::neutral::{Str, StrOr, Text};

wire! {
    struct Inner<'a> {
        must role: Str<'a>,
        may kind as "type": StrOr<Text<'a>, u64>,
    }

    struct Body<'a> {
        may messages: Vec<Inner<'a>>,
        may max_tokens: u64,
        may stream: bool,
        keep unknown,
    }
}

fn parse(body: &[u8]) -> Result<Body<'_>, Error> {
    let mut fields = Body::default();
    parse_into(&mut fields, body).map(|()| fields)
}

#[test]
fn unknown_fields_are_kept_and_nulls_are_absent() {
    let body = br#"{"a":1,"max_tokens":null,"b":null,"c" : {"x":[]} }"#;
    let fields: Body<'_> = parse(body).unwrap();
    let unknown: Vec<_> = fields.unknown.iter().map(|(k, v)| (&**k, v.get())).collect();
    assert_eq!(unknown, [("a", "1"), ("c", r#"{"x":[]}"#)]);
    assert!(fields.max_tokens.is_none());
}

#[test]
fn known_fields_are_read_in_any_spelling() {
    let body = br#" { "messages" : [ {"\u0072ole":"a\tb","type":"x"} , {"type":7,"role":""} ],
        "max_tokens":18446744073709551615, "stream":true } "#;
    let fields: Body<'_> = parse(body).unwrap();
    assert_eq!(fields.max_tokens, Some(u64::MAX));
    assert_eq!(fields.stream, Some(true));
    let messages = fields.messages.unwrap();
    assert_eq!(&*messages[0].role, "a\tb");
    assert!(matches!(messages[0].kind, Some(StrOr::Str(Text::Plain("x")))));
    assert!(matches!(messages[1].kind, Some(StrOr::Other(7))));
}

#[test]
fn errors_name_the_field() {
    for (body, field, message) in [
        (
            r#"{"max_tokens":"many"}"#,
            "max_tokens",
            "invalid type: string \"many\", expected a whole number that is not negative",
        ),
        (r#"{"max_tokens":1.5}"#, "max_tokens", "invalid type: floating point `1.5`"),
        (r#"{"max_tokens":-1}"#, "max_tokens", "invalid type: integer `-1`"),
        (r#"{"stream":"yes"}"#, "stream", "invalid type: string \"yes\", expected a boolean"),
        (
            "{\n\"messages\":[{\"role\":\"a\"},\n{\"role\":7}]}",
            "messages[1].role",
            "invalid type: integer `7`, expected a string",
        ),
        (r#"{"max_tokens":18446744073709551616}"#, "max_tokens", "invalid type: integer"),
        (r#"{"max_tokens":01}"#, "max_tokens", "expected"),
        (r#"{"messages":[{"role":"a"},{}]}"#, "messages[1]", "missing field `role`"),
        (r#"{"messages":[{"type":"a","x":[1]}]}"#, "messages[0]", "missing field `role`"),
        (r#"{"messages":[{"role":"a","role":"b"}]}"#, "messages[0].role", "duplicate field"),
        (r#"{"messages":{"a":1}}"#, "messages", "invalid type: map, expected a sequence"),
        (r#"{"messages":[{"role":"a"}"#, "messages[0]", "EOF"),
        (r#"[]"#, "", "invalid type: sequence, expected a JSON object"),
        (r#"{"max_tokens":1}x"#, "", "trailing characters"),
        (r#"{"a":tru}"#, "a", "expected value"),
    ] {
        let Err(error) = parse(body.as_bytes()) else {
            panic!("{body} was taken");
        };
        assert_eq!(error.field, field, "{body}");
        assert!(error.message.starts_with(message), "{body}: {}", error.message);
    }
    let Err(error) = parse(b"{\"messages\":[{\"role\":\"\xff\"}]}") else {
        panic!("invalid UTF-8 was taken");
    };
    assert_eq!((&*error.field, &*error.message), ("messages[0].role", "invalid UTF-8"));
}

#[test]
fn only_whole_objects_are_objects() {
    assert!(is_object(r#"{"a":{}}"#));
    for text in ["[]", "", "{", "{}{}", r#"{"a"}"#] {
        assert!(!is_object(text), "{text}");
    }
}
