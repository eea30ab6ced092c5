//! What requests leave behind.

use crate::harness::{Harness, chat, chat_stream, json, text};
use crate::leaving::connect;
use gantry_model::money::NanoUsd;
use gantry_model::usage::TokenUsage;
use gantry_testkit::snapshot::{account, source, virtual_model};
use gantry_testkit::{Answer, MockUpstream, Step};
use http::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

fn priced(url: &str) -> serde_json::Value {
    json!({
        "type": "provider-account/openai", "name": "mock", "base_url": format!("{url}/v1"),
        "auth_data": {"type": "api-key", "api_key": "sk-very-secret"},
        "integrations": [{
            "type": "integration/model/openai", "name": "gpt", "model_id": "gpt-up",
            "authorized_subjects": ["team:everyone"],
            "cost": {"metric": "per_1000_tokens",
                "value": {"input": 0.001, "output": 0.002, "cache_read": 0.0001}},
        }],
    })
}

#[tokio::test]
async fn a_record_says_who_what_where_why_and_how_much() {
    let mock = MockUpstream::start().await.unwrap();
    let routing = json!({
        "type": "weight-based-routing",
        "load_balance_targets": [{"target": "mock/gpt", "weight": 100,
            "override_params": {"temperature": 0.5, "seed": null},
            "headers_override": {"set": {"x-extra": "1"}, "remove": ["x-drop"]}}],
    });
    let entries =
        [account(priced(&mock.url())).unwrap(), virtual_model("route", "chat", routing).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let usage = TokenUsage { input: 1000, cache_read: 400, output: 50, ..TokenUsage::default() };
    mock.script(vec![Step::Answer(Answer { usage: Some(usage), ..Answer::text("hello") })]);
    let body = chat("route/chat").replacen('{', "{\"seed\":7,", 1);
    let headers = [("x-tfy-metadata", r#"{"team":"search"}"#), ("x-drop", "1")];
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    let sent_body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!((&sent_body["temperature"], &sent_body["seed"]), (&json!(0.5), &json!(null)));
    assert_eq!((sent.header("x-extra"), sent.header("x-drop")), (Some("1"), None));
    let record = gateway.record();
    assert_eq!(record.subject, "user:admin@gantry.test");
    assert_eq!(record.metadata["team"], "search");
    assert_eq!((record.model.as_str(), record.resolved_model.as_str()), ("route/chat", "mock/gpt"));
    assert_eq!(record.upstream_model, "gpt-up");
    assert_eq!(record.route[0].verdict, "expanded");
    assert_eq!(record.route[1].reason, "the only target");
    assert_eq!(record.usage, usage);
    // 600 at $0.001/1000, 400 at $0.0001/1000, 50 at $0.002/1000: 600 + 40 + 100 microdollars.
    assert_eq!(record.cost, NanoUsd(740_000));
    assert_eq!(record.price_version, "manifest");
    assert_eq!(record.finish_reason, "stop");
    assert_eq!(record.request_body, None);
    assert!(!format!("{record:?}").contains("sk-very-secret"));
}

#[tokio::test]
async fn usage_that_the_upstream_leaves_out_is_estimated_and_says_so() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    mock.script(vec![Step::Answer(Answer { usage: None, ..Answer::text("x".repeat(400)) })]);
    let answer = gateway.post("/v1/chat/completions", &chat("mock/gpt")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let record = gateway.record();
    assert!(record.usage_estimated);
    assert_eq!(record.usage.output, 100);
    assert!(record.usage.input > 0);
    assert!(record.cost > NanoUsd::ZERO);
}

#[tokio::test]
async fn bodies_are_kept_only_when_asked_for() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    for enabled in [true, false] {
        let wish = format!("{{\"enabled\":{enabled}}}");
        let headers = [("x-tfy-logging-config", wish.as_str())];
        let body = chat("mock/gpt");
        let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
        let record = gateway.records().pop().unwrap();
        assert_eq!(record.request_body, enabled.then(|| body.clone()));
        assert_eq!(record.response_body, enabled.then(|| text(&answer)));
    }
}

#[tokio::test]
async fn the_wait_for_the_body_is_not_the_gateways_time() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    let body = chat("mock/gpt");
    let mut slow = connect(&gateway, &body, 10).await;
    // The last of them comes and goes while the gateway waits for the rest of the slow one.
    for _ in 0..50 {
        gateway.post("/v1/chat/completions", &body).await;
    }
    let meanwhile_us = gateway.records().pop().unwrap().duration_us;
    slow.write_all(&body.as_bytes()[10..]).await.unwrap();
    let slow = gateway.records_until(51).await.pop().unwrap();
    assert_eq!(slow.status, 200, "{slow:#?}");
    let [attempt] = slow.attempts.as_slice() else { panic!("{slow:#?}") };
    let accounted_us = slow.gateway_us + meanwhile_us + attempt.duration_us;
    assert!(accounted_us <= slow.duration_us, "{accounted_us} us in {slow:#?}");
}

#[tokio::test]
async fn a_usage_beyond_belief_is_estimated_and_says_so() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    for body in [chat("mock/gpt"), chat_stream("mock/gpt")] {
        let usage =
            TokenUsage { input: 1_000_000_000_000_000_000, output: 50, ..Default::default() };
        mock.script(vec![Step::Answer(Answer { usage: Some(usage), ..Answer::text("hello") })]);
        let answer = gateway.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let record = gateway.records().pop().unwrap();
        assert!(record.usage_estimated, "{record:#?}");
        assert!((1..100).contains(&record.usage.input), "{record:#?}");
        assert_eq!(record.usage.output, 50, "what is credible is kept");
        assert!(record.cost < NanoUsd(1_000_000), "{record:#?}");
        let said = record.fidelity.iter().find(|loss| loss.field == "reply.usage").unwrap();
        assert!(said.note.contains("beyond belief"), "{said:?}");
    }
}

#[tokio::test]
async fn paths_of_others_are_handed_on() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    let answer = gateway.send(Method::GET, "/healthz", "", &[]).await;
    assert_eq!(text(&answer), "other");
    assert!(gateway.records().is_empty());
}

#[tokio::test]
async fn an_upstreams_body_that_is_not_json_is_never_shown() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(source(&[account(priced(&mock.url())).unwrap()]).unwrap()).await;
    mock.script(vec![Step::Fault(gantry_testkit::Fault::Html)]);
    let answer = gateway.post("/v1/chat/completions", &chat("mock/gpt")).await;
    assert_eq!(answer.status, 502, "{}", text(&answer));
    assert_eq!(json(&answer)["error"]["code"], "upstream_failed");
    assert!(!format!("{}{:?}", text(&answer), gateway.record()).contains("It works!"));
}
