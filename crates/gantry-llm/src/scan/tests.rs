//! What the scan accepts, finds and says.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(body: &str, range: &Range<usize>) -> String {
    body[range.clone()].to_owned()
}

#[test]
fn finds_the_head_fields_wherever_they_stand() {
    let body = r#" {"temperature":0.5, "messages" : [{"role":"user","content":"model"}],
        "stream":true,"stream_options": {"x":[1],"include_usage" : true} ,"model":"gpt-4o",
        "max_tokens":1e2,"max_completion_tokens":7.0,"n":2,"input":"i","prompt":null,
        "system":[1],"tools":[] , "nested":{"model":"no","stream":1}} "#;
    let head = scan(body.as_bytes()).unwrap();
    let model = head.model.clone().unwrap();
    assert_eq!(model.value, "gpt-4o");
    assert!(matches!(model.value, Cow::Borrowed(_)));
    assert_eq!(at(body, &model.range), r#""gpt-4o""#);
    let stream = head.stream.clone().unwrap();
    assert!(stream.value && head.streams());
    assert_eq!(at(body, &stream.range), "true");
    let options = head.stream_options.clone().unwrap();
    assert_eq!(at(body, &options), r#"{"x":[1],"include_usage" : true}"#);
    assert_eq!(head.include_usage, Some(true));
    assert_eq!(
        (head.max_tokens, head.max_completion_tokens, head.n),
        (Some(100), Some(7), Some(2))
    );
    assert_eq!(head.output_tokens_max(), Some(7));
    let messages = head.messages.clone().unwrap();
    assert_eq!(at(body, &messages), r#"[{"role":"user","content":"model"}]"#);
    assert_eq!(at(body, &head.input.clone().unwrap()), r#""i""#);
    assert_eq!(head.prompt, None);
    assert_eq!(at(body, &head.system.clone().unwrap()), "[1]");
    assert_eq!(at(body, &head.tools.clone().unwrap()), "[]");
    assert_eq!(at(body, &head.index.object), body.trim());
}

#[test]
fn compares_keys_and_reads_the_model_after_unescaping() {
    let head = scan(br#"{"mod\u0065l":"a\/b\u00e9\ud83d\ude00"}"#).unwrap();
    assert_eq!(head.model.unwrap().value, "a/b\u{e9}\u{1F600}");
}

#[test]
fn leaves_what_is_null_or_no_count_to_the_upstream() {
    let body = br#"{"stream":null,"stream_options":null,"max_tokens":"9","n":-1,"messages":{}}"#;
    let head = scan(body).unwrap();
    assert_eq!(head, Head { index: head.index.clone(), ..Head::default() });
    for (text, expected) in
        [("1.5", None), ("1e400", None), ("18446744073709551615", Some(u64::MAX))]
    {
        let body = format!(r#"{{"n":{text}}}"#);
        assert_eq!(scan(body.as_bytes()).unwrap().n, expected, "{text}");
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let cases: &[(&[u8], &str)] = &[
        (br#"{"model":"gpt-4"x}"#, "expected `,` or `}` at line 1 column 17"),
        (b"", "the body ends where a JSON object is expected at line 1 column 1"),
        (b"[1]", "the body must be a JSON object at line 1 column 1"),
        (b"{\n  \"a\": tru }", "expected a value at line 2 column 8"),
        (b"{\"a\":1,}", "expected a string key at line 1 column 8"),
        (b"{a:1}", "expected a string key or `}` at line 1 column 2"),
        (b"{\"a\" 1}", "expected `:` at line 1 column 6"),
        (b"{\"a\":[1 2]}", "expected `,` or `]` at line 1 column 9"),
        (b"{\"a\":[1", "the body ends where `,` or `]` is expected at line 1 column 8"),
        (
            b"{\"a\":\"x",
            "the body ends where the closing quote of a string is expected at line 1 column 8",
        ),
        (b"{} {}", "unexpected bytes after the object at line 1 column 4"),
        (b"{\"a\":1.}", "invalid number at line 1 column 8"),
        (b"{\"a\":-}", "invalid number at line 1 column 7"),
        (b"{\"a\":01}", "expected `,` or `}` at line 1 column 7"),
        (b"{\"a\":\"\\x\"}", "invalid escape in a string at line 1 column 7"),
        (b"{\"a\":\"\\u12g4\"}", "invalid escape in a string at line 1 column 7"),
        (b"{\"a\":\"\n\"}", "unescaped control character in a string at line 1 column 7"),
        ("{\"é\":\"é\",é}".as_bytes(), "expected a string key at line 1 column 10"),
        (b"{\"a\":\"\xff\"}", "invalid UTF-8 at line 1 column 7"),
        (b"{\"model\":4}", "field `model` must be a string at line 1 column 10"),
        (b"{\"model\":null}", "field `model` must be a string at line 1 column 10"),
        (b"{\"model\":\"\\ud83d\"}", "unpaired surrogate in a string at line 1 column 10"),
        (b"{\"stream\":\"yes\"}", "field `stream` must be true or false at line 1 column 11"),
        (b"{\"model\":\"a\",\"model\":\"b\"}", "field `model` occurs twice at line 1 column 14"),
        (b"{\"n\":1,\"\\u006e\":2}", "field `n` occurs twice at line 1 column 8"),
        (
            b"{\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
            "field `include_usage` occurs twice at line 1 column 41",
        ),
    ];
    for (body, expected) in cases {
        let found = scan(body).unwrap_err().to_string();
        assert_eq!(&found, expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn accepts_unpaired_surrogates_that_are_only_forwarded() {
    assert!(scan(br#"{"messages":["\ud83d"],"\ud83d":1}"#).is_ok());
}

#[test]
fn refuses_nesting_at_the_depth_at_which_serde_json_does() {
    let nested =
        |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let max = usize::from(DEPTH_MAX);
    let (deepest, too_deep) = (nested(max), nested(max + 1));
    assert!(scan(deepest.as_bytes()).is_ok());
    assert!(serde_json::from_str::<Value>(&deepest).is_ok());
    assert!(serde_json::from_str::<Value>(&too_deep).is_err());
    assert_eq!(scan(too_deep.as_bytes()).unwrap_err().problem, Problem::TooDeep);
    // Siblings do not add up.
    let wide = format!("{{\"a\":[{}[]]}}", "[[]],".repeat(500));
    assert!(scan(wide.as_bytes()).is_ok());
}

#[test]
fn finds_the_end_of_strings_of_every_length_and_alignment() {
    for len in 0..100 {
        for special in ["\"", "\\n\"", "\u{1}\""] {
            let body = format!("{{\"k\":\"{}{special},\"n\":3}}", "é".repeat(len));
            let found = scan(body.as_bytes());
            if special.starts_with('\u{1}') {
                assert_eq!(found.unwrap_err().offset, 6 + 2 * len, "{len}");
            } else {
                assert_eq!(found.unwrap().n, Some(3), "{len} {special}");
            }
        }
    }
}

#[test]
fn judges_a_string_by_its_bytes_and_not_by_where_blocks_end() {
    // Whether a string with such bytes is valid.
    let pieces: &[(&[u8], bool)] = &[
        (b"\\n", true),
        (b"\\\"", true),
        (b"\\\\", true),
        (b"\\u00e9", true),
        (b"\\\\\\u00e9\\\"", true),
        ("é".as_bytes(), true),
        ("敏".as_bytes(), true),
        ("😀".as_bytes(), true),
        (b"\x7f", true),
        (b"\"", false),
        (b"\\x", false),
        (b"\\u12g4", false),
        (b"\x1f", false),
        (b"\0", false),
        (b"\xff", false),
        (b"\x80", false),
        (b"\xe6\x95", false),
        (b"\xed\xa0\x80", false),
        (b"\xc0\x80", false),
        (b"\xf4\x90\x80\x80", false),
    ];
    let places = (0..=70).chain([95, 96, 97, 127, 128, 129, 199, 200]);
    for (len, at) in places.flat_map(|len| (0..=len).map(move |at| (len, at))) {
        for (piece, valid) in pieces {
            let text = [&b"a".repeat(at), *piece, &b"b".repeat(len - at)].concat();
            check_string(&text, *valid);
        }
    }
}

/// Scans `text` as a string at the body's end and before other members.
fn check_string(text: &[u8], valid: bool) {
    for after in [&b"}"[..], b",\"n\":3,\"stop\":[\"one\",\"two\"]}"] {
        let body = [b"{\"k\":\"", text, b"\"", after].concat();
        let found = scan(&body);
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(found.is_ok(), valid, "{shown}");
        if let Ok(head) = found {
            assert_eq!(head.index.members[0].value, 5..7 + text.len(), "{shown}");
            assert_eq!(head.n, (after.len() > 1).then_some(3), "{shown}");
        }
    }
}

#[test]
fn says_where_a_string_stops_being_utf8() {
    for len in 0..100 {
        for bad in [&b"\xff"[..], b"\xe6\x95", b"\xf0\x9f\x98"] {
            let text = [&"é".repeat(len / 2).into_bytes(), &b"a".repeat(len % 2)[..]].concat();
            let body = [b"{\"k\":\"", &text[..], bad, b"\",\"n\":3}"].concat();
            let error = scan(&body).unwrap_err();
            assert_eq!((error.problem, error.offset), (Problem::Utf8, 6 + text.len()));
        }
    }
}

#[test]
fn refuses_bytes_beyond_ascii_outside_strings() {
    for body in ["{\"a\":1é}", "{é}", "é{}", "{}é", "{\"a\"\u{a0}:1}", "{\"a\":[\u{feff}]}"] {
        assert!(scan(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn finds_the_places_of_all_members() {
    let body = br#" { "a" : "x" ,"\u0062":[1, 2],"":null, "model":"m" } "#;
    let head = scan(body).unwrap();
    let places = |index: &Index| -> Vec<(String, String)> {
        let text = |range: &Range<usize>| String::from_utf8(body[range.clone()].to_vec()).unwrap();
        index.members.iter().map(|m| (text(&m.key.range), text(&m.value))).collect()
    };
    let expected = [
        (r#""a""#, r#""x""#),
        (r#""\u0062""#, "[1, 2]"),
        (r#""""#, "null"),
        (r#""model""#, r#""m""#),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(places(&head.index), expected);
    assert_eq!(Index::of(body).unwrap(), head.index);
}

#[test]
fn refuses_more_members_than_any_request_has() {
    let members = |count: usize| format!("{{{}\"n\":1}}", "\"\":0,".repeat(count - 1));
    assert!(scan(members(MEMBERS_MAX).as_bytes()).is_ok());
    let error = scan(members(MEMBERS_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.problem, Problem::TooManyMembers);
    assert!(error.to_string().starts_with("more than 4096 fields at line 1"), "{error}");
}

/// Any JSON value, with keys that collide with the head's often.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\n\"\\\\é]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(crate) fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec!["model", "stream", "n", "max_tokens", "messages", "a\"b"])
            .prop_map(str::to_owned),
    ]
}

pub(crate) fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::vec((any_key(), any_value()), 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn is_valid_object(body: &[u8]) -> bool {
    // `IgnoredAny` accepts unpaired surrogates and numbers beyond a double, as the RFC does.
    std::str::from_utf8(body).is_ok()
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
        && body.trim_ascii_start().starts_with(b"{")
}

/// Problems that concern the head's fields, not the grammar.
fn is_grammar(problem: &Problem) -> bool {
    !matches!(problem, Problem::Type { .. } | Problem::Duplicate(_) | Problem::Surrogate)
}

proptest! {
    #[test]
    fn captures_what_serde_json_reads(mut object in any_object(), model: String, pretty: bool) {
        object["model"] = json!(model);
        object["stream"] = json!(true);
        let body = if pretty {
            serde_json::to_vec_pretty(&object).unwrap()
        } else {
            serde_json::to_vec(&object).unwrap()
        };
        // Read again: serde_json rounds doubles that it prints.
        let object: Value = serde_json::from_slice(&body).unwrap();
        let head = scan(&body).unwrap();
        prop_assert_eq!(head.model.unwrap().value, model);
        prop_assert_eq!(head.stream.unwrap().value, true);
        prop_assert_eq!(head.index.object, 0..body.len());
        let count = object["max_tokens"].as_u64();
        if object["max_tokens"].is_u64() {
            prop_assert_eq!(head.max_tokens, count);
        }
        if object["messages"].is_array() {
            let messages: Value = serde_json::from_slice(&body[head.messages.unwrap()]).unwrap();
            prop_assert_eq!(&messages, &object["messages"]);
        }
    }

    #[test]
    fn agrees_with_serde_json_on_mutated_bytes(
        object in any_object(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_byte(), 0..3), 0..4),
    ) {
        let mut body = serde_json::to_vec(&object).unwrap();
        for (index, byte, kind) in edits {
            let at = index.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ if body.len() > 1 => drop(body.remove(at)),
                _ => {}
            }
        }
        let found = scan(&body);
        let accepted = found.as_ref().map_or_else(|error| !is_grammar(&error.problem), |_| true);
        let valid = is_valid_object(&body);
        let text = String::from_utf8_lossy(&body);
        match found {
            Err(error) if !is_grammar(&error.problem) => {}
            _ => prop_assert_eq!(accepted, valid, "{}", text),
        }
    }

    #[test]
    fn agrees_with_serde_json_on_text_full_of_escapes(
        pieces in prop::collection::vec(any_piece(), 0..150), wrong in any_wrong_piece(),
    ) {
        let valid = pieces.concat();
        let halves = pieces.split_at(pieces.len() / 2);
        for text in [valid, [halves.0.concat(), wrong, halves.1.concat()].concat()] {
            let body = format!("{{\"k\":\"{text}\",\"n\":3}}");
            let found = scan(body.as_bytes());
            prop_assert_eq!(found.is_ok(), is_valid_object(body.as_bytes()), "{}", body);
            if let Ok(head) = found {
                let read: Value = serde_json::from_str(&body).unwrap();
                prop_assert_eq!(head.n, read["n"].as_u64(), "{}", body);
            }
        }
    }

    #[test]
    fn never_panics_on_bytes(body: Vec<u8>) {
        prop_assert_eq!(scan(&body).is_ok(), is_valid_object(&body));
    }
}

/// Pieces of a string of which escapes are dense, so that they meet the ends of blocks.
fn any_piece() -> impl Strategy<Value = String> {
    let escapes = ["\\n", "\\\"", "\\\\", "\\t", "\\/", "\\b", "\\u00e9", "\\u65AF", "u", "é", "n"];
    let plain = (0usize..40).prop_map(|len| "a".repeat(len));
    prop_oneof![4 => prop::sample::select(escapes.to_vec()).prop_map(str::to_owned), 1 => plain]
}

fn any_wrong_piece() -> impl Strategy<Value = String> {
    let pieces = ["\\", "\\x", "\\u12", "\\u00g9", "\\u123", "\u{1}", "\"", "\\\u{1}", "\\é"];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\0123456789.eE+-tfnu \n".to_vec())]
}

/// Wherever the escape stands among the blocks that are looked at together.
#[test]
fn notes_escapes_of_surrogates_at_every_place() {
    for at in 0..200 {
        for (escape, noted) in [
            ("\\ud83d", true),
            ("\\uDFFF", true),
            ("\\ud7ff", false),
            ("\\ue000", false),
            ("\\u8d8d", false),
            ("\\\\ud83d", false),
        ] {
            for filler in ["a", "\\n"] {
                let body = format!("{{\"a\":\"{}{escape}{}\"}}", filler.repeat(at), "b".repeat(99));
                let head = scan(body.as_bytes()).unwrap();
                assert_eq!(head.surrogates, noted, "{body}");
            }
        }
    }
}
