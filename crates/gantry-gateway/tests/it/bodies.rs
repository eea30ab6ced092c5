//! One bound holds for the bodies of all requests, and what was taken of it comes back.

use crate::harness::{Harness, PATIENCE, chat, chat_stream, json, text};
use crate::leaving::connect;
use gantry_gateway::Config;
use gantry_testkit::snapshot::one_account;
use gantry_testkit::{Fault, MockUpstream, Place, Step};
use tokio::io::AsyncReadExt as _;

async fn gateway(mock: &MockUpstream) -> Harness {
    let config = Config { request_bytes_max: 2000, bodies_bytes_max: 3000, ..Config::default() };
    Harness::start_with(one_account(&mock.url(), &["m"]).unwrap(), config).await
}

async fn until_held(gateway: &Harness, bytes: usize) {
    let wait = async {
        while gateway.gateway.body_bytes() != bytes {
            tokio::task::yield_now().await;
        }
    };
    let held = || gateway.gateway.body_bytes();
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{} are held", held()));
}

fn padded(body: String, bytes: usize) -> String {
    let room = bytes - body.len();
    body + &" ".repeat(room)
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_once_and_fits_again_later() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let large = padded(chat("mock/m"), 2000);
    let slow = connect(&gateway, &large, 10).await;
    until_held(&gateway, 2000).await;
    let answer = gateway.post("/v1/chat/completions", &padded(chat("mock/m"), 1001)).await;
    assert_eq!(answer.status, 503, "{}", text(&answer));
    assert_eq!(json(&answer)["error"]["code"], "gateway_busy");
    assert_eq!(answer.headers["retry-after"], "1");
    let record = gateway.record();
    assert_eq!((record.refusal.as_ref(), record.fault.as_ref()), ("gateway_busy", "operator"));
    let answer = gateway.post("/v1/chat/completions", &padded(chat("mock/m"), 1000)).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    drop(slow);
    until_held(&gateway, 0).await;
    let answer = gateway.post("/v1/chat/completions", &large).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    until_held(&gateway, 0).await;
}

#[tokio::test]
async fn a_caller_that_leaves_at_any_stage_gives_back_what_it_took() {
    let stages = [
        ("body", 10, None),
        ("thinking", 0, Some(Place::BeforeHeaders)),
        ("first", 0, Some(Place::BeforeFirst)),
        ("stream", 0, Some(Place::MidStream)),
    ];
    for (stage, sent, place) in stages {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        if let Some(at) = place {
            mock.script(vec![Step::Fault(Fault::Pause { at, time: None })]);
        }
        let body = chat_stream("mock/m");
        let sent = if sent == 0 { body.len() } else { sent };
        let mut connection = connect(&gateway, &body, sent).await;
        until_held(&gateway, body.len()).await;
        if stage == "stream" {
            // The head and the first words: it has begun.
            let read = connection.read(&mut [0; 16]).await.unwrap();
            assert!(read > 0);
        } else if place.is_some() {
            let arrived = mock.until(|progress| progress.requests == 1);
            tokio::time::timeout(PATIENCE, arrived).await.unwrap();
        }
        assert_eq!(gateway.gateway.body_bytes(), body.len(), "{stage}");
        drop(connection);
        until_held(&gateway, 0).await;
        assert_eq!(gateway.records_until(1).await.len(), 1, "{stage}");
    }
}
