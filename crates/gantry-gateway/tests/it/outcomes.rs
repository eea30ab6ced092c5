//! A failure is no answer, whoever says it and however: it falls back, is recorded as one, and its
//! words reach the caller in the caller's envelope.

use crate::fallback::two_targets;
use crate::harness::{Harness, chat, chat_stream, json, messages, text};
use bytes::Bytes;
use gantry_testkit::{Act, MockUpstream, Raw, Step};
use http::Method;

/// A reply by hand.
fn raw(status: u16, body: &str) -> Step {
    let body = vec![Act::Send(Bytes::from(body.to_owned()))];
    Step::Raw(Raw { before: Vec::new(), status, headers: Vec::new(), body })
}

async fn start() -> (Harness, MockUpstream, MockUpstream) {
    let (first, second) =
        (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap());
    let gateway = Harness::start(two_targets(&first, &second)).await;
    (gateway, first, second)
}

/// One request of each kind of caller.
fn requests(model: &str) -> [(&'static str, String, bool); 4] {
    [
        ("/v1/chat/completions", chat(model), false),
        ("/v1/chat/completions", chat_stream(model), true),
        ("/v1/messages", messages(model, false), false),
        ("/v1/messages", messages(model, true), true),
    ]
}

/// A chat reply with one choice, whole or as the one chunk of a stream.
fn choice(stream: bool, said: &str, rest: &str) -> String {
    let key = if stream { "delta" } else { "message" };
    let choice = format!(r#"{{"index":0,"{key}":{{"content":"{said}"}},{rest}}}"#);
    let body = format!(r#"{{"id":"c","object":"chat.completion","choices":[{choice}]}}"#);
    if stream { format!("data: {body}\n\ndata: [DONE]\n\n") } else { body }
}

#[tokio::test]
async fn an_answer_that_failed_falls_back_for_every_caller() {
    let failures = [
        r#""finish_reason":"error","error":{"code":502,"message":"boom"}"#,
        r#""finish_reason":"insufficient_system_resource""#,
        r#""finish_reason":"malformed_function_call""#,
        r#""finish_reason":"vibes""#,
    ];
    for failure in failures {
        for (path, request, stream) in requests("route/chat") {
            let (gateway, first, _second) = start().await;
            first.script(vec![raw(200, &choice(stream, "", failure))]);
            let answer = gateway.post(path, &request).await;
            assert_eq!(answer.status, 200, "{failure} {request}: {}", text(&answer));
            let record = gateway.record();
            assert_eq!(record.attempts[0].outcome, "stream_error", "{record:#?}");
            assert_eq!(record.resolved_model, "two/m", "{failure} {request}");
        }
    }
}

#[tokio::test]
async fn a_filtered_answer_is_one() {
    for (path, request, stream) in requests("route/chat") {
        let (gateway, first, _second) = start().await;
        first.script(vec![raw(200, &choice(stream, "", r#""finish_reason":"SAFETY""#))]);
        let answer = gateway.post(path, &request).await;
        assert_eq!(answer.status, 200, "{request}: {}", text(&answer));
        let record = gateway.record();
        assert_eq!(record.resolved_model, "one/m", "{request}: {record:#?}");
        let refused = !path.ends_with("messages") || text(&answer).contains("refusal");
        assert!(refused, "{}", text(&answer));
    }
}

#[tokio::test]
async fn a_stream_that_fails_in_the_middle_ends_with_the_callers_error_and_is_recorded() {
    let begin = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"half"}}]}"#;
    let ends = [
        (r#"{"object":"error","message":"boom","code":500}"#, "boom"),
        (r#"{"message":"boom"}"#, "boom"),
        (r#"{"detail":[{"loc":["body"],"msg":"boom"}]}"#, "body: boom"),
        (r#"{"error":"boom"}"#, "boom"),
        (r#"{"error":{"message":"boom","type":"server_error"}}"#, "boom"),
        (
            r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"network_error"}]}"#,
            "the model gave no answer: it ended with `network_error`",
        ),
    ];
    for (end, words) in ends {
        for (path, request, _) in requests("one/m").into_iter().filter(|(_, _, stream)| *stream) {
            let (gateway, first, _second) = start().await;
            let body = format!("data: {begin}\n\ndata: {end}\n\ndata: [DONE]\n\n");
            first.script(vec![raw(200, &body)]);
            let answer = gateway.post(path, &request).await;
            let shown = text(&answer);
            assert!(shown.contains("half"), "{end}: {shown}");
            let last = shown.trim_end().rsplit_once("data: ").unwrap().1;
            let last: serde_json::Value = serde_json::from_str(last).unwrap();
            assert_eq!(last["error"]["message"], words, "{end}: {shown}");
            let record = gateway.record();
            assert_eq!((&*record.refusal, &*record.fault), ("stream_error", "upstream"), "{end}");
        }
    }
}

#[tokio::test]
async fn an_error_reply_of_any_shape_comes_in_the_callers_envelope_with_its_status() {
    let own = r#"{"error":{"message":"boom","type":"t","param":null,"code":"c"},"more":[1.0]}"#;
    let cases = [
        (400, own, "boom"),
        (400, r#"{"object":"error","message":"boom","code":400}"#, "boom"),
        (400, r#"{"message":"boom"}"#, "boom"),
        (422, r#"{"detail":[{"loc":["body","n"],"msg":"boom"}]}"#, "body.n: boom"),
        (404, r#"{"error":"boom"}"#, "boom"),
        (418, "boom", "boom"),
    ];
    for (status, body, words) in cases {
        let (gateway, first, _second) = start().await;
        first.always(raw(status, body));
        let answer = gateway.post("/v1/chat/completions", &chat("one/m")).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(json(&answer)["error"]["message"], words, "{body}");
        if body == own {
            assert_eq!(text(&answer), own);
        }
        let answer = gateway.post("/v1/messages", &messages("one/m", false)).await;
        assert_eq!(json(&answer)["type"], "error", "{body}");
        let shown = json(&answer)["error"]["message"].as_str().unwrap().to_owned();
        assert!(shown.ends_with(words), "{body}: {shown}");
    }
}

#[tokio::test]
async fn a_key_that_the_provider_refuses_is_the_operators_matter() {
    let refused = r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
    let flagged = r#"{"error":{"message":"Your input was flagged","code":403}}"#;
    for (status, body, shown) in [(401, refused, 502), (403, "{}", 502), (403, flagged, 403)] {
        for (path, request, _) in requests("one/m") {
            let (gateway, first, _second) = start().await;
            first.always(raw(status, body));
            let answer = gateway.post(path, &request).await;
            assert_eq!(answer.status, shown, "{body}: {}", text(&answer));
            let of_key = shown == 502;
            let said = json(&answer)["error"]["message"].to_string();
            assert_eq!(said.contains("the gateway itself has"), of_key, "{said}");
            assert_eq!(answer.headers.contains_key("x-should-retry"), of_key, "{said}");
            let record = gateway.record();
            assert_eq!(&*record.fault == "operator", of_key, "{record:#?}");
        }
    }
}

#[tokio::test]
async fn official_clients_are_told_not_to_repeat_what_cannot_fare_better() {
    let (gateway, _first, _second) = start().await;
    let cases = [
        ("/v1/chat/completions", "{", "Bearer ", 401),
        ("/v1/chat/completions", "{", "Bearer wrong", 401),
        ("/v1/messages", "{}", "Bearer wrong", 401),
        ("/v1/chat/completions", r#"{"model":"none/x","messages":[]}"#, "", 404),
        ("/v1/chat/completions", "{", "", 400),
        ("/images", "{}", "", 404),
    ];
    for (path, body, token, status) in cases {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() { &headers[..0] } else { &headers[..] };
        let answer = gateway.send(Method::POST, path, body, headers).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", text(&answer));
        assert_eq!(answer.headers["x-should-retry"], "false", "{path} {body}");
        let unsaid = json(&answer)["error"]["message"].to_string().contains("no token");
        assert_eq!(unsaid, token == "Bearer ", "{path} {body}: {}", text(&answer));
    }
}
