//! Calls from web pages: what a browser asks before them, and what it may read.

use crate::harness::{Harness, chat, chat_stream, text};
use gantry_gateway::Config;
use gantry_gateway::cors::Origins;
use gantry_http::client::Answer;
use gantry_testkit::MockUpstream;
use gantry_testkit::snapshot::one_account;
use http::Method;

const PATH: &str = "/v1/chat/completions";
const PAGE: &str = "https://app.example.com";

async fn gateway(mock: &MockUpstream, origins: &[&str]) -> Harness {
    let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let cors_origins = Origins::try_from(origins).unwrap();
    let config = Config { cors_origins, ..Config::default() };
    Harness::start_with(one_account(&mock.url(), &["m"]).unwrap(), config).await
}

async fn preflight(gateway: &Harness, origin: &str) -> Answer {
    let asks = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    gateway.send(Method::OPTIONS, PATH, "", &asks).await
}

/// The reply's headers of CORS, as a browser would look at them.
fn cors(answer: &Answer) -> Vec<(&str, &str)> {
    let about = |name: &str| name.starts_with("access-control-") || name == "vary";
    let mut found: Vec<_> = answer.headers.iter().collect();
    found.retain(|(name, _)| about(name.as_str()));
    found.sort_by_key(|(name, _)| name.as_str());
    found.into_iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[tokio::test]
async fn a_preflight_of_a_listed_page_is_answered_and_leaves_no_record() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, &["http://localhost:3000", PAGE]).await;
    let answer = preflight(&gateway, PAGE).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let expected = [
        ("access-control-allow-headers", "authorization,content-type"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-origin", PAGE),
        ("access-control-expose-headers", "*"),
        ("access-control-max-age", "7200"),
        ("vary", "origin"),
    ];
    assert_eq!(cors(&answer), expected);
    assert!(gateway.records().is_empty());
    let other = preflight(&gateway, "https://evil.example.com").await;
    assert_eq!((other.status.as_u16(), cors(&other)), (405, vec![]));
}

#[tokio::test]
async fn replies_streams_and_refusals_may_be_read_by_listed_pages_alone() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, &[PAGE]).await;
    let opened = [
        ("access-control-allow-origin", PAGE),
        ("access-control-expose-headers", "*"),
        ("vary", "origin"),
    ];
    for (body, status) in [(chat("mock/m"), 200), (chat_stream("mock/m"), 200), ("{".into(), 400)] {
        let answer = gateway.send(Method::POST, PATH, &body, &[("origin", PAGE)]).await;
        assert_eq!(answer.status, status, "{}", text(&answer));
        assert_eq!(cors(&answer), opened);
        for headers in [&[("origin", "http://app.example.com")][..], &[]] {
            let answer = gateway.send(Method::POST, PATH, &body, headers).await;
            assert_eq!((answer.status.as_u16(), cors(&answer)), (status, vec![]));
        }
    }
    let plain = gateway.send(Method::OPTIONS, PATH, "", &[("origin", PAGE)]).await;
    assert_eq!(plain.status, 405, "it asks for no permission");
}

#[tokio::test]
async fn a_star_lets_every_page_read_and_no_setting_none() {
    let mock = MockUpstream::start().await.unwrap();
    let every = gateway(&mock, &["*"]).await;
    let answer = preflight(&every, "null").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let none = gateway(&mock, &[]).await;
    let answer = preflight(&none, PAGE).await;
    assert_eq!((answer.status.as_u16(), cors(&answer)), (405, vec![]));
}

#[tokio::test]
async fn the_upstream_does_not_hear_of_the_page() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, &[PAGE]).await;
    let browser = [
        ("origin", PAGE),
        ("referer", "https://app.example.com/chat"),
        ("sec-fetch-mode", "cors"),
        ("x-kept", "1"),
    ];
    let answer = gateway.send(Method::POST, PATH, &chat("mock/m"), &browser).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    let seen = browser.map(|(name, _)| sent.header(name).is_some());
    assert_eq!(seen, [false, false, false, true]);
}
