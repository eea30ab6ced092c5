//! What is charged, to the nano-dollar: the same for whole and streamed replies, in the upstream's
//! own dialect and translated; and what the caller is told is what was charged, as far as it was
//! read.

use crate::harness::{Harness, chat, chat_stream, messages, text};
use bytes::Bytes;
use gantry_model::money::NanoUsd;
use gantry_model::record::RequestRecord;
use gantry_testkit::snapshot::{account, source, virtual_model};
use gantry_testkit::{Act, MockUpstream, Raw, Step};
use serde_json::{Value, json};

/// The text of every answer: forty bytes, ten tokens by estimate. The prompt's estimate is seven.
const TEXT: &str = "Forty bytes of text are about ten tokens";

fn priced(kind: &str, base_url: &str, (input, output): (f64, f64)) -> Value {
    json!({
        "type": format!("provider-account/{kind}"), "name": kind, "base_url": base_url,
        "auth_data": {"type": "api-key", "api_key": "sk-very-secret"},
        "integrations": [{
            "type": "integration/model", "name": "m", "model_id": "up",
            "authorized_subjects": ["team:everyone"],
            "cost": {"metric": "per_1000_tokens", "value": {"input": input, "output": output}},
        }],
    })
}

async fn gateway(mock: &MockUpstream) -> Harness {
    let mut chat = priced("openai", &format!("{}/v1", mock.url()), (0.0025, 0.01));
    chat["integrations"][0]["type"] = json!("integration/model/openai");
    let mut claude = priced("anthropic", &mock.url(), (0.004, 0.02));
    claude["integrations"][0]["type"] = json!("integration/model/anthropic");
    let entries = [account(chat).unwrap(), account(claude).unwrap()];
    Harness::start(source(&entries).unwrap()).await
}

fn raw(kind: &str, body: String) -> Step {
    Step::Raw(Raw {
        before: Vec::new(),
        status: 200,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: vec![Act::Send(Bytes::from(body))],
    })
}

fn whole_chat(usage: &str) -> Step {
    let choice = format!(r#"{{"message":{{"content":"{TEXT}"}},"finish_reason":"stop"}}"#);
    raw("application/json", format!(r#"{{"choices":[{choice}],"usage":{usage}}}"#))
}

fn chat_events(events: &[String]) -> Step {
    let stream = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    raw("text/event-stream", stream)
}

fn chunk(usage: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{TEXT}"}}}}],"usage":{usage}}}"#)
}

fn streamed_chat(usage: &str) -> Step {
    let stop = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned();
    let last = format!(r#"{{"choices":[],"usage":{usage}}}"#);
    chat_events(&[chunk("null"), stop, last, "[DONE]".to_owned()])
}

fn whole_message(usage: &str) -> Step {
    let content = format!(r#"[{{"type":"text","text":"{TEXT}"}}]"#);
    let body = format!(
        r#"{{"type":"message","content":{content},"stop_reason":"end_turn","usage":{usage}}}"#
    );
    raw("application/json", body)
}

fn streamed_message(usage: &str) -> Step {
    let start = json!({"type": "message_start", "message": {"usage": {"output_tokens": 1}}});
    let block = json!({"type": "text", "text": ""});
    let open = json!({"type": "content_block_start", "index": 0, "content_block": block});
    let delta = json!({"type": "text_delta", "text": TEXT});
    let said = json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let close = json!({"type": "content_block_stop", "index": 0});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}});
    let end = end.to_string().replacen('{', &format!(r#"{{"usage":{usage},"#), 1);
    let stop = json!({"type": "message_stop"}).to_string();
    let events = [start, open, said, close].map(|event| event.to_string());
    let all: Vec<_> = events.into_iter().chain([end, stop]).collect();
    chat_events(&all)
}

/// Sends one call to a model of each dialect of callers, streamed and not; each is answered by
/// `step`. Returns the answers with their records.
async fn in_all_ways(model: &str, steps: [Step; 2]) -> Vec<(String, RequestRecord)> {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let mut answers = Vec::new();
    let [whole, streamed] = steps;
    for (path, body, step) in [
        ("/v1/chat/completions", chat(model), &whole),
        ("/v1/chat/completions", chat_stream(model), &streamed),
        ("/v1/messages", messages(model, false), &whole),
        ("/v1/messages", messages(model, true), &streamed),
    ] {
        mock.script(vec![step.clone()]);
        let answer = gateway.post(path, &body).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        assert!(text(&answer).contains(TEXT), "{}", text(&answer));
        answers.push((text(&answer), gateway.records().pop().unwrap()));
    }
    answers
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Read,
    Estimated,
    Doubted,
}
use How::{Doubted, Estimated, Read};

fn check(sent: &str, (cost, how): (i64, How), answers: &[(String, RequestRecord)]) {
    for (answer, record) in answers {
        assert_eq!(record.cost, NanoUsd(cost), "{sent}: {record:#?}");
        assert_eq!(record.usage_estimated, how != Read, "{sent}: {record:#?}");
        let says = record.fidelity.iter().any(|loss| loss.field == "reply.usage");
        assert_eq!(says, how == Doubted, "{sent}: {record:#?}");
        assert_eq!(record.fault, "", "{sent}: {answer}");
    }
}

#[tokio::test]
async fn chat_usage_is_charged_as_far_as_it_was_read() {
    let cases = [
        (r#"{"prompt_tokens":1000,"completion_tokens":100}"#, 3_500_000, Read),
        (r#"{"prompt_tokens":1000,"completion_tokens":null}"#, 2_600_000, Estimated),
        (r#"{"prompt_tokens":1000,"total_tokens":1100}"#, 3_500_000, Read),
        (r#"{"prompt_tokens":-5,"completion_tokens":100}"#, 1_017_500, Doubted),
        (r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1500}"#, 7_500_000, Read),
        (r#"{"prompt_tokens":10.0,"completion_tokens":"10"}"#, 125_000, Read),
        (r#"{"prompt_tokens":1000,"completion_tokens":18446744073709551616}"#, 2_600_000, Doubted),
        (r#"{"prompt_tokens":[1],"completion_tokens":100}"#, 1_017_500, Doubted),
        ("[]", 117_500, Estimated),
        (r#"{"prompt_tokens":0,"completion_tokens":0}"#, 117_500, Estimated),
    ];
    for (sent, cost, how) in cases {
        let answers = in_all_ways("openai/m", [whole_chat(sent), streamed_chat(sent)]).await;
        check(sent, (cost, how), &answers);
    }
}

#[tokio::test]
async fn claudes_iterations_are_charged() {
    let iterations = r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
        {"type":"compaction","input_tokens":180000,"output_tokens":3500},
        {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#;
    let cases = [
        (r#"{"input_tokens":23000,"output_tokens":1000}"#, 112_000_000, Read),
        (&iterations.replace('\n', " "), 902_000_000, Read),
        (r#"{"input_tokens":1000,"output_tokens":{}}"#, 4_200_000, Doubted),
    ];
    for (sent, cost, how) in cases {
        let steps = [whole_message(sent), streamed_message(sent)];
        check(sent, (cost, how), &in_all_ways("anthropic/m", steps).await);
    }
}

#[tokio::test]
async fn the_caller_is_told_what_the_record_has() {
    let lifetimes = r#"{"input_tokens":100,"output_tokens":10,
        "cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}}"#;
    let lifetimes = lifetimes.replace('\n', " ");
    let steps = [whole_message(&lifetimes), streamed_message(&lifetimes)];
    let answers = in_all_ways("anthropic/m", steps).await;
    for (_, record) in &answers {
        assert_eq!(record.usage.input, 3_100, "{record:#?}");
    }
    let (whole, _) = &answers[0];
    let told: Value = serde_json::from_str(whole).unwrap();
    assert_eq!(told["usage"]["prompt_tokens"], 3_100, "{whole}");
    let sent = r#"{"prompt_tokens":21,"completion_tokens":7}"#;
    for later in ["{}", "[]", r#"{"prompt_tokens":0,"completion_tokens":0}"#] {
        let stop = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned();
        let last = format!(r#"{{"choices":[],"usage":{later}}}"#);
        let stream = chat_events(&[chunk(sent), stop, last, "[DONE]".to_owned()]);
        let answers = in_all_ways("openai/m", [whole_chat(sent), stream]).await;
        for (answer, record) in &answers {
            assert_eq!((record.usage.input, record.usage.output), (21, 7), "{later}: {record:#?}");
            assert!(!record.usage_estimated, "{later}: {record:#?}");
            assert!(!answer.contains(r#""output_tokens":0}"#) || answer.contains(":7"), "{answer}");
        }
        let (_, (streamed, _)) = (&answers[2], &answers[3]);
        assert!(streamed.contains(r#""input_tokens":21"#), "{later}: {streamed}");
        assert!(streamed.contains(r#""output_tokens":7"#), "{later}: {streamed}");
    }
}

#[tokio::test]
async fn a_cut_stream_costs_its_last_count_and_what_came_behind_it() {
    let counted = r#"{"prompt_tokens":1000,"completion_tokens":60}"#;
    let cases = [
        (vec![chunk("null"), chunk(counted)], 3_100_000),
        (vec![chunk(counted), chunk("null")], 3_200_000),
        // Without a count: the estimates of both sides, 17,500 and 200,000.
        (vec![chunk("null"), chunk("null")], 217_500),
    ];
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    for (events, cost) in cases {
        for (path, body) in [
            ("/v1/chat/completions", chat_stream("openai/m")),
            ("/v1/messages", messages("openai/m", true)),
        ] {
            mock.script(vec![chat_events(&events)]);
            let answer = gateway.post(path, &body).await;
            assert_eq!(answer.status, 200, "{}", text(&answer));
            let record = gateway.records().pop().unwrap();
            assert_eq!(record.cost, NanoUsd(cost), "{record:#?}");
            assert!(record.usage_estimated && record.refusal == "reset", "{record:#?}");
        }
    }
}

#[tokio::test]
async fn odd_types_beside_an_answer_never_cost_it() {
    let odd = ["7", "[]", "{}", "true", "-1.5", r#"["x"]"#];
    let good = r#"{"prompt_tokens":1000,"completion_tokens":100}"#;
    for value in odd {
        let beside = format!(
            r#""annotations":{value},"audio":null,"reasoning_details":{value},"refusal":{value}"#
        );
        let end = format!(r#""stop_reason":{value},"logprobs":{value}"#);
        let message = format!(r#"{{"content":"{TEXT}",{beside}}}"#);
        let choice = format!(r#"{{"message":{message},"finish_reason":"stop",{end}}}"#);
        let whole = raw("application/json", format!(r#"{{"choices":[{choice}],"usage":{good}}}"#));
        let delta = format!(r#"{{"choices":[{{"index":0,"delta":{message},{end}}}]}}"#);
        let finish = format!(
            r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":{value}}}],"usage":{good}}}"#
        );
        let stream = chat_events(&[delta, finish, "[DONE]".to_owned()]);
        check(value, (3_500_000, Read), &in_all_ways("openai/m", [whole, stream]).await);
        let sent = r#"{"input_tokens":1000,"output_tokens":100}"#;
        let content = format!(r#"[{{"type":"text","text":"{TEXT}","citations":null}}]"#);
        let end = format!(r#""stop_sequence":{value},"stop_details":{value}"#);
        let whole =
            format!(r#"{{"content":{content},"stop_reason":"end_turn",{end},"usage":{sent}}}"#);
        let steps = [raw("application/json", whole), streamed_message(sent)];
        check(value, (6_000_000, Read), &in_all_ways("anthropic/m", steps).await);
    }
}

/// A route whose first target answers with `first`, and whose second answers well.
async fn fallback(first: Step, config: gantry_gateway::Config) -> RequestRecord {
    let (mock, good) = (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap());
    let account_of = |name: &str, url: &str| {
        let mut chat = priced("openai", &format!("{url}/v1"), (0.0025, 0.01));
        chat["name"] = json!(name);
        chat["integrations"][0]["type"] = json!("integration/model/openai");
        account(chat).unwrap()
    };
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "first/m", "priority": 0, "retry_config": {"attempts": 0}},
            {"target": "second/m", "priority": 1},
        ],
    });
    let entries = [
        account_of("first", &mock.url()),
        account_of("second", &good.url()),
        virtual_model("route", "chat", routing).unwrap(),
    ];
    let gateway = Harness::start_with(source(&entries).unwrap(), config).await;
    mock.script(vec![first]);
    good.script(vec![whole_chat(r#"{"prompt_tokens":1000,"completion_tokens":100}"#)]);
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    gateway.record()
}

#[tokio::test]
async fn every_attempt_that_may_be_billed_has_tokens_and_a_cost() {
    let stalled = || {
        Step::Raw(Raw {
            before: vec![Act::Stall],
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
        })
    };
    let body = |body: &str| raw("application/json", body.to_owned());
    let status = |status: u16, body: &str| {
        Step::Raw(Raw {
            before: Vec::new(),
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: vec![Act::Send(Bytes::from(body.to_owned()))],
        })
    };
    let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":100}"#;
    let large = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "x".repeat(4000));
    let cases = [
        // Its prompt, by estimate.
        ("timeout", stalled(), 17_500, true),
        // As reported by a 200 that is no reply.
        ("malformed", body(&format!("{{\"choices\":null,{usage}}}")), 3_500_000, false),
        // Twenty bytes of an answer: five tokens.
        ("malformed", body(r#"{"choices":[{"messag"#), 67_500, true),
        ("stream_error", body(&format!("{{\"error\":{{}},{usage}}}")), 3_500_000, false),
        // Nobody bills what is an error, or no model's.
        ("stream_error", body(r#"{"error":{"message":"no"}}"#), 0, false),
        ("malformed", body("<html></html>"), 0, false),
        ("status", status(503, &format!("{{\"error\":{{}},{usage}}}")), 0, false),
    ];
    let config =
        || gantry_gateway::Config { attempt_timeout_ms: 300, ..gantry_gateway::Config::default() };
    for (outcome, step, cost, estimated) in cases {
        let record = fallback(step, config()).await;
        let [first, second] = record.attempts.as_slice() else { panic!("{record:#?}") };
        assert_eq!((first.outcome.as_ref(), first.cost), (outcome, NanoUsd(cost)), "{record:#?}");
        assert_eq!(second.cost, NanoUsd(3_500_000), "{record:#?}");
        assert_eq!(record.cost, NanoUsd(cost + 3_500_000), "{record:#?}");
        assert_eq!(record.usage.input, first.input_tokens + second.input_tokens);
        assert_eq!(record.usage_estimated, estimated, "{record:#?}");
    }
    let small = gantry_gateway::Config { reply_bytes_max: 2000, ..config() };
    let record = fallback(body(&large), small).await;
    let first = &record.attempts[0];
    assert_eq!(first.outcome, "too_large", "{record:#?}");
    assert!(first.input_tokens == 7 && first.cost > NanoUsd(17_500), "{record:#?}");
}

#[tokio::test]
async fn the_model_that_answered_is_kept_and_prices_what_has_no_price() {
    let mock = MockUpstream::start().await.unwrap();
    let mut chat_account = priced("openai", &format!("{}/v1", mock.url()), (0.0025, 0.01));
    let model = |name: &str, id: &str| {
        json!({
            "type": "integration/model/openai", "name": name, "model_id": id,
            "authorized_subjects": ["team:everyone"],
        })
    };
    let mut known = model("known", "real-one");
    known["cost"] = chat_account["integrations"][0]["cost"].clone();
    chat_account["integrations"] = json!([model("m", "our-router"), known]);
    let gateway = Harness::start(source(&[account(chat_account).unwrap()]).unwrap()).await;
    for (served, cost) in
        [("real-one", 3_500_000), ("Real-One-2026-01-31", 3_500_000), ("another", 0)]
    {
        let choice = r#"{"message":{"content":"a"},"finish_reason":"stop"}"#;
        let usage = r#"{"prompt_tokens":1000,"completion_tokens":100}"#;
        let reply = format!(r#"{{"model":"{served}","choices":[{choice}],"usage":{usage}}}"#);
        mock.script(vec![raw("application/json", reply)]);
        let answer = gateway.post("/v1/chat/completions", &chat("openai/m")).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let record = gateway.records().pop().unwrap();
        assert_eq!((record.served_model.as_str(), record.cost), (served, NanoUsd(cost)));
    }
}
