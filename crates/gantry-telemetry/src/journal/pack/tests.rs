//! Numbers and texts at the borders of their forms, and bytes that are none.

use super::*;

fn json(bytes: &[u8]) -> Result<String, Malformed> {
    let mut json = Vec::new();
    let mut cursor = Cursor::new(bytes);
    cursor.append_json(&mut json)?;
    assert!(cursor.at_end(), "{bytes:?}");
    Ok(String::from_utf8(json).unwrap())
}

#[test]
fn numbers_come_back_in_the_shortest_form() {
    for (value, bytes) in [
        (0, 1),
        (127, 1),
        (128, 2),
        (255, 2),
        (256, 3),
        (65_535, 3),
        (65_536, 5),
        (u32::MAX.into(), 5),
        (u64::from(u32::MAX) + 1, 9),
        (u64::MAX, 9),
    ] {
        let mut out = Vec::new();
        number(&mut out, value);
        assert_eq!((json(&out).unwrap(), out.len()), (value.to_string(), bytes));
    }
    for value in [0, -1, i64::MAX, i64::MIN] {
        let mut out = Vec::new();
        signed(&mut out, value);
        assert_eq!(json(&out).unwrap(), value.to_string());
    }
}

/// Forms that the writer does not use, but another one may.
#[test]
fn reads_all_forms_of_the_specification_that_have_a_meaning_here() {
    for (bytes, expected) in [
        (b"\xc0".as_slice(), "null"),
        (b"\xc2", "false"),
        (b"\xff", "-1"),
        (b"\xe0", "-32"),
        (b"\xd0\x80", "-128"),
        (b"\xd1\x7f\xff", "32767"),
        (b"\xd2\xff\xff\xff\xff", "-1"),
        (b"\xca\x3f\x00\x00\x00", "0.5"),
        (b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", "1.0"),
        (b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "null"),
        (b"\xda\x00\x01a", "\"a\""),
        (b"\xdc\x00\x02\x01\x02", "[1,2]"),
        (b"\xdd\x00\x00\x00\x01\x01", "[1]"),
        (b"\xdf\x00\x00\x00\x01\xa1k\x90", "{\"k\":[]}"),
    ] {
        assert_eq!(json(bytes).as_deref(), Ok(expected));
        let mut cursor = Cursor::new(bytes);
        assert_eq!((cursor.skip(), cursor.at_end()), (Ok(()), true));
    }
}

#[test]
fn quick_looks_see_what_tokens_say() {
    for first in 0..=255_u8 {
        let bytes = [&[first], [0, 1, 7, 9].as_slice(), &[b'x'; 300]].concat();
        let (mut token, mut number, mut text) =
            (Cursor::new(&bytes), Cursor::new(&bytes), Cursor::new(&bytes));
        let value = token.token();
        if let Some(small) = number.small_number() {
            assert_eq!(value, Ok(Token::Number(small.into())));
            assert_eq!(number.0, token.0);
        } else if let Some(small) = text.small_text() {
            assert_eq!(value, Ok(Token::Text(small)));
            assert_eq!(text.0, token.0);
        }
        assert!(number.0 == token.0 || number.0 == bytes);
        assert!(text.0 == token.0 || text.0 == bytes);
    }
    for bytes in [b"".as_slice(), b"\xcc", b"\xcd\x01", b"\xa2a", b"\xd9\x20a"] {
        let mut cursor = Cursor::new(bytes);
        assert_eq!((cursor.small_number(), cursor.small_text()), (None, None));
        assert_eq!(cursor.0, bytes);
    }
}

#[test]
fn keys_are_numbers_or_names_and_none_is_lost() {
    for (bytes, expected) in [
        (b"\x82\x00\xa1x\xa5model\xa1y".as_slice(), r#"{"id":"x","model":"y"}"#),
        (b"\x81\x7f\x07", r#"{"field_127":7}"#),
        (b"\x81\xa2\"\n\x07", r#"{"\"\n":7}"#),
    ] {
        assert_eq!(json(bytes).as_deref(), Ok(expected));
    }
}

#[test]
fn texts_are_escaped_as_json_wants_it() {
    let every: String = ('\0'..'\u{80}').chain(['é', '\u{2028}', '\u{1f680}']).collect();
    let alone = every.chars().map(|character| format!("{character}1234567{character}"));
    for text in [every.clone(), String::new(), "plain".repeat(5)].into_iter().chain(alone) {
        let mut json = Vec::new();
        append_text(&mut json, text.as_bytes());
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }
}

#[test]
fn what_is_no_value_is_refused() {
    let deep = [[0x91].repeat(DEPTH_MAX + 1), vec![0]].concat();
    for bytes in [
        b"".as_slice(),
        b"\xc1",
        b"\xc4\x01a",
        b"\xa2a",
        b"\xc5\x00\x02a",
        b"\xcd\x01",
        b"\xdb\xff\xff\xff\xffa",
        b"\x81\xc3\x01",
        b"\x92\x01",
        b"\xdf\xff\xff\xff\xff",
        &deep,
    ] {
        assert_eq!(json(bytes), Err(Malformed), "{bytes:x?}");
    }
    let mut cursor = Cursor::new(b"\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff");
    assert_eq!(cursor.skip(), Err(Malformed));
}

#[test]
fn bytes_of_a_value_stand_for_it() {
    let mut out = Vec::new();
    text(&mut out, "same");
    number(&mut out, 7);
    let start = Cursor::new(&out);
    let mut end = start;
    end.skip().unwrap();
    let same = start.bytes_to(&end);
    let mut cursor = start;
    assert!(!cursor.eat(b"\xa4some") && cursor.eat(same) && !cursor.eat(same));
    assert_eq!(cursor.token(), Ok(Token::Number(7)));
    assert!(cursor.at_end() && !cursor.eat(same));
}
