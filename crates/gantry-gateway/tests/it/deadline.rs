//! A request ends in time whatever its caller asks for, and its answer says whose limit it was.

use crate::harness::{Harness, chat, chat_stream, json, text};
use gantry_gateway::Config;
use gantry_testkit::snapshot::one_account;
use gantry_testkit::{Fault, MockUpstream, Place, Retry, Step};
use http::Method;
use std::time::Duration;

async fn gateway(mock: &MockUpstream, config: Config) -> Harness {
    Harness::start_with(one_account(&mock.url(), &["m"]).unwrap(), config).await
}

#[tokio::test]
async fn the_shortest_limit_ends_a_request_and_is_named() {
    let long = 60_000;
    let config = |attempt, whole| Config {
        attempt_timeout_ms: attempt,
        request_timeout_ms: whole,
        ..Config::default()
    };
    let cases = [
        (config(long, 100), None, "`gateway.request_timeout_ms`"),
        (config(long, 100), Some("50000"), "`gateway.request_timeout_ms`"),
        (config(100, long), Some("50000"), "`gateway.attempt_timeout_ms`"),
        (config(long, long), Some("100"), "`x-tfy-request-timeout`"),
    ];
    for (config, asked, whose) in cases {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock, config).await;
        mock.always(Step::Fault(Fault::Pause { at: Place::BeforeHeaders, time: None }));
        let headers: Vec<_> = asked.map(|ms| ("x-tfy-request-timeout", ms)).into_iter().collect();
        for body in [chat("mock/m"), chat_stream("mock/m")] {
            let path = "/v1/chat/completions";
            let answer = gateway.send(Method::POST, path, &body, &headers).await;
            assert_eq!(answer.status, 504, "{whose}: {}", text(&answer));
            let error = &json(&answer)["error"];
            assert_eq!(error["code"], "upstream_timeout", "{whose}: {error}");
            assert!(error["message"].as_str().unwrap().contains(whose), "{whose}: {error}");
            let record = gateway.records().pop().unwrap();
            assert!(record.error.contains(whose), "{record:#?}");
            assert_eq!(record.attempts.len(), 1, "{record:#?}");
        }
    }
}

#[tokio::test]
async fn tries_and_pauses_share_one_time() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Config { request_timeout_ms: 500, ..Config::default() }).await;
    mock.always(Step::Fault(Fault::Status { code: 503, retry: Retry::Unsaid }));
    // Pauses of 100, 200, 400, … ms: ten of them would take a minute.
    let headers = [("x-tfy-retry-config", r#"{"attempts": 10, "onStatusCodes": [503]}"#)];
    let body = chat("mock/m");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 503, "{}", text(&answer));
    let record = gateway.record();
    assert!((2..=3).contains(&record.attempts.len()), "{record:#?}");
}

#[tokio::test]
async fn a_stream_without_an_end_is_ended() {
    let mock = MockUpstream::start().await.unwrap();
    let config = Config { stream_timeout_ms: 20, ..Config::default() };
    let gateway = gateway(&mock, config).await;
    mock.always(Step::Fault(Fault::Drip { pause: Duration::from_millis(2) }));
    let answer = gateway.post("/v1/chat/completions", &chat_stream("mock/m")).await;
    assert!(text(&answer).contains("stream_timeout"), "{}", text(&answer));
    let record = gateway.record();
    assert_eq!((record.refusal.as_ref(), record.fault.as_ref()), ("stream_timeout", "upstream"));
    assert!(record.first_token_us.is_some() && record.usage_estimated, "{record:#?}");
}
