//! What is cut, and that every other byte stays.

use super::{Cut, cut_marked};
use crate::marks::{OF_CALL, UNSIGNED};
use crate::scan::Index;

fn cut(body: &str) -> Option<Cut> {
    cut_marked(body.as_bytes(), &Index::of(body.as_bytes()).unwrap())
}

/// `U` stands for an unsigned block, `C` for one that carries a call's signature, `S` for one of
/// Anthropic's, `T` for a call.
fn messages(short: &str) -> String {
    let blocks = [
        ("U", format!(r#"{{"type":"thinking","thinking":"hm","signature":"{UNSIGNED}"}}"#)),
        ("C", format!(r#"{{"signature": "{OF_CALL}x", "thinking":"" ,"type":"thinking"}}"#)),
        ("S", r#"{"type":"thinking","thinking":"hm","signature":"c2ln"}"#.to_owned()),
        ("T", r#"{"type":"tool_use","id":"t","name":"f","input":{ "n" : 1.0 }}"#.to_owned()),
    ];
    let mut text = short.to_owned();
    for (letter, block) in blocks {
        text = text.replace(&format!("<{letter}>"), &block);
    }
    text
}

#[test]
fn cuts_marked_blocks_and_keeps_every_other_byte() {
    for (before, after) in [
        (r#"[{"content":[<U>,<T>]}]"#, r#"[{"content":[<T>]}]"#),
        (r#"[{"content":[ <U> , <T> ]}]"#, r#"[{"content":[ <T> ]}]"#),
        (r#"[{"content":[<S>,<U>,<C>,<T>,<U>]}]"#, r#"[{"content":[<S>,<T>]}]"#),
        (r#"[{"content":[<U>,<C>,<S>]}]"#, r#"[{"content":[<S>]}]"#),
        (r#"["a", {"content":[<U>]} ,{"content":"b"}]"#, r#"["a" ,{"content":"b"}]"#),
        (r#"[{"content":[<U>,<C>]},{"content":[<C>,1]}]"#, r#"[{"content":[1]}]"#),
    ] {
        let body = format!(r#"{{"model":"m","messages":{}}}"#, messages(before));
        let found = cut(&body).unwrap();
        assert_eq!(String::from_utf8(found.messages).unwrap(), messages(after), "{before}");
    }
}

#[test]
fn requests_without_marked_blocks_are_left_alone() {
    for body in [
        r#"{"messages":[{"content":[<S>,<T>]},{"content":[]}]}"#.to_owned(),
        format!(r#"{{"system":"\"{UNSIGNED}","messages":[]}}"#),
        format!(r#"{{"messages":[{{"content":"\"{UNSIGNED}"}}]}}"#),
        format!(r#"{{"messages":[{{"content":[{{"type":"text","text":"\"{UNSIGNED}"}}]}}]}}"#),
        format!(r#"{{"messages":"{UNSIGNED}"}}"#),
        "{}".to_owned(),
    ] {
        assert_eq!(cut(&messages(&body)), None, "{body}");
    }
}

#[test]
fn what_the_caller_said_is_reported() {
    let body = r#"{"messages":[{"content":"a"},{"content":[<C>,<U>,<T>]},{"content":[<U>]}]}"#;
    let losses = cut(&messages(body)).unwrap().losses;
    let fields: Vec<&str> = losses.iter().map(|loss| loss.field.as_str()).collect();
    assert_eq!(fields, ["messages[1].content[1]", "messages[2].content[0]", "messages[2]"]);
}

#[test]
fn budgeted_thinking_ends_when_the_last_call_has_lost_its_own() {
    for (thinking, content, expected) in [
        (r#"{"type":"enabled","budget_tokens":2000}"#, "<U>,<T>", true),
        (r#"{"type":"enabled","budget_tokens":2000}"#, "<U>,<S>,<T>", false),
        (r#"{"type":"enabled","budget_tokens":2000}"#, "<U>,1", false),
        (r#"{"type":"adaptive"}"#, "<U>,<T>", false),
    ] {
        let body = format!(r#"{{"thinking":{thinking},"messages":[{{"content":[{content}]}}]}}"#);
        let found = cut(&messages(&body)).unwrap();
        assert_eq!(found.without_thinking, expected, "{body}");
        let told = found.losses.iter().any(|loss| loss.field == "thinking");
        assert_eq!(told, expected, "{body}");
    }
}
