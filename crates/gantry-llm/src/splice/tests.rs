//! What edits change, and that they change nothing else.

use super::*;
use crate::scan::tests::{any_key, any_object, any_value};
use proptest::prelude::*;
use serde_json::Value;

fn set<'a>(key: &'a str, json: &'a str) -> Edit<'a> {
    Edit::Set { key, json: json.as_bytes() }
}

fn remove(key: &str) -> Edit<'_> {
    Edit::Remove { key }
}

#[test]
fn edits_in_place_and_keeps_every_other_byte() {
    let cases: &[(&str, &[Edit<'_>], &str)] = &[
        (r#" { "a" : 1.50 ,"b":2 } "#, &[], r#" { "a" : 1.50 ,"b":2 } "#),
        (r#"{ "a" : 1.50 ,"b":2 }"#, &[set("b", "[3]")], r#"{ "a" : 1.50 ,"b":[3] }"#),
        (r#"{"a":1, "b":2}"#, &[set("a", "true")], r#"{"a":true, "b":2}"#),
        (r#"{"a":1 }"#, &[set("c", "{}")], r#"{"a":1,"c":{} }"#),
        ("{}", &[set("c", "1"), set("d", "2")], r#"{"c":1,"d":2}"#),
        ("{ }", &[set("c", "1")], r#"{"c":1 }"#),
        (r#"{"a":1 , "b":2 , "c":3}"#, &[remove("a")], r#"{"b":2 , "c":3}"#),
        (r#"{"a":1 , "b":2 , "c":3}"#, &[remove("b")], r#"{"a":1 , "c":3}"#),
        (r#"{"a":1 , "b":2 , "c":3 }"#, &[remove("c")], r#"{"a":1 , "b":2 }"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[remove("a"), remove("b")], r#"{"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[remove("c"), remove("b")], r#"{"a":1}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[remove("a"), remove("c")], r#"{"b":2}"#),
        (r#"{ "a":1 }"#, &[remove("a")], "{  }"),
        (r#"{ "a":1 }"#, &[remove("a"), set("b", "2")], r#"{ "b":2 }"#),
        (r#"{"a":1,"b":2}"#, &[remove("a"), set("c", "3")], r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"b":2}"#, &[remove("b"), set("a", "3"), set("c", "4")], r#"{"a":3,"c":4}"#),
        (r#"{"a":1}"#, &[set("a", "2"), set("a", "3")], r#"{"a":3}"#),
        (r#"{"a":1}"#, &[set("a", "2"), remove("a")], "{}"),
        (r#"{"\u0061":1}"#, &[set("a", "2")], r#"{"\u0061":2}"#),
        (r#"{"x":{"a":1}}"#, &[set("a", "2"), remove("y")], r#"{"x":{"a":1},"a":2}"#),
        ("{}", &[set("q\"\\\n", "1")], r#"{"q\"\\\u000a":1}"#),
    ];
    for (body, edits, expected) in cases {
        let out = splice(body.as_bytes(), edits).unwrap();
        assert_eq!(std::str::from_utf8(&out).unwrap(), *expected, "{body} {edits:?}");
    }
}

#[test]
fn refuses_what_it_cannot_edit_with_certainty() {
    let cases = [
        (r#"{"a":1,"a":2}"#, "field `a` occurs twice at line 1 column 8"),
        (r#"{"a":1"#, "the body ends where `,` or `}` is expected at line 1 column 7"),
        ("[]", "the body must be a JSON object at line 1 column 1"),
        (r#"{"a":1}x"#, "unexpected bytes after the object at line 1 column 8"),
    ];
    for (body, expected) in cases {
        let error = splice(body.as_bytes(), &[set("a", "3")]).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
}

/// The members of an object in order, each value with its own bytes.
fn members(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut cursor = Cursor::new(body);
    cursor.start_of_object().unwrap();
    let mut members = Vec::new();
    cursor
        .object(|cursor, key| {
            let name = String::from_utf8(cursor.name(&key).into_owned()).unwrap();
            let value = cursor.skip()?;
            members.push((name, cursor.slice(&value).to_vec()));
            Ok(())
        })
        .unwrap();
    members
}

proptest! {
    #[test]
    fn changes_the_edited_members_and_no_others(
        object in any_object(),
        edits in prop::collection::vec((any_key(), prop::option::of(any_value())), 0..5),
        pretty: bool,
    ) {
        let body = if pretty {
            serde_json::to_vec_pretty(&object).unwrap()
        } else {
            serde_json::to_vec(&object).unwrap()
        };
        let edits: Vec<_> = edits
            .into_iter()
            .map(|(key, value)| (key, value.map(|value| value.to_string())))
            .collect();
        let list: Vec<_> = edits
            .iter()
            .map(|(key, json)| json.as_ref().map_or(remove(key), |json| set(key, json)))
            .collect();
        let mut expected = members(&body);
        for (at, (key, json)) in edits.iter().enumerate() {
            if edits[at + 1..].iter().any(|(later, _)| later == key) {
                continue;
            }
            let place = expected.iter().position(|(name, _)| name == key);
            match (place, json) {
                (Some(place), Some(json)) => expected[place].1 = json.clone().into_bytes(),
                (Some(place), None) => drop(expected.remove(place)),
                (None, Some(json)) => expected.push((key.clone(), json.clone().into_bytes())),
                (None, None) => {}
            }
        }
        let out = splice(&body, &list).unwrap();
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        prop_assert_eq!(members(&out), expected);
    }
}
