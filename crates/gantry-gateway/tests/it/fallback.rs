//! One gate before the first byte: whatever goes wrong before it, the caller notices nothing.

use crate::harness::{Harness, PATIENCE, chat, chat_stream, json, messages, text};
use bytes::Bytes;
use gantry_gateway::Config;
use gantry_model::snapshot::SnapshotSource;
use gantry_testkit::snapshot::{anthropic, azure, openai, self_hosted, source, virtual_model};
use gantry_testkit::{Act, Fault, MockUpstream, Place, Raw, Retry, Step};
use http::Method;
use serde_json::json;
use std::time::Duration;

/// `route/chat`: first `one/m`, then `two/m`.
pub(crate) fn two_targets(first: &MockUpstream, second: &MockUpstream) -> SnapshotSource {
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "one/m", "priority": 0,
             "retry_config": {"attempts": 0, "delay": 1, "on_status_codes": []}},
            {"target": "two/m", "priority": 1},
        ],
    });
    source(&[
        openai("one", &first.url(), &["m"]).unwrap(),
        openai("two", &second.url(), &["m"]).unwrap(),
        virtual_model("route", "chat", routing).unwrap(),
    ])
    .unwrap()
}

fn status(code: u16) -> Step {
    Step::Fault(Fault::Status { code, retry: Retry::Unsaid })
}

/// A reply with status 200 and this body.
fn raw(body: &str) -> Raw {
    let body = vec![Act::Send(Bytes::from(body.to_owned()))];
    Raw { before: Vec::new(), status: 200, headers: Vec::new(), body }
}

#[tokio::test]
async fn every_early_fault_falls_to_the_next_target_unnoticed() {
    let cut = |at, reset| Step::Fault(Fault::Cut { at, reset });
    let raw = |body: &str| Step::Raw(raw(body));
    let empty_message = r#"{"choices":[{"message":{"role":"assistant","content":""}}]}"#;
    let cases: [(&str, Step, bool); 18] = [
        ("status", status(503), false),
        ("status", status(429), false),
        ("status", status(401), false),
        ("reset", cut(Place::BeforeHeaders, true), false),
        ("reset", cut(Place::BeforeHeaders, false), false),
        ("reset", cut(Place::BeforeFirst, true), true),
        ("malformed", Step::Fault(Fault::Empty), true),
        ("malformed", Step::Fault(Fault::Malformed), true),
        ("malformed", Step::Fault(Fault::Malformed), false),
        ("malformed", Step::Fault(Fault::Html), true),
        ("malformed", Step::Fault(Fault::Html), false),
        ("malformed", raw("data: [DONE]\n\n"), true),
        ("malformed", raw("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"), true),
        ("malformed", raw(r#"{"choices":[]}"#), false),
        ("malformed", raw(empty_message), false),
        ("too_large", Step::Fault(Fault::Huge { mib: 2 }), false),
        ("stream_error", Step::Fault(Fault::Error { later: false }), true),
        ("stream_error", Step::Fault(Fault::Error { later: false }), false),
    ];
    for (outcome, step, stream) in cases {
        let (first, second) =
            (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap());
        let config = Config { reply_bytes_max: 1 << 20, ..Config::default() };
        let gateway = Harness::start_with(two_targets(&first, &second), config).await;
        let shown = format!("{step:?} stream={stream}");
        first.script(vec![step]);
        let body = if stream { chat_stream("route/chat") } else { chat("route/chat") };
        let answer = gateway.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{shown}: {}", text(&answer));
        assert_eq!(answer.headers["x-tfy-resolved-model"], "two/m", "{shown}");
        let record = gateway.record();
        assert_eq!(record.attempts.len(), 2, "{shown}: {record:#?}");
        assert_eq!(record.attempts[0].outcome, outcome, "{shown}: {record:#?}");
        assert_eq!(record.attempts[1].outcome, "ok", "{shown}");
        assert_eq!(record.resolved_model, "two/m", "{shown}");
        if stream {
            assert!(text(&answer).ends_with("data: [DONE]\n\n"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_late_first_token_falls_back_although_408_is_not_listed() {
    for place in [Place::BeforeHeaders, Place::BeforeFirst] {
        let (first, second) =
            (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap());
        let gateway = Harness::start(two_targets(&first, &second)).await;
        first.script(vec![Step::Fault(Fault::Pause { at: place, time: None })]);
        let headers = [("x-tfy-ttft-timeout-ms", "150")];
        let body = chat_stream("route/chat");
        let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let record = gateway.record();
        assert_eq!(record.attempts[0].outcome, "first_token_timeout", "{record:#?}");
        assert_eq!(record.resolved_model, "two/m");
    }
}

#[tokio::test]
async fn nobody_listening_falls_back() {
    let second = MockUpstream::start().await.unwrap();
    let gone = MockUpstream::start().await.unwrap();
    let snapshot = two_targets(&gone, &second);
    drop(gone);
    let gateway = Harness::start(snapshot).await;
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(gateway.record().attempts[0].outcome, "connect");
}

#[tokio::test]
async fn an_azure_region_at_its_limit_is_retried_in_another_and_an_outage_falls_to_ones_own() {
    let (east, west, own) = (
        MockUpstream::start().await.unwrap(),
        MockUpstream::start().await.unwrap(),
        MockUpstream::start().await.unwrap(),
    );
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "azure-east/gpt", "priority": 0},
            {"target": "azure-west/gpt", "priority": 1},
            {"target": "llama/llama", "priority": 2},
        ],
    });
    let version = Some("2024-10-21");
    let entries = [
        azure("azure-east", &east.url(), &["gpt"], version).unwrap(),
        azure("azure-west", &west.url(), &["gpt"], version).unwrap(),
        self_hosted("llama", &own.url(), &["llama"]).unwrap(),
        virtual_model("prod", "chat", routing).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let limited = Fault::Status { code: 429, retry: Retry::Seconds(30) };
    east.always(Step::Fault(limited));
    let answer = gateway.post("/v1/chat/completions", &chat("prod/chat")).await;
    assert_eq!(answer.headers["x-tfy-resolved-model"], "azure-west/gpt", "{}", text(&answer));
    assert_eq!(east.requests().len(), 1, "a named wait is not spent on the same region");
    west.always(Step::Fault(Fault::Cut { at: Place::BeforeHeaders, reset: true }));
    let answer = gateway.post("/v1/chat/completions", &chat("prod/chat")).await;
    assert_eq!(answer.headers["x-tfy-resolved-model"], "llama/llama", "{}", text(&answer));
    let why: Vec<String> = gateway.records()[1]
        .attempts
        .iter()
        .map(|attempt| format!("{} {}", attempt.target, attempt.outcome))
        .collect();
    assert_eq!(why.first().map(String::as_str), Some("azure-east/gpt status"), "{why:?}");
    assert_eq!(why.last().map(String::as_str), Some("llama/llama ok"), "{why:?}");
}

#[tokio::test]
async fn two_failures_move_a_target_to_the_end() {
    let (first, second) =
        (MockUpstream::start().await.unwrap(), MockUpstream::start().await.unwrap());
    let gateway = Harness::start(two_targets(&first, &second)).await;
    first.always(status(500));
    for _ in 0..3 {
        let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
    }
    assert_eq!(first.requests().len(), 2);
    let last = gateway.records().pop().unwrap();
    assert_eq!(last.attempts.len(), 1);
    let moved = last.route.iter().find(|step| step.target == "one/m").unwrap();
    assert_eq!(moved.reason, "moved to the end: unhealthy: the last 2 requests failed");
}

#[tokio::test]
async fn the_same_target_is_tried_again_as_often_as_the_header_says() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [openai("mock", &mock.url(), &["m"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    mock.script(vec![status(503), status(503), status(503)]);
    let headers = [("x-tfy-retry-config", r#"{"attempts":3,"onStatusCodes":[503]}"#)];
    let answer =
        gateway.send(Method::POST, "/v1/chat/completions", &chat("mock/m"), &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(mock.requests().len(), 4);
}

#[tokio::test]
async fn a_reply_that_was_paid_for_is_not_asked_for_again() {
    let config = Config { reply_bytes_max: 1 << 20, event_bytes_max: 1 << 20, ..Config::default() };
    let cases = [
        (Fault::Malformed, false, "sent a malformed reply"),
        (Fault::Malformed, true, "sent a malformed reply"),
        (Fault::Html, false, "sent a malformed reply"),
        (Fault::Huge { mib: 2 }, false, "sent a reply that is too large"),
    ];
    for (fault, stream, expected) in cases {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [openai("mock", &mock.url(), &["m"]).unwrap()];
        let gateway = Harness::start_with(source(&entries).unwrap(), config.clone()).await;
        mock.always(Step::Fault(fault));
        let body = if stream { chat_stream("mock/m") } else { chat("mock/m") };
        let answer = gateway.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 502, "{fault:?}");
        assert!(text(&answer).contains(expected), "{fault:?}: {}", text(&answer));
        assert_eq!(mock.requests().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn the_last_upstreams_own_error_reaches_the_caller() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [
        openai("mock", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    mock.always(Step::Fault(Fault::Status { code: 429, retry: Retry::Seconds(60) }));
    let answer = gateway.post("/v1/chat/completions", &chat("mock/m")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "60");
    assert!(json(&answer)["error"]["message"].is_string(), "{}", text(&answer));
    let answer = gateway.post("/v1/chat/completions", &chat("claude/m")).await;
    assert_eq!(answer.status, 429);
    assert!(json(&answer)["error"]["message"].is_string(), "translated: {}", text(&answer));
    for (model, whose) in [("mock/m", "Gantry's"), ("claude/m", "the upstream's own")] {
        let answer = gateway.post("/v1/messages", &messages(model, false)).await;
        let id = json(&answer)["request_id"].clone();
        let ours = answer.headers["request-id"].to_str().unwrap();
        assert_eq!(id == ours, model == "mock/m", "{whose}: {}", text(&answer));
        assert_ne!(id, "", "{whose}: {}", text(&answer));
    }
    let faults: Vec<String> =
        gateway.records().into_iter().map(|record| record.fault.into_owned()).collect();
    assert_eq!(faults, ["upstream"; 4]);
}

#[tokio::test]
async fn an_error_after_status_200_has_the_status_and_the_words_that_it_means() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let too_long = r#"{"error":{"message":"maximum context length is 8","type":"bad"}}"#;
    let limited = r#"{"error":{"code":429,"message":"slow down, please"}}"#;
    let event = |data: &str| format!("data: {data}\n\n");
    let failed = format!("event: error\n{}", event(overloaded));
    let (gpt, claude) = (chat_stream("gpt/m"), chat_stream("claude/m"));
    let cases = [
        ("/v1/chat/completions", &gpt, event(limited), 429, "slow down, please"),
        ("/v1/chat/completions", &chat("gpt/m"), limited.to_owned(), 429, limited),
        ("/v1/chat/completions", &gpt, event(too_long), 400, "context_length_exceeded"),
        ("/v1/chat/completions", &claude, failed.clone(), 503, "busy"),
        ("/v1/messages", &messages("claude/m", true), failed, 529, "overloaded_error"),
        ("/v1/messages", &messages("gpt/m", false), limited.to_owned(), 429, "rate_limit_error"),
        ("/v1/messages", &messages("gpt/m", true), event(too_long), 400, "invalid_request_error"),
    ];
    for (path, request, body, status, expected) in cases {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [
            openai("gpt", &mock.url(), &["m"]).unwrap(),
            anthropic("claude", &mock.url(), &["m"]).unwrap(),
        ];
        let gateway = Harness::start(source(&entries).unwrap()).await;
        let headers = vec![("retry-after".to_owned(), "60".to_owned())];
        mock.always(Step::Raw(Raw { headers, ..raw(&body) }));
        let answer = gateway.post(path, request).await;
        let shown = format!("{path} {request} {body}: {}", text(&answer));
        assert_eq!(answer.status, status, "{shown}");
        assert!(text(&answer).contains(expected), "{shown}");
        assert!(json(&answer)["error"]["message"].is_string(), "{shown}");
        assert_eq!(answer.headers["retry-after"], "60", "{shown}");
        let record = gateway.record();
        assert_eq!(record.attempts[0].outcome, "stream_error", "{record:#?}");
        assert_eq!(record.status, status, "{record:#?}");
        assert_eq!(record.fault, if status == 400 { "caller" } else { "upstream" });
    }
}

#[tokio::test]
async fn an_error_whose_body_stalls_is_judged_by_its_status() {
    let said = r#"{"error":{"message":"out of order"}}"#;
    let cases = [("", "answered with status 503"), (&said[..20], "status 503"), (said, said)];
    let all = cases.map(|(body, expected)| async move {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [openai("mock", &mock.url(), &["m"]).unwrap()];
        let gateway = Harness::start(source(&entries).unwrap()).await;
        let mut begun = Raw { status: 503, ..raw(body) };
        begun.headers = vec![("content-length".to_owned(), "100".to_owned())];
        begun.body.push(Act::Stall);
        mock.always(Step::Raw(begun));
        let once = [("x-tfy-retry-config", r#"{"attempts":0}"#)];
        let request = chat("mock/m");
        let answer = gateway.send(Method::POST, "/v1/chat/completions", &request, &once).await;
        assert_eq!(answer.status, 503, "{body}: {}", text(&answer));
        assert!(text(&answer).contains(expected), "{body}: {}", text(&answer));
        assert_eq!(gateway.record().attempts[0].outcome, "status", "{body}");
    });
    // Together, since each waits as long as the gateway does.
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn after_the_first_byte_a_failure_is_an_error_event_never_a_silent_end() {
    let config = Config { idle_timeout_ms: 200, ..Config::default() };
    let cases = [
        Fault::Cut { at: Place::MidStream, reset: true },
        Fault::Cut { at: Place::MidStream, reset: false },
        Fault::Pause { at: Place::MidStream, time: None },
        Fault::EndMidStream,
        Fault::Error { later: true },
    ];
    for fault in cases {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [openai("mock", &mock.url(), &["m"]).unwrap()];
        let gateway = Harness::start_with(source(&entries).unwrap(), config.clone()).await;
        mock.script(vec![Step::Fault(fault)]);
        let answer = gateway.post("/v1/chat/completions", &chat_stream("mock/m")).await;
        assert_eq!(answer.status, 200, "{fault:?}");
        let stream = text(&answer);
        assert!(stream.contains("\"error\":{"), "{fault:?}: {stream}");
        let idle = stream.contains("the model sent nothing for 200 ms");
        assert_eq!(idle, matches!(fault, Fault::Pause { .. }), "{fault:?}: {stream}");
        let record = gateway.record();
        assert_eq!(record.fault, "upstream", "{fault:?}: {record:#?}");
        assert_ne!(record.refusal, "", "{fault:?}");
        assert_eq!(record.attempts.len(), 1, "{fault:?}");
        assert!(record.usage.output > 0, "what was streamed is charged: {record:#?}");
    }
}

#[tokio::test]
async fn a_stream_without_its_end_mark_is_whole_when_a_chat_model_has_stopped() {
    let cases = [
        ("/v1/chat/completions", chat_stream("gpt/m"), Some("data: [DONE]")),
        ("/v1/messages", messages("gpt/m", true), Some(r#"data: {"type":"message_stop"}"#)),
        ("/v1/messages", messages("claude/m", true), None),
        ("/v1/chat/completions", chat_stream("claude/m"), None),
    ];
    for (path, body, end) in cases {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [
            openai("gpt", &mock.url(), &["m"]).unwrap(),
            anthropic("claude", &mock.url(), &["m"]).unwrap(),
        ];
        let gateway = Harness::start(source(&entries).unwrap()).await;
        mock.script(vec![Step::Fault(Fault::NoEnd)]);
        let stream = text(&gateway.post(path, &body).await);
        let record = gateway.record();
        let outcome = record.attempts[0].outcome.as_ref();
        if let Some(end) = end {
            assert!(stream.trim_end().ends_with(end), "{body}: {stream}");
            assert_eq!((record.error.as_str(), outcome), ("", "ok"), "{body}: {record:#?}");
            assert!(record.usage.output > 0 && !record.usage_estimated, "{body}: {record:#?}");
        } else {
            assert!(stream.contains("\"error\":{"), "{body}: {stream}");
            assert_eq!(outcome, "reset", "{body}: {record:#?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_whole_does_not_wait_for_its_framing() {
    let cases = [
        ("/v1/chat/completions", chat_stream("gpt/m"), "data: [DONE]"),
        ("/v1/messages", messages("gpt/m", true), r#"data: {"type":"message_stop"}"#),
        ("/v1/messages", messages("claude/m", true), r#"data: {"type":"message_stop"}"#),
    ];
    let all = cases.map(|(path, body, end)| async move {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [
            openai("gpt", &mock.url(), &["m"]).unwrap(),
            anthropic("claude", &mock.url(), &["m"]).unwrap(),
        ];
        let gateway = Harness::start(source(&entries).unwrap()).await;
        mock.script(vec![Step::Fault(Fault::Pause { at: Place::AfterEnd, time: None })]);
        let stream = text(&gateway.post(path, &body).await);
        assert!(stream.trim_end().ends_with(end), "{body}: {stream}");
        let record = gateway.record();
        let outcome = record.attempts[0].outcome.as_ref();
        assert_eq!((record.error.as_str(), outcome), ("", "ok"), "{body}: {record:#?}");
        let left = mock.until(|progress| progress.abandoned == 1);
        tokio::time::timeout(PATIENCE, left).await.expect("the connection was kept");
    });
    // Together, since each waits as long as the relay does.
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn odd_framing_is_no_fault() {
    let faults = [
        Fault::SplitBytes,
        Fault::Drip { pause: Duration::from_millis(0) },
        Fault::Huge { mib: 2 },
    ];
    for fault in faults {
        let mock = MockUpstream::start().await.unwrap();
        let entries = [openai("mock", &mock.url(), &["m"]).unwrap()];
        let gateway = Harness::start(source(&entries).unwrap()).await;
        mock.script(vec![Step::Fault(fault)]);
        let answer = gateway.post("/v1/chat/completions", &chat_stream("mock/m")).await;
        assert_eq!(answer.status, 200, "{fault:?}");
        assert!(text(&answer).ends_with("data: [DONE]\n\n"), "{fault:?}");
        assert_eq!(gateway.record().error, "", "{fault:?}");
    }
}
