//! What requests teach routing: whose time and whose failure it was.

use crate::harness::{Harness, chat, chat_stream, text};
use bytes::Bytes;
use gantry_model::usage::TokenUsage;
use gantry_testkit::snapshot::{Entry, account, anthropic, openai, source, virtual_model};
use gantry_testkit::{Act, Answer, Fault, MockUpstream, Place, Raw, Retry, Step};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// `one/m` and `two/m` at two upstreams, and virtual models over them.
fn entries(first: &MockUpstream, second: &MockUpstream, routes: &[(&str, Value)]) -> Vec<Entry> {
    let mut entries = vec![
        openai("one", &first.url(), &["m"]).unwrap(),
        openai("two", &second.url(), &["m"]).unwrap(),
    ];
    entries.extend(
        routes.iter().map(|(name, routing)| virtual_model("route", name, routing.clone()).unwrap()),
    );
    entries
}

async fn mocks() -> (MockUpstream, MockUpstream) {
    (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap())
}

/// First `one/m` without retries, then `two/m`.
fn priority() -> Value {
    json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "one/m", "priority": 0,
             "retry_config": {"attempts": 0, "delay": 1, "on_status_codes": []}},
            {"target": "two/m", "priority": 1},
        ],
    })
}

fn latency() -> Value {
    json!({
        "type": "latency-based-routing",
        "load_balance_targets": [{"target": "one/m"}, {"target": "two/m"}],
    })
}

#[tokio::test]
async fn a_target_is_not_blamed_for_the_time_of_the_one_that_failed_before_it() {
    let (first, second) = mocks().await;
    let routes = [("chat", priority()), ("quick", latency())];
    let gateway = Harness::start(source(&entries(&first, &second, &routes)).unwrap()).await;
    first.script(vec![Step::Raw(Raw {
        before: vec![Act::Wait(Duration::from_millis(100))],
        status: 503,
        headers: Vec::new(),
        body: vec![Act::Send(Bytes::from_static(b"{}"))],
    })]);
    let usage = TokenUsage { input: 1, output: 1, ..TokenUsage::default() };
    second.script(vec![Step::Answer(Answer { usage: Some(usage), ..Answer::text("a") })]);
    for model in ["route/chat", "route/quick"] {
        let answer = gateway.post("/v1/chat/completions", &chat(model)).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
    }
    let records = gateway.records();
    let attempt = &records[0].attempts[1];
    assert_eq!(attempt.target, "two/m", "{:#?}", records[0]);
    let step = records[1].route.iter().find(|step| step.target == "two/m").unwrap();
    let ms = attempt.duration_us as f64 / 1000.0;
    assert_eq!(step.reason, format!("{ms:.1} ms per output token"));
}

#[tokio::test]
async fn a_named_wait_is_kept_where_the_failure_does_not_fall_back() {
    let (first, second) = mocks().await;
    let mut routing = priority();
    let target = &mut routing["load_balance_targets"][0];
    target["retry_config"] = json!({"attempts": 2, "delay": 1, "on_status_codes": [429]});
    target["fallback_status_codes"] = json!([500]);
    let entries = entries(&first, &second, &[("chat", routing)]);
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let limited = Fault::Status { code: 429, retry: Retry::Millis(20) };
    first.script(vec![Step::Fault(limited), Step::Fault(limited)]);
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(answer.headers["x-tfy-resolved-model"], "one/m");
    assert_eq!((first.requests().len(), second.requests().len()), (3, 0));
}

/// Two tokens with a pause between them, and a usage of twelve.
fn reasoned(reasoning: u64) -> Step {
    let token = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let usage = format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":12,\
         \"completion_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}}}\n\ndata: [DONE]\n\n"
    );
    Step::Raw(Raw {
        before: Vec::new(),
        status: 200,
        headers: Vec::new(),
        body: vec![
            Act::Send(token.clone()),
            Act::Wait(Duration::from_millis(50)),
            Act::Send(token),
            Act::Send(usage.into()),
        ],
    })
}

#[tokio::test]
async fn reasoning_that_is_not_shown_makes_no_target_faster() {
    for (reasoning, tokens_after_the_first) in [(10, 1.0), (0, 11.0)] {
        let (first, second) = mocks().await;
        let entries = entries(&first, &second, &[("quick", latency())]);
        let gateway = Harness::start(source(&entries).unwrap()).await;
        first.always(reasoned(reasoning));
        gateway.post("/v1/chat/completions", &chat_stream("one/m")).await;
        gateway.post("/v1/chat/completions", &chat("route/quick")).await;
        let records = gateway.records();
        let spent_us = records[0].inter_token_us.unwrap() as f64;
        let step = records[1].route.iter().find(|step| step.target == "one/m").unwrap();
        let ms = spent_us / 1000.0 / tokens_after_the_first;
        assert_eq!(step.reason, format!("{ms:.1} ms per output token"), "{reasoning}");
    }
}

/// Whether `one/m` stands behind `two/m` after two requests that it has answered by `step`.
async fn moved_after_two(step: Step, headers: &[(&'static str, &str)], body: &str) -> bool {
    let (first, second) = mocks().await;
    let entries = entries(&first, &second, &[("chat", priority())]);
    let gateway = Harness::start(source(&entries).unwrap()).await;
    first.always(step);
    for _ in 0..2 {
        let path = "/v1/chat/completions";
        let answer = gateway.send(Method::POST, path, body, headers).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
    }
    first.clear();
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    answer.headers["x-tfy-resolved-model"] == "two/m"
}

#[tokio::test]
async fn a_callers_own_haste_is_not_held_against_a_target() {
    let stalled = || Step::Fault(Fault::Pause { at: Place::BeforeHeaders, time: None });
    let (whole, stream) = (chat("route/chat"), chat_stream("route/chat"));
    let cases = [("x-tfy-request-timeout", &whole), ("x-tfy-ttft-timeout-ms", &stream)];
    for (name, body) in cases {
        assert!(!moved_after_two(stalled(), &[(name, "20")], body).await, "{name}");
    }
}

#[tokio::test]
async fn errors_in_a_stream_count_as_their_statuses_would() {
    let cases = [
        ("invalid_request_error", false),
        ("content_filter", false),
        ("server_error", true),
        ("rate_limit_error", true),
    ];
    for (kind, expected) in cases {
        let token = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        let error = format!(
            "data: {{\"error\":{{\"message\":\"no\",\"type\":\"{kind}\",\"code\":\"{kind}\"}}}}\n\n"
        );
        let step = Step::Raw(Raw {
            before: Vec::new(),
            status: 200,
            headers: Vec::new(),
            body: vec![Act::Send(Bytes::from_static(token)), Act::Send(error.into())],
        });
        let moved = moved_after_two(step, &[], &chat_stream("route/chat")).await;
        assert_eq!(moved, expected, "{kind}");
    }
}

#[tokio::test]
async fn a_target_that_cannot_take_the_request_does_not_hide_an_outage() {
    let (first, second) = mocks().await;
    let mut routing = priority();
    routing["load_balance_targets"][1]["target"] = json!("claude/m");
    let mut entries = entries(&first, &second, &[]);
    entries.push(anthropic("claude", &second.url(), &["m"]).unwrap());
    entries.push(virtual_model("route", "chat", routing).unwrap());
    let gateway = Harness::start(source(&entries).unwrap()).await;
    first.always(Step::Fault(Fault::Status { code: 503, retry: Retry::Unsaid }));
    let body = r#"{"model":"route/chat","prompt":"hi"}"#;
    let answer = gateway.post("/v1/completions", body).await;
    assert_eq!(answer.status, 503, "{}", text(&answer));
    let outcomes: Vec<_> =
        gateway.record().attempts.iter().map(|attempt| attempt.outcome.to_string()).collect();
    assert_eq!(outcomes, ["status", "untranslatable"]);
}

#[tokio::test]
async fn a_header_or_a_path_that_names_another_model_than_the_body_wins_upstream_too() {
    let mock = MockUpstream::start().await.unwrap();
    // Callers and the upstream call it the same.
    let same = json!({
        "type": "provider-account/openai", "name": "one", "base_url": format!("{}/v1", mock.url()),
        "auth_data": {"type": "api-key", "api_key": "sk-secret"},
        "integrations": [{
            "type": "integration/model/openai", "name": "m", "model_id": "one/m",
            "authorized_subjects": ["team:everyone"],
        }],
    });
    let gateway = Harness::start(source(&[account(same).unwrap()]).unwrap()).await;
    let headers = [("x-tfy-model-name", "one/m")];
    for model in ["other", "one/m"] {
        let path = "/v1/chat/completions";
        let answer = gateway.send(Method::POST, path, &chat(model), &headers).await;
        assert_eq!(answer.headers["x-tfy-resolved-model"], "one/m", "{}", text(&answer));
        let sent: Value = mock.last_request().unwrap().json().unwrap();
        assert_eq!(sent["model"], "one/m", "{model}");
    }
}
