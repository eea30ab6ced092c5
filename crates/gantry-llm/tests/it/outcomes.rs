//! Answers that are none: the same judgement by the observer and by the readers of all dialects,
//! whole and streamed.

use crate::support::{ANTHROPIC, OPENAI, REQUEST_ID, known, stream_context};
use gantry_llm::dialect::Dialect;
use gantry_llm::errors;
use gantry_llm::observe::{Malformed, Observer, Replies, Seen};
use gantry_llm::operation::{self, Handler};
use gantry_llm::sse;
use gantry_llm::stream::StreamTranslator;
use gantry_llm::translate::{self, ReplyContext, ToolNames};

/// What reads the replies of an operation.
fn replies(name: &str) -> &'static dyn Replies {
    let row = operation::ALL.iter().find(|row| row.name == name).unwrap();
    let Handler::Upstream(exchange) = &row.handler else { panic!("{name} is answered here") };
    exchange.replies.unwrap()
}

/// A chat reply or chunk with one choice.
fn chat(text: &str, finish: &str, more: &str) -> (String, Vec<String>) {
    let choice = |key: &str| {
        let said = format!(r#""{key}":{{"role":"assistant","content":"{text}"}}"#);
        format!(r#"{{"id":"c","choices":[{{"index":0,{said},"finish_reason":{finish}{more}}}]}}"#)
    };
    (choice("message"), vec![choice("delta")])
}

/// The same of a message.
fn message(text: &str, stop: &str) -> (String, Vec<String>) {
    let content = match text {
        "" => String::new(),
        text => format!(r#"{{"type":"text","text":"{text}"}}"#),
    };
    let whole = format!(
        r#"{{"type":"message","id":"m","role":"assistant","content":[{content}],
            "stop_reason":{stop},"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
    );
    let mut events = vec![
        r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}"#.to_owned(),
    ];
    if !text.is_empty() {
        events.push(format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{content}}}"#
        ));
        events.push(r#"{"type":"content_block_stop","index":0}"#.to_owned());
    }
    events.push(format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":{stop}}},"usage":{{"output_tokens":1}}}}"#
    ));
    (whole, events)
}

/// Asks all four readers whether the reply fails; they must agree.
#[track_caller]
fn check(
    (from, to): (&'static dyn Dialect, &'static dyn Dialect),
    operation: &str,
    (whole, events): &(String, Vec<String>),
    fails: bool,
) {
    let seen = Observer::new(replies(operation)).reply(whole.as_bytes());
    assert_eq!(matches!(seen, Err(Malformed::Error(_))), fails, "observer: {whole} {seen:?}");

    let names = ToolNames::default();
    let context =
        ReplyContext { model: "m", request_id: REQUEST_ID, tool_names: &names, created_s: 0 };
    let read = translate::reply(from, to, whole.as_bytes(), &context);
    assert_eq!(read.is_err(), fails, "reader: {whole} {read:?}");

    let mut observer = Observer::new(replies(operation));
    let mut translator = StreamTranslator::new(from, to, stream_context(false));
    let (mut error_seen, mut out) = (false, Vec::new());
    for data in events {
        let framed = format!("data: {data}\n\n");
        let event = sse::events(framed.as_bytes()).next().unwrap();
        error_seen |= matches!(observer.event(&event), Seen::Error(_));
        let _told_below = translator.event(None, data.as_bytes(), &mut out);
    }
    assert_eq!(error_seen, fails, "observer of streams: {events:?}");
    assert_eq!(translator.upstream_error().is_some(), fails, "translator: {events:?}");
}

#[test]
fn a_reason_that_means_failure_is_one_in_every_reader_and_a_filter_is_none() {
    // The reason, then whether an empty answer and one with text fail.
    let cases = [
        ("stop", false, false),
        ("length", false, false),
        ("error", true, true),
        ("insufficient_system_resource", true, true),
        ("network_error", true, true),
        ("abort", true, true),
        ("malformed_function_call", true, true),
        ("MALFORMED_FUNCTION_CALL", true, true),
        ("OTHER", true, true),
        ("content_filter", false, false),
        ("sensitive", false, false),
        ("SAFETY", false, false),
        ("guardrail_intervened", false, false),
        ("vibes", true, false),
    ];
    for (reason, empty_fails, text_fails) in cases {
        let quoted = format!("\"{reason}\"");
        for (text, fails) in [("", empty_fails), ("hi", text_fails)] {
            check((known(OPENAI), known(ANTHROPIC)), "chat", &chat(text, &quoted, ""), fails);
            check((known(ANTHROPIC), known(OPENAI)), "messages", &message(text, &quoted), fails);
        }
    }
}

#[test]
fn a_filtered_answer_is_a_refusal_to_callers() {
    let names = ToolNames::default();
    let context =
        ReplyContext { model: "m", request_id: REQUEST_ID, tool_names: &names, created_s: 0 };
    for reason in ["content_filter", "SAFETY", "sensitive", "PROHIBITED_CONTENT"] {
        let (whole, _) = chat("", &format!("\"{reason}\""), "");
        let read =
            translate::reply(known(OPENAI), known(ANTHROPIC), whole.as_bytes(), &context).unwrap();
        assert_eq!(read.finish_reason, "refusal", "{reason}");
    }
}

#[test]
fn an_error_inside_of_a_choice_is_one_and_what_says_nothing_is_none() {
    let cases = [
        (r#","error":{"code":502,"message":"boom"}"#, true),
        (r#","error":"boom""#, true),
        (r#","error":null"#, false),
        (r#","error":false"#, false),
        (r#","error":"""#, false),
    ];
    for (member, fails) in cases {
        for text in ["", "hi"] {
            check(
                (known(OPENAI), known(ANTHROPIC)),
                "chat",
                &chat(text, "\"stop\"", member),
                fails,
            );
        }
    }
}

#[test]
fn the_words_of_an_error_are_found_wherever_they_stand() {
    let (choice, _) = chat("", "\"error\"", r#","error":{"code":429,"message":"slow down"}"#);
    let (ended, _) = chat("", "\"network_error\"", "");
    let gave_up = "the model gave no answer: it ended with `network_error`";
    let cases = [
        (200, choice.as_str(), 429, "slow down"),
        (200, &ended, 502, gave_up),
        (200, r#"{"type":"message_delta","delta":{"stop_reason":"network_error"}}"#, 502, gave_up),
        (200, r#"{"object":"error","message":"boom","code":500}"#, 500, "boom"),
        (200, r#"{"detail":"boom"}"#, 502, "boom"),
        (400, r#"{"message":"boom"}"#, 400, "boom"),
        (422, r#"{"detail":[{"loc":["body","n"],"msg":"boom"}]}"#, 422, "body.n: boom"),
        (400, r#"{"msg":"boom"}"#, 400, r#"{"msg":"boom"}"#),
        (400, r#"{"error":["boom"]}"#, 400, r#"{"error":["boom"]}"#),
        (400, r#"{"error":{}}"#, 400, "the upstream answered with status 400"),
    ];
    for (status, body, meant, message) in cases {
        let view = errors::parse(known(OPENAI), status, body.as_bytes());
        assert_eq!((view.status, view.message.as_str()), (meant, message), "{body}");
    }
}

#[test]
fn a_stream_is_told_of_errors_in_any_envelope() {
    let cases = [
        ("chat", r#"{"object":"error","message":"boom","code":500}"#, true),
        ("chat", r#"{"message":"boom"}"#, true),
        ("chat", r#"{"detail":[{"loc":["body"],"msg":"boom"}]}"#, true),
        ("chat", r#"{"type":"error","error":{"type":"api_error","message":"boom"}}"#, true),
        ("chat", r#"{"id":"c","choices":[],"message":"hello"}"#, false),
        ("messages", r#"{"error":{"message":"boom"}}"#, true),
        ("messages", r#"{"object":"error","message":"boom"}"#, true),
        ("messages", r#"{"detail":"boom"}"#, true),
        ("messages", r#"{"type":"message_start","message":{"id":"m"}}"#, false),
        ("messages", r#"{"type":"new","message":"hello"}"#, false),
    ];
    for (operation, data, is_error) in cases {
        let framed = format!("data: {data}\n\n");
        let event = sse::events(framed.as_bytes()).next().unwrap();
        let seen = Observer::new(replies(operation)).event(&event);
        assert_eq!(matches!(seen, Seen::Error(_)), is_error, "{operation} {data}: {seen:?}");
    }
}

#[test]
fn only_a_callers_own_envelope_may_go_on() {
    let chat = r#"{"error":{"message":"m","type":null}}"#;
    let own = r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#;
    let cases = [
        (known(OPENAI), chat, true),
        (known(OPENAI), r#"{"error":{"code":"429","message":"m"}}"#, true),
        (known(OPENAI), r#"{"error":{"message":""}}"#, false),
        (known(OPENAI), r#"{"error":{"code":1}}"#, false),
        (known(OPENAI), r#"{"error":"m"}"#, false),
        (known(OPENAI), r#"[{"error":{"message":"m"}}]"#, false),
        (known(OPENAI), r#"{"object":"error","message":"m"}"#, false),
        (known(OPENAI), r#"{"message":"m"}"#, false),
        (known(OPENAI), r#"{"detail":[]}"#, false),
        (known(OPENAI), "boom", false),
        (known(ANTHROPIC), own, true),
        (known(ANTHROPIC), chat, false),
        (known(ANTHROPIC), r#"{"type":"error","error":{"message":"m"}}"#, false),
        (known(ANTHROPIC), r#"{"type":"error","message":"m"}"#, false),
    ];
    for (dialect, body, expected) in cases {
        assert_eq!(dialect.owns_error(body.as_bytes()), expected, "{} {body}", dialect.name());
    }
    // Clients of Messages pass over events without a name.
    assert!(known(ANTHROPIC).owns_error_event(Some("error"), own.as_bytes()));
    assert!(!known(ANTHROPIC).owns_error_event(None, own.as_bytes()));
}
