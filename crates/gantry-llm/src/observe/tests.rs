//! What is seen in replies of all dialects and of servers that bend them.

use super::*;
use crate::dialect::anthropic::Messages;
use crate::dialect::openai::{Choices, Embeddings};
use crate::sse::tests::chunks;
use crate::sse::{Splitter, events};
use proptest::prelude::*;

const CHAT: &dyn Replies = &Choices;
const EMBEDDING: &dyn Replies = &Embeddings;
const MESSAGES: &dyn Replies = &Messages;

fn chunk(delta: &str, finish: &str) -> String {
    let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":{finish}}}"#);
    format!(r#"{{"id":"c1","model":"gpt","choices":[{choice}],"usage":null}}"#)
}

fn see(wire: &'static dyn Replies, data: &str) -> (Seen, Observer) {
    let mut observer = Observer::new(wire);
    let stream = format!("data: {data}\n\n");
    let seen = observer.event(&events(stream.as_bytes()).next().unwrap());
    (seen, observer)
}

fn is_final(observer: &Observer) -> bool {
    !observer.spent(|| 0).estimated
}

fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64) -> TokenUsage {
    TokenUsage { input, cache_read, cache_write, output, ..TokenUsage::default() }
}

#[test]
fn tells_the_first_token_from_what_comes_before_it() {
    let cases = [
        (r#"{"role":"assistant","content":""}"#, Seen::Preamble, 0),
        (
            r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#,
            Seen::Preamble,
            0,
        ),
        ("{}", Seen::Preamble, 0),
        (r#"{"role":"assistant","content":"é"}"#, Seen::Content, 2),
        (r#"{"content":"\u00e9\n\ud83d\ude00\"x"}"#, Seen::Content, 9),
        (r#"{"content":"\ud83d"}"#, Seen::Content, 2),
        (r#"{"content":"{\"usage\":{\"prompt_tokens\":1},\"error\":{}}"}"#, Seen::Content, 40),
        (r#"{"content":"usage"}"#, Seen::Content, 5),
        (r#"{"content":[{"type":"text","text":"a"}]}"#, Seen::Content, 28),
        (r#"{"refusal":"no"}"#, Seen::Content, 2),
        (r#"{"reasoning_content":"hm"}"#, Seen::Content, 2),
        (r#"{"reasoning":"hm","reasoning_content":"hm"}"#, Seen::Content, 2),
        (
            r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]}"#,
            Seen::Content,
            1,
        ),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, Seen::Content, 2),
        (r#"{"function_call":{"name":"f"}}"#, Seen::Content, 1),
        (r#"{"audio":{"id":"a"}}"#, Seen::Content, 0),
    ];
    for (delta, expected, bytes) in cases {
        let (seen, observer) = see(CHAT, &chunk(delta, "null"));
        assert_eq!((seen, observer.output_bytes()), (expected, bytes), "{delta}");
        assert_eq!((observer.usage(), observer.finish_reason()), (None, None), "{delta}");
        assert_eq!((observer.model(), observer.message_id()), (Some("gpt"), Some("c1")));
    }
}

#[test]
fn tells_reasoning_that_is_shown_from_none() {
    let delta = |delta: &str| format!(r#"{{"type":"content_block_delta","delta":{delta}}}"#);
    let cases = [
        (CHAT, chunk(r#"{"content":"a"}"#, "null"), false),
        (CHAT, chunk(r#"{"content":"a","reasoning":""}"#, "null"), false),
        (CHAT, chunk(r#"{"reasoning_content":"hm"}"#, "null"), true),
        (CHAT, chunk(r#"{"reasoning_details":[{"text":"hm"}]}"#, "null"), true),
        (MESSAGES, delta(r#"{"type":"thinking_delta","thinking":"hm"}"#), true),
        (MESSAGES, delta(r#"{"type":"thinking_delta","thinking":""}"#), false),
        (MESSAGES, delta(r#"{"type":"signature_delta","signature":"x"}"#), false),
        (MESSAGES, delta(r#"{"type":"text_delta","text":"a"}"#), false),
    ];
    for (wire, data, expected) in cases {
        assert_eq!(see(wire, &data).1.shows_reasoning(), expected, "{data}");
    }
}

#[test]
fn reads_openai_events() {
    let filter = r#"{"id":"","model":"","choices":[],"prompt_filter_results":[{}]}"#;
    let counts = r#""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
    let cases = [
        (chunk("{}", r#""stop""#), Seen::Finish),
        (chunk(r#"{"content":"a"}"#, r#""length""#), Seen::Content),
        (filter.to_owned(), Seen::Preamble),
        (format!(r#"{{"choices":[],{counts}}}"#), Seen::Usage),
        (format!(r#"{{"choices":[{{"delta":{{"content":"a"}}}}],{counts}}}"#), Seen::Content),
        (format!(r#"{{"choices":[{{"delta":{{"role":"assistant"}}}}],{counts}}}"#), Seen::Preamble),
        ("[DONE]".to_owned(), Seen::Done),
        (r#"{"hello":1}"#.to_owned(), Seen::Ignored),
        ("<html>".to_owned(), Seen::Malformed),
        (r#"{"choices":["#.to_owned(), Seen::Malformed),
        (r#"{"choices":[]} x"#.to_owned(), Seen::Malformed),
        ("[]".to_owned(), Seen::Malformed),
    ];
    for (data, expected) in cases {
        assert_eq!(see(CHAT, &data).0, expected, "{data}");
    }
    let text = r#"{"choices":[{"text":"abc","finish_reason":null}]}"#;
    let (seen, observer) = see(CHAT, text);
    assert_eq!((seen, observer.output_bytes()), (Seen::Content, 3));
}

#[test]
fn a_stream_without_end_mark_may_end_once_all_choices_have_stopped() {
    let content = chunk(r#"{"content":"a"}"#, "null");
    let stop = chunk("{}", r#""stop""#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let cases = [
        (vec![content.as_str()], false),
        (vec![&content, &stop], true),
        (vec![&content, &stop, usage], true),
        (vec![&content, &stop, &content], false),
        (vec![&content, &stop, &content, &stop], true),
        (vec!["[DONE]"], true),
    ];
    for (chunks, expected) in cases {
        let mut observer = Observer::new(CHAT);
        for data in &chunks {
            let stream = format!("data: {data}\n\n");
            observer.event(&events(stream.as_bytes()).next().unwrap());
        }
        assert_eq!(observer.may_end(), expected, "{chunks:?}");
    }
}

#[test]
fn reads_errors_in_the_shapes_that_servers_use() {
    let error = |kind: Option<&str>, code: Option<&str>, message: &str| {
        Seen::Error(Box::new(UpstreamError {
            kind: kind.map(str::to_owned),
            code: code.map(str::to_owned),
            message: Some(message.to_owned()),
        }))
    };
    let cases = [
        (
            r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#,
            error(Some("server_error"), None, "m"),
        ),
        (r#"{"error":{"message":"m","code":502},"choices":[]}"#, error(None, Some("502"), "m")),
        (r#"{"error":"m"}"#, error(None, None, "m")),
        // Google's form.
        (r#"[{"error":{"code":503,"message":"m"}}]"#, error(None, Some("503"), "m")),
        (r#"[{"choices":[]}]"#, Seen::Malformed),
        (
            r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
            error(Some("BadRequestError"), Some("400"), "m"),
        ),
        (r#"{"choices":[],"error":null}"#, Seen::Preamble),
    ];
    for (data, expected) in cases {
        assert_eq!(see(CHAT, data).0, expected, "{data}");
    }
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    let expected = error(Some("overloaded_error"), None, "m");
    assert_eq!(see(MESSAGES, overloaded).0, expected);
    for wire in [CHAT, MESSAGES] {
        let mut observer = Observer::new(wire);
        let event = sse::Event { name: Some("error"), data: b"gone"[..].into() };
        assert_eq!(observer.event(&event), error(None, None, "gone"));
    }
}

fn block(json: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":0,"content_block":{json}}}"#)
}

fn delta(json: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":0,"delta":{json}}}"#)
}

fn message_delta(reason: &str) -> String {
    let usage = r#""usage":{"output_tokens":5}"#;
    format!(r#"{{"type":"message_delta","delta":{{"stop_reason":{reason}}},{usage}}}"#)
}

#[test]
fn reads_message_events() {
    let thinking = r#"{"type":"thinking","thinking":"","signature":""}"#;
    let tool = r#"{"type":"tool_use","id":"t","name":"fn","input":{}}"#;
    let part =
        |json: &str| delta(&format!(r#"{{"type":"input_json_delta","partial_json":{json}}}"#));
    let cases = [
        (r#"{"type":"ping"}"#.into(), Seen::Preamble, 0),
        (block(r#"{"type":"text","text":""}"#), Seen::Preamble, 0),
        (block(r#"{"type":"text","text":"a"}"#), Seen::Content, 1),
        (block(thinking), Seen::Preamble, 0),
        (block(tool), Seen::Content, 2),
        (block(r#"{"type":"redacted_thinking","data":"xx"}"#), Seen::Content, 0),
        (delta(r#"{"type":"text_delta","text":"abc"}"#), Seen::Content, 3),
        (delta(r#"{"type":"thinking_delta","thinking":"hm"}"#), Seen::Content, 2),
        (delta(r#"{"type":"signature_delta","signature":"EqQ="}"#), Seen::Content, 0),
        (part(r#""""#), Seen::Preamble, 0),
        (part(r#""{\"a\"""#), Seen::Content, 4),
        (delta(r#"{"type":"new_delta"}"#), Seen::Ignored, 0),
        (r#"{"type":"content_block_stop","index":0}"#.into(), Seen::Ignored, 0),
        (message_delta(r#""end_turn""#), Seen::Finish, 0),
        (message_delta("null"), Seen::Usage, 0),
        (r#"{"type":"message_stop"}"#.into(), Seen::Done, 0),
        (r#"{"type":"tomorrow"}"#.into(), Seen::Ignored, 0),
        ("nonsense".into(), Seen::Malformed, 0),
    ];
    for (data, expected, bytes) in cases {
        let (seen, observer) = see(MESSAGES, &data);
        assert_eq!((seen, observer.output_bytes()), (expected, bytes), "{data}");
    }
}

const CLAUDE: &str = include_str!("samples/claude.sse");
const GPT: &str = include_str!("samples/gpt.sse");

fn watch(wire: &'static dyn Replies, stream: &str) -> Observer {
    let mut observer = Observer::new(wire);
    for event in events(stream.as_bytes()) {
        observer.event(&event);
    }
    observer
}

#[test]
fn a_stream_is_empty_until_the_model_says_something() {
    let start =
        r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let opened = r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#;
    let said = r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    let (role, word) =
        (chunk(r#"{"role":"assistant"}"#, "null"), chunk(r#"{"content":"a"}"#, "null"));
    let cases: [(&'static dyn Replies, &[&str], bool); 6] = [
        (MESSAGES, &[start, opened, stop], true),
        (MESSAGES, &[start, opened, said, stop], false),
        (MESSAGES, &[start, &message_delta(r#""end_turn""#), stop], false),
        (CHAT, &["[DONE]"], true),
        (CHAT, &[&role, "[DONE]"], true),
        (CHAT, &[&role, &word, "[DONE]"], false),
    ];
    for (wire, events, expected) in cases {
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let observer = watch(wire, &stream);
        assert_eq!((observer.is_empty(), observer.ended()), (expected, true), "{stream}");
    }
}

#[test]
fn adds_up_a_claude_stream() {
    let observer = watch(MESSAGES, CLAUDE);
    let expected = TokenUsage { cache_write_1h: 10, reasoning: 4, ..usage(90, 50, 30, 15) };
    assert_eq!(observer.usage(), Some(expected));
    assert_eq!(observer.finish_reason(), Some("end_turn"));
    assert_eq!((observer.message_id(), observer.model()), (Some("msg_1"), Some("claude")));
    assert!(observer.ended() && is_final(&observer));
}

#[test]
fn knows_the_input_of_a_claude_stream_that_was_cut_off() {
    let cut = CLAUDE.find("event: message_delta").unwrap();
    let observer = watch(MESSAGES, &CLAUDE[..cut]);
    assert_eq!(observer.usage().unwrap().input, 90);
    assert!(!is_final(&observer) && !observer.ended());
    assert_eq!(observer.output_bytes(), 2);
}

#[test]
fn adds_up_a_gpt_stream() {
    let observer = watch(CHAT, GPT);
    let expected = TokenUsage { reasoning: 8, ..usage(9, 4, 0, 12) };
    assert_eq!(observer.usage(), Some(expected));
    assert_eq!(observer.finish_reason(), Some("stop"));
    assert!(observer.ended() && is_final(&observer));
    assert_eq!(observer.output_bytes(), 3);
}

#[test]
fn normalises_the_counts_of_compatible_servers() {
    let plain = r#""prompt_tokens":9,"completion_tokens":2"#;
    let deepseek = r#""prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3"#;
    let cached = r#""prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":3}"#;
    let reasoning = r#""completion_tokens_details":{"reasoning_tokens":7}"#;
    let timings = r#""timings":{"cache_n":5,"prompt_n":4,"prompt_ms":3.1,"predicted_n":2}"#;
    let cases = [
        (format!(r#""usage":{{{plain},"prompt_tokens_details":null}}"#), usage(9, 0, 0, 2)),
        (format!(r#""usage":{{{plain},{cached}}}"#), usage(9, 5, 3, 2)),
        (format!(r#""usage":{{{plain},{deepseek},{cached}}}"#), usage(9, 5, 3, 2)),
        (format!(r#""usage":{{{plain},{deepseek}}}"#), usage(9, 6, 0, 2)),
        (format!(r#""usage":{{"completion_tokens":2,{deepseek}}}"#), usage(9, 6, 0, 2)),
        // xAI: reasoning beside the completion.
        (
            format!(r#""usage":{{{plain},"total_tokens":18,{reasoning}}}"#),
            TokenUsage { reasoning: 7, ..usage(9, 0, 0, 9) },
        ),
        // Groq's stream; llama.cpp without `usage` and with it.
        (
            format!(r#""x_groq":{{"id":"r","usage":{{{plain},"queue_time":0.1}}}}"#),
            usage(9, 0, 0, 2),
        ),
        (timings.to_owned(), usage(9, 5, 0, 2)),
        (format!(r#"{timings},"usage":{{{plain}}}"#), usage(9, 0, 0, 2)),
        // Floats, and more cached tokens than tokens.
        (
            r#""usage":{"prompt_tokens":9.0,"completion_tokens":2,"cached_tokens":99}"#.to_owned(),
            usage(9, 9, 0, 2),
        ),
    ];
    for (member, expected) in cases {
        let data = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],{member}}}"#);
        let (_, observer) = see(CHAT, &data);
        assert_eq!(observer.usage(), Some(expected), "{member}");
        assert!(is_final(&observer), "{member}");
    }
    for member in [r#""usage":null"#, r#""usage":{}"#, r#""usage":"9""#, r#""timings":{}"#] {
        let (_, observer) = see(CHAT, &format!(r#"{{"choices":[],{member}}}"#));
        assert_eq!(observer.usage(), None, "{member}");
    }
}

#[test]
fn counts_beyond_belief_are_taken_as_not_sent() {
    let absurd = 1_000_000_000_000_000_000_u64;
    let choice = r#""choices":[{"message":{"content":"abc"},"finish_reason":"stop"}]"#;
    let content = r#""content":[{"type":"text","text":"abc"}],"stop_reason":"end_turn""#;
    let cases = [
        (
            CHAT,
            format!(r#"{{{choice},"usage":{{"prompt_tokens":3,"completion_tokens":{absurd}}}}}"#),
            (usage(3, 0, 0, 0), true),
        ),
        (
            CHAT,
            format!(r#"{{{choice},"usage":{{"prompt_tokens":{absurd},"completion_tokens":2}}}}"#),
            (usage(0, 0, 0, 2), true),
        ),
        (
            CHAT,
            format!(r#"{{{choice},"usage":{{"prompt_tokens":100000000,"completion_tokens":2}}}}"#),
            (usage(100_000_000, 0, 0, 2), false),
        ),
        (
            MESSAGES,
            format!(
                r#"{{{content},"usage":{{"input_tokens":3,"output_tokens":2,
                    "cache_read_input_tokens":{absurd}}}}}"#
            ),
            (usage(3, 0, 0, 2), true),
        ),
    ];
    for (wire, body, (expected, doubted)) in cases {
        let mut observer = Observer::new(wire);
        observer.reply(body.as_bytes()).unwrap();
        assert_eq!(observer.usage(), Some(expected), "{body}");
        assert_eq!(observer.spent(|| 0).doubted, doubted, "{body}");
        assert_eq!(is_final(&observer), !doubted, "{body}");
    }
}

#[test]
fn takes_the_last_of_cumulative_usages() {
    let event = |output: u64| {
        let counts = format!(r#""usage":{{"prompt_tokens":9,"completion_tokens":{output}}}"#);
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],{counts}}}\n\n")
    };
    let observer = watch(CHAT, &(event(1) + &event(2)));
    assert_eq!(observer.usage(), Some(usage(9, 0, 0, 2)));
    assert!(!is_final(&observer), "the model has not stopped");
}

#[test]
fn meters_whole_replies() {
    let counts = r#""usage":{"prompt_tokens":3,"completion_tokens":1}"#;
    let choice = r#""message":{"role":"assistant","content":"abc"},"finish_reason":"stop""#;
    let claude = r#""usage":{"input_tokens":2,"cache_read_input_tokens":1,"output_tokens":1}"#;
    let content = r#""content":[{"type":"text","text":"abc"}],"stop_reason":"end_turn""#;
    let cases = [
        (
            CHAT,
            format!(r#"{{"choices":[{{{choice}}}],{counts}}}"#),
            (usage(3, 0, 0, 1), Some("stop"), 3),
        ),
        (
            CHAT,
            format!(r#"{{"choices":[{{"text":"abc","finish_reason":"length"}}],{counts}}}"#),
            (usage(3, 0, 0, 1), Some("length"), 3),
        ),
        (
            EMBEDDING,
            r#"{"data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":3}}"#.to_owned(),
            (usage(3, 0, 0, 0), None, 0),
        ),
        (
            EMBEDDING,
            r#"{"data":[{"embedding":"AAA="}],"usage":{"total_tokens":3}}"#.to_owned(),
            (usage(3, 0, 0, 0), None, 0),
        ),
        (
            MESSAGES,
            format!(r#"{{"type":"message",{content},{claude}}}"#),
            (usage(3, 1, 0, 1), Some("end_turn"), 3),
        ),
    ];
    for (wire, body, (expected, finish, bytes)) in cases {
        let mut observer = Observer::new(wire);
        observer.reply(body.as_bytes()).unwrap();
        assert_eq!(observer.usage(), Some(expected), "{body}");
        assert_eq!((observer.finish_reason(), observer.output_bytes()), (finish, bytes), "{body}");
        assert!(observer.ended() && is_final(&observer), "{body}");
    }
}

const EMPTY: &str = "the reply is empty: no content, no finish reason, no usage";

#[test]
fn a_reply_that_says_one_thing_is_not_empty() {
    let cases = [
        (CHAT, r#"{"choices":[{"message":{"content":"a"}}]}"#),
        (CHAT, r#"{"choices":[{"message":{"refusal":"no"}}]}"#),
        (CHAT, r#"{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}"#),
        (CHAT, r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#),
        (CHAT, r#"{"choices":[],"usage":{"prompt_tokens":3}}"#),
        (EMBEDDING, r#"{"data":[{"embedding":[1]}]}"#),
        (MESSAGES, r#"{"content":[],"stop_reason":"end_turn"}"#),
        (MESSAGES, r#"{"content":[{"type":"tool_use","name":"f"}]}"#),
    ];
    for (wire, body) in cases {
        assert_eq!(Observer::new(wire).reply(body.as_bytes()), Ok(()), "{body}");
    }
}

#[test]
fn refuses_replies_that_are_none() {
    let cases = [
        (CHAT, "", "the reply is not JSON"),
        (CHAT, "<html></html>", "the reply is not JSON"),
        (CHAT, r#"{"choices":[]"#, "the reply is not JSON"),
        (CHAT, r#"{"detail":"x"}"#, "the reply has status 200 but holds an error"),
        (CHAT, r#"{"choices":null}"#, "the reply has no `choices`"),
        (EMBEDDING, r#"{"choices":1}"#, "the reply has no `data`"),
        (MESSAGES, r#"{"choices":[]}"#, "the reply has no `content`"),
        (CHAT, r#"{"choices":[]}"#, EMPTY),
        (CHAT, r#"{"choices":[{"message":{"role":"assistant","content":""}}]}"#, EMPTY),
        (CHAT, r#"{"choices":[{"text":"","finish_reason":null}]}"#, EMPTY),
        (EMBEDDING, r#"{"data":[]}"#, EMPTY),
        (MESSAGES, r#"{"content":[{"type":"text","text":""}],"stop_reason":null}"#, EMPTY),
        (CHAT, r#"{"error":{}}"#, "the reply has status 200 but holds an error"),
        (CHAT, r#" [{"error":{}}] "#, "the reply has status 200 but holds an error"),
        (
            MESSAGES,
            r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#,
            "the reply has status 200 but holds an error",
        ),
    ];
    for (wire, body, expected) in cases {
        let error = Observer::new(wire).reply(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
}

proptest! {
    #[test]
    fn sees_the_same_at_any_chunk_boundary(
        cuts: [prop::sample::Index; 8],
        (wire, stream) in prop::sample::select(vec![(CHAT, GPT), (MESSAGES, CLAUDE)]),
    ) {
        let mut whole = Observer::new(wire);
        let expected: Vec<_> = events(stream.as_bytes()).map(|e| whole.event(&e)).collect();
        let mut splitter = Splitter::new(stream.len());
        let mut observer = Observer::new(wire);
        let mut seen = Vec::new();
        for chunk in chunks(stream.as_bytes(), &cuts) {
            let complete = splitter.push(chunk).unwrap();
            seen.extend(events(&complete).map(|event| observer.event(&event)));
        }
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(observer.usage(), whole.usage());
        prop_assert_eq!(observer.finish_reason(), whole.finish_reason());
        prop_assert_eq!(observer.output_bytes(), whole.output_bytes());
    }

    #[test]
    fn never_panics_on_bytes(data: Vec<u8>, json in crate::scan::tests::any_object()) {
        for wire in [CHAT, EMBEDDING, MESSAGES] {
            let mut observer = Observer::new(wire);
            let event = sse::Event { name: None, data: data.clone().into() };
            let json = json.to_string();
            observer.event(&event);
            let seen = observer.event(&sse::Event { name: None, data: json.as_bytes().into() });
            prop_assert!(seen != Seen::Malformed, "{}", json);
        }
    }
}
