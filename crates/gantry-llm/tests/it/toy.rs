//! A dialect that a test brings along translates both ways with all others.

use crate::support::{REQUEST_ID, events, known, stream_context};
use crate::toy_dialect::{SAY, Toy};
use gantry_kinds::catalogue;
use gantry_llm::dialect::{Dialect, Dialects};
use gantry_llm::errors::{self, ErrorKind, ErrorView};
use gantry_llm::observe::{Observer, Seen};
use gantry_llm::operation::{Lookup, Operations};
use gantry_llm::sse;
use gantry_llm::stream::StreamTranslator;
use gantry_llm::translate::{self, Carried, ReplyContext, RequestContext};
use gantry_model::facts::Quirks;
use serde_json::{Value, json};

const OTHERS: [&str; 2] = ["openai", "anthropic"];

fn request(from: &dyn Dialect, to: &dyn Dialect, body: &[u8]) -> translate::Translated {
    let ctx = RequestContext {
        upstream_model: "m",
        quirks: &Quirks::default(),
        traits: None,
        claude: catalogue::claude("m"),
        version: "2023-06-01",
        stream: Some(true),
    };
    translate::request(from, to, body, &ctx).unwrap()
}

fn reply(from: &dyn Dialect, to: &dyn Dialect, body: &[u8]) -> Value {
    let carried = &Carried::default();
    let ctx = ReplyContext { model: "m", request_id: REQUEST_ID, carried, created_s: 0 };
    let done = translate::reply(from, to, body, &ctx).unwrap();
    serde_json::from_slice(&done.body).unwrap()
}

fn stream(from: &'static dyn Dialect, to: &'static dyn Dialect, stream: &str) -> String {
    let mut translator = StreamTranslator::new(from, to, stream_context(true));
    let mut out = Vec::new();
    for event in sse::events(stream.as_bytes()) {
        translator.event(event.name, &event.data, &mut out).unwrap();
    }
    translator.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The data of each event; the order of members means nothing.
fn values(stream: &str) -> Vec<Value> {
    events(stream).iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn requests_and_replies_go_to_every_dialect_and_back() {
    let whole = json!({"said": "hello", "why": "breath", "spent": [3, 4]});
    for name in OTHERS {
        let other = known(name);
        let there = request(&Toy, other, br#"{"say":"hi"}"#);
        let sent: Value = serde_json::from_slice(&there.body).unwrap();
        // The path said so.
        assert_eq!(sent["stream"], true, "{name}");
        let back = request(other, &Toy, &there.body);
        assert_eq!(back.body, br#"{"say":"hi"}"#, "{name}");
        let told = reply(&Toy, other, whole.to_string().as_bytes());
        assert_eq!(reply(other, &Toy, told.to_string().as_bytes()), whole, "{name}");
    }
}

#[test]
fn streams_go_to_every_dialect_and_back() {
    let song = "data: {\"word\":\"hel\"}\n\ndata: {\"word\":\"lo\"}\n\n\
                data: {\"spent\":[3,4],\"why\":\"end\"}\n\n";
    for name in OTHERS {
        let there = stream(&Toy, known(name), song);
        assert_eq!(values(&stream(known(name), &Toy, &there)), values(song), "{name}");
    }
}

#[test]
fn a_stream_is_metered_and_its_errors_are_told() {
    let mut observer = Observer::new(&Toy);
    let song = "data: {\"word\":\"hi\"}\n\ndata: {\"why\":\"end\",\"spent\":[3,4]}\n\n";
    let seen: Vec<Seen> = sse::events(song.as_bytes()).map(|each| observer.event(&each)).collect();
    assert_eq!(seen, [Seen::Content, Seen::Done]);
    assert_eq!(observer.usage().map(|usage| (usage.input, usage.output)), Some((3, 4)));
    let view = ErrorView {
        status: 529,
        kind: ErrorKind::Overloaded,
        code: None,
        param: None,
        message: "busy".to_owned(),
        request_id: String::new(),
    };
    assert_eq!(errors::print_body(&Toy, &view), br#"{"oops":"busy"}"#);
    assert_eq!(errors::status_for(&Toy, &view), 503);
}

#[test]
fn tables_take_one_more_row_of_each() {
    let dialects = Dialects::standard().with(&Toy);
    assert_eq!(dialects.by_name("toy").map(|toy| toy.name()), Some("toy"));
    let operations = Operations::standard().with(&SAY);
    let Lookup::Found(found) = operations.find("toy/a/m:sing", "POST", |_| false) else {
        panic!("the toy is not found");
    };
    assert_eq!((found.api.name, found.stream), ("toy", Some(true)));
    assert_eq!(found.captures.get("model"), Some("a/m"));
}
