//! Usage in all spellings, read by the observer and told to a caller of the other dialect: one
//! reader, so the numbers are the same.

use crate::dialect::anthropic::{Anthropic, Messages};
use crate::dialect::openai::{Choices, Embeddings, OpenAi};
use crate::dialect::{Dialect, StreamParser};
use crate::neutral::{Event, Losses, Sink};
use crate::observe::{Observer, Replies, Spent};
use crate::sse::events;
use gantry_model::usage::TokenUsage;

const CHAT: (&dyn Replies, &dyn Dialect) = (&Choices, &OpenAi);
const MESSAGES: (&dyn Replies, &dyn Dialect) = (&Messages, &Anthropic);

/// What the prompt is estimated at.
const PROMPT: u64 = 7;
/// The text of every answer: ten tokens by estimate.
const TEXT: &str = "Forty bytes of text are about ten tokens";

fn usage(input: u64, output: u64) -> TokenUsage {
    TokenUsage { input, output, ..TokenUsage::default() }
}

fn read(spent: TokenUsage) -> Spent {
    Spent { usage: spent, estimated: false, doubted: false }
}

fn estimated(spent: TokenUsage) -> Spent {
    Spent { estimated: true, ..read(spent) }
}

fn doubted(spent: TokenUsage) -> Spent {
    Spent { doubted: true, ..estimated(spent) }
}

/// A whole reply, and the events of a streamed one with the usage where its dialect has it.
fn bodies((_, dialect): (&dyn Replies, &dyn Dialect), usage: &str) -> (String, String) {
    match dialect.name() {
        "openai" => (
            format!(
                r#"{{"choices":[{{"message":{{"content":"{TEXT}"}},"finish_reason":"stop"}}],
                "usage":{usage}}}"#
            ),
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{TEXT}\"}}}}]}}\n\n\
                data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
                data: {{\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n"
            ),
        ),
        _ => (
            format!(
                r#"{{"type":"message","content":[{{"type":"text","text":"{TEXT}"}}],
                "stop_reason":"end_turn","usage":{usage}}}"#
            ),
            format!(
                "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{{\
                \"input_tokens\":0,\"output_tokens\":0}}}}}}\n\n\
                data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\
                \"type\":\"text\",\"text\":\"\"}}}}\n\n\
                data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\
                \"type\":\"text_delta\",\"text\":\"{TEXT}\"}}}}\n\n\
                data: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n\
                data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\
                \"usage\":{usage}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
            ),
        ),
    }
}

/// The last usage that a parser of streams tells.
#[derive(Default)]
struct Told {
    usage: Option<TokenUsage>,
    ended: bool,
}

impl Sink for Told {
    fn send(&mut self, event: Event<'_>) {
        match event {
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.ended = true,
            _ => {}
        }
    }
}

fn told(parser: &mut dyn StreamParser, stream: &str) -> Told {
    let mut told = Told::default();
    for event in events(stream.as_bytes()) {
        parser.event(event.name, &event.data, &mut told).unwrap();
    }
    told
}

fn seen(replies: &'static dyn Replies, stream: &str) -> Observer {
    let mut observer = Observer::new(replies);
    for event in events(stream.as_bytes()) {
        observer.event(&event);
    }
    observer
}

/// The record's numbers, streamed and whole, and that a caller of another dialect is told the same
/// as far as it was read.
fn check(wire: (&'static dyn Replies, &'static dyn Dialect), cases: &[(&str, Spent)]) {
    for (sent, expected) in cases {
        let (whole, stream) = bodies(wire, &sent.replace('\n', " "));
        let mut observer = Observer::new(wire.0);
        observer.reply(whole.as_bytes()).unwrap();
        assert_eq!(observer.spent(|| PROMPT), *expected, "whole: {sent}");
        let reply = wire.1.read_reply(whole.as_bytes(), &mut Losses::default()).unwrap();
        assert_eq!(reply.usage, observer.usage(), "whole: {sent}");
        let observer = seen(wire.0, &stream);
        assert_eq!(observer.spent(|| PROMPT), *expected, "stream: {sent}");
        let told = told(&mut *wire.1.stream_parser(), &stream);
        assert!(told.ended, "{sent}");
        assert_eq!(told.usage, observer.usage(), "stream: {sent}");
    }
}

#[test]
fn a_side_counts_as_it_was_read_and_is_estimated_where_it_was_not() {
    check(
        CHAT,
        &[
            (r#"{"prompt_tokens":1000,"completion_tokens":100}"#, read(usage(1000, 100))),
            (r#"{"prompt_tokens":1000,"completion_tokens":null}"#, estimated(usage(1000, 10))),
            (r#"{"prompt_tokens":1000}"#, estimated(usage(1000, 10))),
            (r#"{"completion_tokens":100}"#, estimated(usage(7, 100))),
            (r#"{"prompt_tokens":0,"completion_tokens":100}"#, estimated(usage(7, 100))),
            (r#"{"prompt_tokens":1000,"completion_tokens":0}"#, estimated(usage(1000, 10))),
            (
                r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
                estimated(usage(7, 10)),
            ),
            (r#"{"prompt_tokens":1000,"total_tokens":1100}"#, read(usage(1000, 100))),
            (r#"{"completion_tokens":100,"total_tokens":1100}"#, read(usage(1000, 100))),
            (r#"{"total_tokens":1100}"#, estimated(usage(1090, 10))),
            (r#"{"prompt_tokens":-5,"completion_tokens":100}"#, doubted(usage(7, 100))),
            ("{}", estimated(usage(7, 10))),
            ("null", estimated(usage(7, 10))),
            ("[]", estimated(usage(7, 10))),
            (r#"[{"prompt_tokens":5}]"#, estimated(usage(7, 10))),
            (r#""none""#, estimated(usage(7, 10))),
        ],
    );
    check(
        MESSAGES,
        &[
            (r#"{"input_tokens":1000,"output_tokens":100}"#, read(usage(1000, 100))),
            (r#"{"input_tokens":1000,"output_tokens":null}"#, estimated(usage(1000, 10))),
            (r#"{"output_tokens":100}"#, estimated(usage(7, 100))),
            (r#"{"input_tokens":0,"output_tokens":0}"#, estimated(usage(7, 10))),
            (r#"{"input_tokens":-5,"output_tokens":100}"#, doubted(usage(7, 100))),
            ("[]", estimated(usage(7, 10))),
        ],
    );
}

#[test]
fn counts_of_odd_types_are_read_or_doubted_and_cost_no_answer() {
    let good = ["10", "10.0", "1e1", "\"10\"", "\" 10 \"", "\"10.0\""];
    let bad = [
        "-1",
        "-1.0",
        "\"-1\"",
        "18446744073709551616",
        "1000000000000000000000000000000",
        "1e400",
        "10.5",
        "[10]",
        "[]",
        "{\"n\":10}",
        "true",
        "\"ten\"",
        "\"\"",
        "100000001",
    ];
    for (wire, [input, output]) in [
        (CHAT, ["prompt_tokens", "completion_tokens"]),
        (MESSAGES, ["input_tokens", "output_tokens"]),
    ] {
        for count in good {
            let sent = format!(r#"{{"{input}":{count},"{output}":{count}}}"#);
            check(wire, &[(&sent, read(usage(10, 10)))]);
        }
        for count in bad {
            let sent = format!(r#"{{"{input}":{count},"{output}":100}}"#);
            check(wire, &[(&sent, doubted(usage(7, 100)))]);
            let sent = format!(r#"{{"{input}":1000,"{output}":{count}}}"#);
            check(wire, &[(&sent, doubted(usage(1000, 10)))]);
        }
    }
}

#[test]
fn what_only_the_sum_shows_is_counted() {
    let reasoning = |reasoning, usage| TokenUsage { reasoning, ..usage };
    let cached = |cache_read, usage| TokenUsage { cache_read, ..usage };
    check(
        CHAT,
        &[
            // Gemini's thoughts; xAI's reasoning.
            (
                r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1500}"#,
                read(reasoning(400, usage(1000, 500))),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":18,
                "completion_tokens_details":{"reasoning_tokens":7}}"#,
                read(reasoning(7, usage(9, 9))),
            ),
            // A prompt without its cached part.
            (
                r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":1050,
                "prompt_tokens_details":{"cached_tokens":900}}"#,
                read(cached(900, usage(1000, 50))),
            ),
            // A sum that is too small says nothing.
            (
                r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1000}"#,
                read(usage(1000, 100)),
            ),
        ],
    );
}

#[test]
fn cache_writes_are_read_in_all_their_places() {
    let written = |write, write_1h, input| TokenUsage {
        cache_write: write,
        cache_write_1h: write_1h,
        ..usage(input, 100)
    };
    let sides = r#""prompt_tokens":3100,"completion_tokens":100"#;
    for part in [
        r#""cache_creation_input_tokens":3000"#,
        r#""prompt_tokens_details":{"cache_write_tokens":3000}"#,
        r#""prompt_tokens_details":{"cache_creation_tokens":3000,"cached_tokens":0}"#,
    ] {
        let sent = format!("{{{sides},{part}}}");
        check(CHAT, &[(&sent, read(written(3000, 0, 3100)))]);
    }
    let lifetimes =
        r#""cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}"#;
    let sent = format!("{{{sides},{lifetimes}}}");
    check(CHAT, &[(&sent, read(written(3000, 2000, 3100)))]);
    let fresh = r#""input_tokens":100,"output_tokens":100"#;
    for sum in ["", r#","cache_creation_input_tokens":3000"#, r#","cache_creation_input_tokens":0"#]
    {
        let sent = format!("{{{fresh},{lifetimes}{sum}}}");
        check(MESSAGES, &[(&sent, read(written(3000, 2000, 3100)))]);
    }
}

#[test]
fn iterations_beside_the_sums_are_counted() {
    let compaction = r#"{"type":"compaction","input_tokens":180000,"output_tokens":3500}"#;
    let message = r#"{"type":"message","input_tokens":23000,"output_tokens":1000}"#;
    let sums = r#""input_tokens":23000,"output_tokens":1000"#;
    let cases = [
        (format!("{compaction},{message}"), read(usage(203_000, 4_500))),
        (message.to_owned(), read(usage(23_000, 1_000))),
        (String::new(), read(usage(23_000, 1_000))),
        (r#"{"input_tokens":1,"output_tokens":-1},7"#.to_owned(), doubted(usage(23_000, 1_000))),
    ];
    for (list, expected) in cases {
        check(MESSAGES, &[(&format!(r#"{{{sums},"iterations":[{list}]}}"#), expected)]);
    }
    check(MESSAGES, &[(&format!(r#"{{{sums},"iterations":7}}"#), read(usage(23_000, 1_000)))]);
}

fn chunk(text: &str, usage: &str) -> String {
    let delta = format!(r#"{{"index":0,"delta":{{"content":"{text}"}}}}"#);
    format!("data: {{\"choices\":[{delta}],\"usage\":{usage}}}\n\n")
}

#[test]
fn what_says_nothing_replaces_nothing() {
    let said = r#"{"prompt_tokens":21,"completion_tokens":7,"total_tokens":28}"#;
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let later = [
        ("null", read(usage(21, 7))),
        ("{}", read(usage(21, 7))),
        ("[]", read(usage(21, 7))),
        (r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, read(usage(21, 7))),
        (r#"{"prompt_tokens":21,"completion_tokens":0}"#, read(usage(21, 7))),
        (r#"{"prompt_tokens":null,"completion_tokens":9}"#, read(usage(21, 9))),
        (r#"{"prompt_tokens":-1,"completion_tokens":9}"#, read(usage(21, 9))),
        (r#"{"prompt_tokens":21,"completion_tokens":-1}"#, doubted(usage(21, 7))),
    ];
    for (later, expected) in later {
        let empty = format!("data: {{\"choices\":[],\"usage\":{later}}}\n\n");
        let stream = chunk("a", said) + stop + &empty + "data: [DONE]\n\n";
        let observer = seen(CHAT.0, &stream);
        assert_eq!(observer.spent(|| PROMPT), expected, "{later}");
        let told = told(&mut *CHAT.1.stream_parser(), &stream);
        assert_eq!(told.usage, observer.usage(), "{later}");
    }
}

#[test]
fn a_cut_stream_is_estimated_from_its_last_count_on() {
    let counted = r#"{"prompt_tokens":1000,"completion_tokens":60}"#;
    let long = "Three words more ".repeat(20);
    let start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\
        \"input_tokens\":1000,\"output_tokens\":1}}}\n\n";
    let text = format!(
        "data: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\
        \"text\":\"{TEXT}\"}}}}\n\n"
    );
    let delta = "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\
        \"output_tokens\":60}}\n\n";
    let cases = [
        (CHAT, chunk(&long, counted), usage(1000, 60)),
        (CHAT, chunk(&long, counted) + &chunk(TEXT, "null"), usage(1000, 70)),
        (CHAT, chunk(&long, "null"), usage(7, 85)),
        (MESSAGES, format!("{start}{text}"), usage(1000, 10)),
        (MESSAGES, format!("{start}{text}{text}{text}{delta}"), usage(1000, 60)),
        (MESSAGES, format!("{start}{text}{delta}{text}"), usage(1000, 70)),
    ];
    for (wire, stream, expected) in cases {
        assert_eq!(seen(wire.0, &stream).spent(|| PROMPT), estimated(expected), "{stream}");
    }
}

#[test]
fn embeddings_have_no_answer_to_count() {
    let cases = [
        (r#"{"prompt_tokens":3,"total_tokens":3}"#, read(usage(3, 0))),
        (r#"{"total_tokens":3}"#, read(usage(3, 0))),
        (r#"{"prompt_tokens":"3"}"#, read(usage(3, 0))),
        (r#"{"prompt_tokens":0,"total_tokens":0}"#, estimated(usage(7, 0))),
        (r#"{"prompt_tokens":-3}"#, doubted(usage(7, 0))),
        ("null", estimated(usage(7, 0))),
    ];
    for (sent, expected) in cases {
        let body = format!(r#"{{"data":[{{"embedding":[0.1]}}],"usage":{sent}}}"#);
        let mut observer = Observer::new(&Embeddings);
        observer.reply(body.as_bytes()).unwrap();
        assert_eq!(observer.spent(|| PROMPT), expected, "{sent}");
    }
}
