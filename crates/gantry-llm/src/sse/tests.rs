//! Boundaries, fields, limits; the same events whatever the chunks.

use super::*;
use proptest::prelude::*;

fn read(input: &[u8]) -> Vec<(Option<String>, String)> {
    events(input)
        .map(|event| {
            let data = String::from_utf8_lossy(&event.data).into_owned();
            (event.name.map(str::to_owned), data)
        })
        .collect()
}

fn named(name: &str, data: &str) -> (Option<String>, String) {
    (Some(name.to_owned()).filter(|name| !name.is_empty()), data.to_owned())
}

#[test]
fn reads_events_as_the_standard_says() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("data: a\n\ndata:b\r\n\r\ndata:  c\r\r", &[("", "a"), ("", "b"), ("", " c")]),
        ("event: ping\ndata: {}\n\n", &[("ping", "{}")]),
        ("data: a\ndata: b\ndata\n\n", &[("", "a\nb\n")]),
        (": comment\n\n: another\ndata: a\nid: 7\nretry: 3\nother: x\n\n", &[("", "a")]),
        ("event: lost\n\ndata: a\n\n", &[("", "a")]),
        ("data:\n\ndata\n\n\n\n\n", &[]),
        ("\u{FEFF}data: a\n\n", &[("", "a")]),
        ("data: a:b\n\n", &[("", "a:b")]),
        ("event: a\nevent: b\ndata: x\n\n", &[("b", "x")]),
        ("data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]),
        ("data: a\n\ndata: b\n", &[("", "a"), ("", "b")]),
        ("", &[]),
    ];
    for (input, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(name, data)| named(name, data)).collect();
        assert_eq!(read(input.as_bytes()), expected, "{input:?}");
    }
}

#[test]
fn borrows_the_data_of_a_single_line() {
    let event = events(b"data: abc\n\n").next().unwrap();
    assert!(matches!(event.data, Cow::Borrowed(b"abc")));
}

#[test]
fn forwards_whole_events_and_holds_the_rest() {
    let mut splitter = Splitter::new(100);
    assert_eq!(splitter.push("data: a\n\nda".into()).unwrap(), "data: a\n\n");
    assert_eq!(splitter.held(), 2);
    assert_eq!(splitter.push("ta: b\n".into()).unwrap(), "");
    assert_eq!(splitter.push("\n\ndata: c\n\n: x".into()).unwrap(), "data: b\n\n\ndata: c\n\n");
    assert_eq!(splitter.take_held(), ": x");
    assert_eq!(splitter.held(), 0);
}

#[test]
fn completes_the_last_event_when_it_holds_data() {
    for (input, before, last) in [
        ("data: a\n\ndata: b", "data: a\n\n", "data: b\n\n"),
        ("event: e\ndata: b\n", "", "event: e\ndata: b\n\n\n"),
        ("data: b\r", "", "data: b\r\n\n"),
        ("data: b\r\n", "", "data: b\r\n\n\n"),
        ("data: a\n\n", "data: a\n\n", ""),
        ("data: a\n\n: bye", "data: a\n\n", ""),
        ("event: e\n", "", ""),
        ("", "", ""),
    ] {
        let mut splitter = Splitter::new(100);
        assert_eq!(splitter.push(input.into()).unwrap(), before, "{input:?}");
        let whole = splitter.finish();
        assert_eq!(whole, last, "{input:?}");
        assert_eq!(events(&whole).count(), usize::from(!last.is_empty()), "{input:?}");
        assert_eq!(splitter.finish(), "", "{input:?}");
    }
    let mut splitter = Splitter::new(8);
    assert!(splitter.push("data: too large".into()).is_err());
    assert_eq!(splitter.finish(), "");
}

#[test]
fn passes_a_chunk_of_whole_events_on_without_a_copy() {
    let mut splitter = Splitter::new(100);
    let chunk = Bytes::from(vec![b'\n'; 3]);
    assert_eq!(splitter.push(chunk.clone()).unwrap().as_ptr(), chunk.as_ptr());
}

#[test]
fn takes_a_crlf_apart_between_chunks() {
    let mut splitter = Splitter::new(100);
    let mut out = Vec::new();
    for chunk in ["data: a\r", "\ndata: b\r\n\r", "\n", "data: c\r", "\r", "data: d\n", "\r\n"] {
        out.push(splitter.push(chunk.into()).unwrap());
    }
    let expected = ["", "data: a\r\ndata: b\r\n\r", "\n", "", "data: c\r\r", "", "data: d\n\r\n"];
    assert_eq!(out, expected);
    assert_eq!(splitter.held(), 0);
}

#[test]
fn refuses_an_event_beyond_the_limit_after_the_events_before_it() {
    let too_large = Err(SseError::EventTooLarge { limit: 9 });
    let mut splitter = Splitter::new(9);
    assert_eq!(splitter.push("data: a\n\ndata: abc\n\n".into()).unwrap(), "data: a\n\n");
    assert!(splitter.held() > 0, "a stream that ends here is seen to be cut off");
    assert_eq!(splitter.push("data: b\n\n".into()), too_large);
    assert_eq!(splitter.push("data: b\n\n".into()), too_large);

    let mut splitter = Splitter::new(9);
    assert_eq!(splitter.push("data: abcd".into()), too_large);

    let mut splitter = Splitter::new(9);
    for chunk in ["data: ", "abc"] {
        assert_eq!(splitter.push(chunk.into()).unwrap(), "");
    }
    assert_eq!(splitter.push("\n\n".into()), too_large);
}

/// Cuts `bytes` at the given places.
pub(crate) fn chunks(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| Bytes::copy_from_slice(&bytes[pair[0]..pair[1]])).collect()
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "data: ?[a-zé:{}\"]{0,12}",
        "event: ?[a-z]{0,4}",
        "(: |id: |data|x)[a-z]{0,4}",
        Just(String::new()),
        Just(String::new()),
    ];
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    prop::collection::vec((line, end), 0..30)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>())
        .prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn gives_the_same_bytes_and_events_at_any_boundary(
        stream in any_stream(),
        cuts: [prop::sample::Index; 6],
    ) {
        let mut whole = Splitter::new(usize::MAX);
        let expected = whole.push(Bytes::copy_from_slice(&stream)).unwrap();
        let mut splitter = Splitter::new(usize::MAX);
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        for chunk in chunks(&stream, &cuts) {
            let complete = splitter.push(chunk).unwrap();
            found.extend(read(&complete));
            bytes.extend(complete);
        }
        prop_assert_eq!(&found, &read(&expected));
        prop_assert_eq!(&bytes, &expected);
        bytes.extend(splitter.take_held());
        prop_assert_eq!(bytes, stream);
    }

    #[test]
    fn gives_the_same_bytes_when_every_byte_comes_alone(stream in any_stream()) {
        let mut splitter = Splitter::new(usize::MAX);
        let mut found = Vec::new();
        for byte in &stream {
            found.extend(read(&splitter.push(Bytes::copy_from_slice(&[*byte])).unwrap()));
        }
        let mut whole = Splitter::new(usize::MAX);
        prop_assert_eq!(found, read(&whole.push(stream.into()).unwrap()));
    }
}

#[test]
fn an_edited_stream_keeps_what_is_no_data_and_the_lines_of_what_is() {
    let edit = |event: &Event<'_>| match &*event.data {
        b"drop" => Edit::Drop,
        b"lines" => Edit::Data(b"a\nb\n".to_vec()),
        _ => Edit::Keep,
    };
    for (from, to) in [
        ("data: a\n\n", "data: a\n\n"),
        ("data: a\r\ndata: b\r\n\r\n", "data: a\r\ndata: b\r\n\r\n"),
        (": one\n\n: two\ndata: drop\nid: 7\n\n", ": one\n\n: two\n\n"),
        ("data: drop\n\ndata: a\n\n", "data: a\n\n"),
        (
            ": on\nevent: e\ndata: lines\nid: 7\n\n",
            ": on\nevent: e\nid: 7\ndata: a\ndata: b\ndata: \n\n",
        ),
        ("\u{FEFF}data: lines\r\r", "data: a\ndata: b\ndata: \n\n"),
        (":\n\n\n", ":\n\n\n"),
        ("data: a", "data: a"),
        ("", ""),
    ] {
        let found = edited(from.as_bytes(), edit);
        assert_eq!(std::str::from_utf8(&found).unwrap(), to, "{from:?}");
    }
}
