//! What callers and upstreams write has a bound in replies and records, wherever they write it.

use crate::harness::{Harness, chat, text};
use gantry_model::record::RequestRecord;
use gantry_testkit::snapshot::one_account;
use gantry_testkit::{Answer, MockUpstream, Step};
use http::Method;

/// Far beyond every bound, within the limit of a request's head.
const LONG: usize = 20_000;

/// A record of one request with one text of each field at its bound.
const RECORD_BYTES_MAX: usize = 8 * 1024;

async fn gateway(mock: &MockUpstream) -> Harness {
    Harness::start(one_account(&mock.url(), &["m"]).unwrap()).await
}

fn record_bytes(record: &RequestRecord) -> usize {
    serde_json::to_vec(record).unwrap().len()
}

/// Path, body, header, status.
type Case<'a> = (String, String, Option<(&'static str, &'a str)>, u16);

#[tokio::test]
async fn a_refused_request_leaves_little_however_much_it_says() {
    let mock = MockUpstream::start().await.unwrap();
    let long = "x".repeat(LONG);
    let control = "\\u0001".repeat(LONG);
    let metadata = format!(r#"{{"{long}":"a"}}"#);
    let retry = format!(r#"{{"{long}":1}}"#);
    let post = "/v1/chat/completions".to_owned();
    let body = chat("mock/m");
    let cases: [Case<'_>; 10] = [
        (post.clone(), chat(&long), None, 404),
        (post.clone(), chat(&control), None, 404),
        (post.clone(), chat(&"x".repeat(3 << 20)), None, 404),
        (post.clone(), chat(&"x".repeat(500)), None, 404),
        (post.clone(), body.clone(), Some(("x-tfy-model-name", &long)), 404),
        (post.clone(), body.clone(), Some(("x-tfy-metadata", &metadata)), 400),
        (post.clone(), body.clone(), Some(("x-tfy-retry-config", &retry)), 400),
        (post, format!(r#"{{"model":"m","model":"{long}"}}"#), None, 400),
        (format!("/v1/{long}"), body.clone(), None, 404),
        (format!("/openai/deployments/{long}/chat/completions"), body, None, 404),
    ];
    for (at, (path, body, header, status)) in cases.into_iter().enumerate() {
        let gateway = gateway(&mock).await;
        let headers: Vec<_> = header.into_iter().collect();
        let answer = gateway.send(Method::POST, &path, &body, &headers).await;
        assert_eq!(answer.status, status, "case {at}: {}", text(&answer));
        assert!(answer.body.len() < 10 * 1024, "case {at}: {} bytes", answer.body.len());
        let bytes = record_bytes(&gateway.record());
        assert!(bytes < RECORD_BYTES_MAX, "case {at}: a record of {bytes} bytes");
    }
    assert_eq!(mock.requests().len(), 0);
}

#[tokio::test]
async fn what_an_upstream_writes_is_cut_in_the_record() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let finish_reason = Some("y".repeat(LONG));
    mock.script(vec![Step::Answer(Answer { finish_reason, ..Answer::text("hi") })]);
    let answer = gateway.post("/v1/chat/completions", &chat("mock/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert!(answer.body.len() > LONG, "the caller gets the upstream's own words");
    let record = gateway.record();
    assert!(record_bytes(&record) < RECORD_BYTES_MAX, "{record:?}");
    assert!(record.finish_reason.starts_with("yyy"), "{}", record.finish_reason);
}

#[tokio::test]
async fn a_caller_without_a_right_leaves_a_bounded_number_of_records() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let refused = chat("mock/none");
    for _ in 0..610 {
        assert_eq!(gateway.post("/v1/chat/completions", &refused).await.status, 404);
    }
    // A minute may have begun meanwhile.
    let kept = gateway.records().iter().map(|record| 1 + record.also_stands_for).sum::<u64>();
    assert!((600..=610).contains(&kept), "{kept}");
    assert_eq!(gateway.post("/v1/chat/completions", &chat("mock/m")).await.status, 200);
    let last = gateway.records().pop().unwrap();
    assert_eq!(last.status, 200, "what is served leaves its record");
}
