//! What requests teach routing: whose time and whose failure it was.

use crate::harness::{Harness, chat, text};
use bytes::Bytes;
use gantry_model::usage::TokenUsage;
use gantry_testkit::snapshot::{Entry, openai, source, virtual_model};
use gantry_testkit::{Act, Answer, MockUpstream, Raw, Step};
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
