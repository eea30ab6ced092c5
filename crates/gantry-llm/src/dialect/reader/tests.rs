//! The reader takes what serde_json takes, and finds the same in it.

use super::{Reader, plain_end};
use proptest::prelude::*;
use serde_json::Value;

fn accepted(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

/// What nobody asked for is judged by the grammar alone, unpaired surrogates and huge numbers too.
fn check(text: &str) {
    let expected = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    assert_eq!(accepted(text), expected, "{text}");
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<Option<bool>>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn values_are_accepted_and_broken_ones_judged_alike(
        value in value(),
        pretty in any::<bool>(),
        at in any::<prop::sample::Index>(),
        put in "[\\[\\]{}\",:0-9eE.+tn\\\\u \n\u{1}-]{0,2}",
    ) {
        let text = match pretty {
            true => serde_json::to_string_pretty(&value).unwrap(),
            false => value.to_string(),
        };
        prop_assert!(accepted(&text));
        let chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let broken: String = chars[..at].iter().copied()
            .chain(put.chars())
            .chain(chars[at + 1..].iter().copied())
            .collect();
        check(&broken);
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them(text in any::<String>(), slash in any::<bool>()) {
        let mut json = Value::from(text.clone()).to_string();
        if slash {
            json = json.replace('/', "\\/");
        }
        let found = Reader::new(&json).string().unwrap();
        prop_assert_eq!(&*found.decode(), &text);
    }

    #[test]
    fn plain_bytes_end_at_the_first_special_one(
        bytes in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        let expected = bytes.iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\');
        prop_assert_eq!(plain_end(&bytes, 0), expected.count());
    }
}

#[test]
fn odd_texts_are_judged_as_serde_json_judges_them() {
    for text in [
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83d\u0041""#,
        r#""\ud83dx""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\u12"#,
        r#""\"#,
        r#""\x""#,
        "\"\u{7f}ä\"",
        "\"\t\"",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "-0.0E+7",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,1]",
        "{\"a\" 1}",
        "{1:2}",
        "nul",
        "nulll",
        "",
        " ",
        "\u{feff}1",
    ] {
        check(text);
    }
}

#[test]
fn half_a_character_is_read_as_unknown() {
    for (json, text) in [
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\ude42b""#, "\u{fffd}b"),
        (r#""\ud83d\u0041\n""#, "\u{fffd}A\n"),
        (r#""\ud83d\ud83d\ude42""#, "\u{fffd}\u{1f642}"),
        (r#""\ud83dx""#, "\u{fffd}x"),
    ] {
        assert_eq!(&*Reader::new(json).string().unwrap().decode(), text, "{json}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(accepted(&nested(128)));
    assert!(!accepted(&nested(129)));
    assert!(!accepted(&"{\"a\":".repeat(100_000)));
}
