//! Which step a request gets, and what is remembered of it.

use crate::client::post;
use gantry_testkit::{Act, Answer, Fault, MockUpstream, Raw, Retry, Step};
use serde_json::{Value, json};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";

fn status(code: u16) -> Step {
    Step::Fault(Fault::Status { code, retry: Retry::Unsaid })
}

#[tokio::test]
async fn follows_the_script_for_the_model_then_the_path_then_any() {
    let mock = MockUpstream::start().await.unwrap();
    mock.script(vec![status(500), status(501)]);
    mock.script_path("/chat/completions", vec![status(502)]);
    mock.script_model("a", vec![status(503)]);
    mock.script_model("a", vec![status(504)]);
    let mut seen = Vec::new();
    for model in ["b", "a", "a", "a", "a", "a"] {
        seen.push(post(&mock, CHAT, &json!({"model": model})).await.unwrap().status);
    }
    assert_eq!(seen, [502, 503, 504, 500, 501, 200]);
}

#[tokio::test]
async fn repeats_what_is_for_always_until_cleared() {
    let mock = MockUpstream::start().await.unwrap();
    mock.always(status(500));
    mock.always_model("a", Step::Answer(Answer::text("hi")));
    mock.script(vec![status(501)]);
    let mut seen = Vec::new();
    for model in ["b", "b", "b", "a"] {
        seen.push(post(&mock, CHAT, &json!({"model": model})).await.unwrap().status);
    }
    mock.clear();
    seen.push(post(&mock, CHAT, &json!({"model": "b"})).await.unwrap().status);
    assert_eq!(seen, [501, 500, 500, 200, 200]);
}

#[tokio::test]
async fn sends_raw_replies_as_they_are() {
    let mock = MockUpstream::start().await.unwrap();
    mock.script(vec![Step::Raw(Raw {
        before: Vec::new(),
        status: 418,
        headers: vec![("x-kind".into(), "teapot".into())],
        body: vec![Act::Send("short ".into()), Act::Send("and stout".into())],
    })]);
    let reply = post(&mock, "/anything", &json!({})).await.unwrap();
    assert_eq!((reply.status, reply.header("x-kind")), (418, Some("teapot")));
    assert_eq!(reply.text(), "short and stout");
}

#[tokio::test]
async fn records_requests_as_they_arrived() {
    let mock = MockUpstream::start().await.unwrap();
    let body = json!({"model": "m", "unknown": [1]});
    post(&mock, "/openai/deployments/d/embeddings?api-version=1", &body).await.unwrap();
    let [request] = &mock.requests()[..] else { panic!("one request was sent") };
    assert_eq!(request.method, http::Method::POST);
    assert_eq!(request.path_and_query, "/openai/deployments/d/embeddings?api-version=1");
    assert_eq!(request.path(), "/openai/deployments/d/embeddings");
    assert_eq!(request.header("authorization"), Some("Bearer sk-1"));
    assert_eq!(request.json::<Value>().unwrap(), body);
    let progress = mock.until(|progress| progress.finished == 1).await;
    assert_eq!((progress.connections, progress.requests, progress.abandoned), (1, 1, 0));
}

#[tokio::test]
async fn ends_when_it_is_dropped() {
    let mock = MockUpstream::start().await.unwrap();
    let addr = mock.addr();
    TcpStream::connect(addr).await.unwrap();
    drop(mock);
    // The runtime drops an aborted task when it next runs, which is before it polls this one again.
    tokio::task::yield_now().await;
    assert!(TcpStream::connect(addr).await.is_err());
}
