//! What edits change, and that they change nothing else.

use super::*;
use crate::scan::cursor::Cursor;
use crate::scan::tests::{any_key, any_object, any_value};
use proptest::prelude::*;
use serde_json::Value;

#[derive(Clone, Copy, Debug)]
enum Edit<'a> {
    Set(&'a str, &'a str),
    Remove(&'a str),
    Rename(&'a str, &'a str),
}

use Edit::{Remove, Rename, Set};

/// Applies edits; returns the pieces and whether each removal and renaming found its field.
fn splice(body: &[u8], edits: &[Edit<'_>]) -> Result<(Pieces, Vec<bool>), ScanError> {
    let body = Bytes::copy_from_slice(body);
    let index = Index::of(&body)?;
    let mut draft = Draft::new(&body, &index);
    let mut found = Vec::new();
    for edit in edits {
        match *edit {
            Set(key, json) => draft.set(key, json.as_bytes())?,
            Remove(key) => found.push(draft.remove(key)?),
            Rename(from, to) => found.push(draft.rename(from, to)?),
        }
    }
    Ok((draft.finish(), found))
}

#[test]
fn edits_in_place_and_keeps_every_other_byte() {
    let cases: &[(&str, &[Edit<'_>], &str)] = &[
        (r#" { "a" : 1.50 ,"b":2 } "#, &[], r#" { "a" : 1.50 ,"b":2 } "#),
        (r#"{ "a" : 1.50 ,"b":2 }"#, &[Set("b", "[3]")], r#"{ "a" : 1.50 ,"b":[3] }"#),
        (r#"{"a":1, "b":2}"#, &[Set("a", "true")], r#"{"a":true, "b":2}"#),
        (r#"{"a":1 }"#, &[Set("c", "{}")], r#"{"a":1,"c":{} }"#),
        ("{}", &[Set("c", "1"), Set("d", "2")], r#"{"c":1,"d":2}"#),
        ("{ }", &[Set("c", "1")], r#"{"c":1 }"#),
        (r#"{"a":1 , "b":2 , "c":3}"#, &[Remove("a")], r#"{"b":2 , "c":3}"#),
        (r#"{"a":1 , "b":2 , "c":3}"#, &[Remove("b")], r#"{"a":1 , "c":3}"#),
        (r#"{"a":1 , "b":2 , "c":3 }"#, &[Remove("c")], r#"{"a":1 , "b":2 }"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[Remove("a"), Remove("b")], r#"{"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[Remove("c"), Remove("b")], r#"{"a":1}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &[Remove("a"), Remove("c")], r#"{"b":2}"#),
        (r#"{ "a":1 }"#, &[Remove("a")], "{  }"),
        (r#"{ "a":1 }"#, &[Remove("a"), Set("b", "2")], r#"{ "b":2 }"#),
        (r#"{"a":1,"b":2}"#, &[Remove("a"), Set("c", "3")], r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"b":2}"#, &[Remove("b"), Set("a", "3"), Set("c", "4")], r#"{"a":3,"c":4}"#),
        (r#"{"a":1}"#, &[Set("a", "2"), Set("a", "3")], r#"{"a":3}"#),
        (r#"{"a":1}"#, &[Set("a", "2"), Remove("a")], "{}"),
        (r#"{"\u0061":1}"#, &[Set("a", "2")], r#"{"\u0061":2}"#),
        (r#"{"x":{"a":1}}"#, &[Set("a", "2"), Remove("y")], r#"{"x":{"a":1},"a":2}"#),
        ("{}", &[Set("q\"\\\n", "1")], r#"{"q\"\\\u000a":1}"#),
    ];
    for (body, edits, expected) in cases {
        let out = splice(body.as_bytes(), edits).unwrap().0.into_bytes();
        assert_eq!(std::str::from_utf8(&out).unwrap(), *expected, "{body} {edits:?}");
    }
}

#[test]
fn renames_in_place_and_after_the_edits_before() {
    let cases: &[(&str, &[Edit<'_>], &str)] = &[
        (r#"{"a" : 1, "b":2}"#, &[Rename("a", "c")], r#"{"c" : 1, "b":2}"#),
        (r#"{"a":1}"#, &[Rename("x", "c")], r#"{"a":1}"#),
        (r#"{"a":1}"#, &[Rename("a", "a")], r#"{"a":1}"#),
        (r#"{"a":1}"#, &[Rename("a", "q\"")], r#"{"q\"":1}"#),
        (r#"{"\u0061":1}"#, &[Rename("a", "c")], r#"{"c":1}"#),
        // The renamed field takes the place of one that has the name.
        (r#"{"a":1,"b":2,"c":3}"#, &[Rename("a", "b")], r#"{"b":1,"c":3}"#),
        (r#"{"b":2,"a":1}"#, &[Rename("a", "b")], r#"{"b":1}"#),
        (r#"{"b":2}"#, &[Rename("a", "b")], r#"{"b":2}"#),
        // What an override set is renamed or removed too.
        (r#"{"a":1}"#, &[Set("a", "5"), Rename("a", "b")], r#"{"b":5}"#),
        (r#"{"x":1}"#, &[Set("a", "5"), Rename("a", "b")], r#"{"x":1,"b":5}"#),
        (r#"{"x":1}"#, &[Set("a", "5"), Remove("a")], r#"{"x":1}"#),
        (r#"{"a":1}"#, &[Remove("a"), Rename("a", "b")], "{}"),
        (r#"{"a":1}"#, &[Rename("a", "b"), Rename("b", "c")], r#"{"c":1}"#),
        (r#"{"a":1}"#, &[Rename("a", "b"), Remove("b")], "{}"),
        (r#"{"a":1}"#, &[Rename("a", "b"), Set("a", "2")], r#"{"b":1,"a":2}"#),
        (r#"{"a":1,"b":2}"#, &[Rename("a", "b"), Set("b", "3")], r#"{"b":3}"#),
    ];
    for (body, edits, expected) in cases {
        let out = splice(body.as_bytes(), edits).unwrap().0.into_bytes();
        assert_eq!(std::str::from_utf8(&out).unwrap(), *expected, "{body} {edits:?}");
    }
}

#[test]
fn tells_which_removals_and_renamings_found_their_field() {
    let edits = [Remove("a"), Remove("a"), Remove("x"), Rename("b", "c"), Rename("x", "y")];
    let (_, found) = splice(br#"{"a":1,"b":2}"#, &edits).unwrap();
    assert_eq!(found, [true, false, false, true, false]);
    let (_, found) = splice(b"{}", &[Set("a", "1"), Remove("a")]).unwrap();
    assert_eq!(found, [true]);
}

#[test]
fn shares_the_long_parts_of_the_original() {
    let long = "x".repeat(100_000);
    let body = Bytes::from(format!(
        r#"{{"model":"a/b","messages":"{long}","n":1,"prompt":"{long}","user":"me"}}"#
    ));
    let index = Index::of(&body).unwrap();
    let mut draft = Draft::new(&body, &index);
    draft.set("model", br#""upstream""#).unwrap();
    draft.remove("n").unwrap();
    draft.set("seed", b"7").unwrap();
    let pieces = draft.finish();
    let expected = format!(
        r#"{{"model":"upstream","messages":"{long}","prompt":"{long}","user":"me","seed":7}}"#
    );
    assert_eq!(pieces.len(), expected.len());
    assert_eq!(pieces.clone().into_bytes(), expected);
    let inside = |piece: &Bytes| body.as_ptr_range().contains(&piece.as_ptr());
    let shared: Vec<bool> = pieces.into_iter().map(|piece| inside(&piece)).collect();
    assert_eq!(shared, [false, true, true, false]);
}

#[test]
fn gives_back_a_body_without_edits_as_it_is() {
    let body = Bytes::from_static(br#" {"a":1} "#);
    let index = Index::of(&body).unwrap();
    let mut draft = Draft::new(&body, &index);
    assert!(!draft.remove("b").unwrap());
    let out = draft.finish().into_bytes();
    assert_eq!((out.as_ptr(), out.len()), (body.as_ptr(), body.len()));
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
        let error = splice(body.as_bytes(), &[Set("a", "3")]).unwrap_err();
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
            let name = String::from_utf8(cursor.name(&key, &mut Vec::new()).to_vec()).unwrap();
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
            .map(|(key, json)| json.as_ref().map_or(Remove(key), |json| Set(key, json)))
            .collect();
        let mut expected = members(&body);
        for (key, json) in &edits {
            let place = expected.iter().position(|(name, _)| name == key);
            match (place, json) {
                (Some(place), Some(json)) => expected[place].1 = json.clone().into_bytes(),
                (Some(place), None) => drop(expected.remove(place)),
                (None, Some(json)) => expected.push((key.clone(), json.clone().into_bytes())),
                (None, None) => {}
            }
        }
        let out = splice(&body, &list).unwrap().0.into_bytes();
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        prop_assert_eq!(members(&out), expected);
    }
}
