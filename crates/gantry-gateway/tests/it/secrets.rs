//! An upstream that repeats Gantry's key shows it to nobody.

use crate::harness::{Harness, chat, chat_stream, json, messages, text};
use bytes::Bytes;
use gantry_testkit::snapshot::{UPSTREAM_KEY, anthropic, openai, source, virtual_model};
use gantry_testkit::{Act, MockUpstream, Raw, Step};
use serde_json::json;

/// A header that the route adds.
const ROUTE_SECRET: &str = "route/secret/value";

async fn gateway(mock: &MockUpstream) -> Harness {
    let routing = |target| {
        json!({
            "type": "priority-based-routing",
            "load_balance_targets": [{
                "target": target, "priority": 0,
                "retry_config": {"attempts": 0, "delay": 1, "on_status_codes": []},
                "headers_override": {"set": {"x-route-key": ROUTE_SECRET}, "remove": []},
            }],
        })
    };
    let entries = [
        openai("gpt", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
        virtual_model("route", "gpt", routing("gpt/m")).unwrap(),
        virtual_model("way", "claude", routing("claude/m")).unwrap(),
    ];
    Harness::start(source(&entries).unwrap()).await
}

fn reply(status: u16, body: &str) -> Step {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if status >= 400 {
        headers.push(("x-echo".to_owned(), format!("got {UPSTREAM_KEY}")));
    }
    Step::Raw(Raw {
        before: Vec::new(),
        status,
        headers,
        body: vec![Act::Send(Bytes::from(body.to_owned()))],
    })
}

#[tokio::test]
async fn an_echoed_credential_is_stars_for_callers_and_in_records() {
    let plain = format!(r#"{{"error":{{"message":"bad {UPSTREAM_KEY}, {ROUTE_SECRET}"}}}}"#);
    let spelled = plain.replace("sk-mock", r"sk\u002dmock").replace('/', r"\/");
    let first = r#"data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    let cases = [
        (401, plain.clone()),
        (401, spelled.clone()),
        (500, format!("{}{UPSTREAM_KEY}, {ROUTE_SECRET}", "x".repeat(290))),
        (200, plain.clone()),
        (200, format!("data: {plain}\n\n")),
        (200, format!("{first}\n\ndata: {plain}\n\n")),
        (200, format!("{first}\n\ndata: {spelled}\n\n")),
        (200, format!("{first}\n\ndata: {{\"{UPSTREAM_KEY}, {ROUTE_SECRET}\n\n")),
    ];
    for (status, body) in cases {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        mock.always(reply(status, &body));
        let mut shown = String::new();
        for (path, request) in [
            ("/v1/chat/completions", chat("route/gpt")),
            ("/v1/chat/completions", chat_stream("route/gpt")),
            ("/v1/chat/completions", chat_stream("way/claude")),
            ("/v1/messages", messages("route/gpt", false)),
            ("/v1/messages", messages("route/gpt", true)),
        ] {
            let answer = gateway.post(path, &request).await;
            let headers = &answer.headers;
            shown.push_str(&format!("{path} {request}\n{headers:?}\n{}\n", text(&answer)));
        }
        shown.push_str(&format!("{:#?}", gateway.records()));
        for part in [UPSTREAM_KEY, ROUTE_SECRET, "mock-upstream", r"route\/secret"] {
            assert!(!shown.contains(part), "{status} {body}: {part} in {shown}");
        }
    }
}

#[tokio::test]
async fn the_rest_of_an_error_stays_as_the_upstream_wrote_it() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let body = format!(r#"{{"error":{{"message":"bad {UPSTREAM_KEY}","extra":[1.0]}}}}"#);
    mock.always(reply(400, &body));
    let answer = gateway.post("/v1/chat/completions", &chat("gpt/m")).await;
    assert_eq!(text(&answer), r#"{"error":{"message":"bad ***","extra":[1.0]}}"#);
    assert_eq!(answer.status, 400);
    let answer = gateway.post("/v1/messages", &messages("gpt/m", false)).await;
    assert_eq!(json(&answer)["error"]["message"], "bad ***");
    for record in gateway.records() {
        assert_eq!(
            (record.error.as_str(), record.attempts[0].error.as_str()),
            ("bad ***", "bad ***")
        );
    }
}

#[tokio::test]
async fn a_good_reply_is_not_touched() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let body = format!(
        r#"{{"choices":[{{"message":{{"content":"{UPSTREAM_KEY}"}},"finish_reason":"stop"}}]}}"#
    );
    mock.always(reply(200, &body));
    let answer = gateway.post("/v1/chat/completions", &chat("gpt/m")).await;
    assert_eq!(text(&answer), body);
}

#[tokio::test]
async fn header_fields_that_show_a_credential_stay_here_whatever_the_status() {
    let good = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let inside = "http://10.0.0.7:8000/internal";
    for (status, body) in [(200, good), (307, "{}"), (400, "{}")] {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = gateway(&mock).await;
        let fields = [
            ("content-type", "application/json".to_owned()),
            ("x-ratelimit-key", format!("of {UPSTREAM_KEY}")),
            ("x-ratelimit-limit", "7".to_owned()),
            ("location", inside.to_owned()),
        ];
        mock.script(vec![Step::Raw(Raw {
            before: Vec::new(),
            status,
            headers: fields.map(|(name, value)| (name.to_owned(), value)).into(),
            body: vec![Act::Send(Bytes::from(body.to_owned()))],
        })]);
        let model = if status == 200 { "gpt/m" } else { "route/gpt" };
        let answer = gateway.post("/v1/chat/completions", &chat(model)).await;
        let said = format!("{:?} {}", answer.headers, text(&answer));
        assert!(!said.contains(UPSTREAM_KEY) && !said.contains(inside), "{status}: {said}");
        if status == 200 {
            assert_eq!(answer.status, 200, "{said}");
            assert_eq!(answer.headers["x-ratelimit-limit"], "7", "{said}");
        }
    }
}
