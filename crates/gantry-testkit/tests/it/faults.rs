//! Each fault, asked for by its model name.

use crate::client::{Cut, ask, open};
use gantry_testkit::{MockUpstream, Step};
use http_body_util::BodyExt;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

#[tokio::test]
async fn sends_error_statuses_with_hints() {
    let cases = [
        (CHAT, "fault-503", 503, None, None),
        (CHAT, "acc/fault-429-retry-after-2", 429, Some("2"), None),
        (MESSAGES, "fault-529-retry-after-ms-50", 529, None, Some("50")),
    ];
    for (path, model, status, seconds, millis) in cases {
        let reply = ask(path, model, true).await.unwrap();
        assert_eq!(reply.status, status, "{model}");
        assert_eq!(reply.header("retry-after"), seconds, "{model}");
        assert_eq!(reply.header("retry-after-ms"), millis, "{model}");
        assert!(reply.json()["error"]["message"].is_string(), "{model}");
    }
}

#[tokio::test]
async fn cuts_connections_where_it_is_told_to() {
    for path in [CHAT, MESSAGES] {
        for (word, expected) in [("reset", Cut::Reset), ("close", Cut::Closed)] {
            for stream in [true, false] {
                let model = |place: &str| format!("fault-{word}-{place}");
                let reply = ask(path, &model("before-headers"), stream).await;
                assert_eq!(reply.err(), Some(expected), "{word} {stream}");
                let reply = ask(path, &model("before-first"), stream).await.unwrap();
                assert_eq!((reply.status, reply.error), (200, Some(expected)), "{word} {stream}");
                assert_eq!(reply.frames.len(), 0, "{word} {stream}");
                let reply = ask(path, &model("mid-stream"), stream).await.unwrap();
                assert_eq!(reply.error, Some(expected), "{word} {stream}");
                assert!(!reply.frames.is_empty(), "{path} {word} {stream}");
            }
        }
    }
}

#[tokio::test]
async fn has_sent_content_before_a_fault_in_mid_stream() {
    for path in [CHAT, MESSAGES] {
        for model in ["fault-reset-mid-stream", "fault-error-later", "fault-end-mid-stream"] {
            let text = ask(path, model, true).await.unwrap().text();
            assert!(text.contains("Hello"), "{path} {model} {text}");
            assert!(!text.contains("DONE") && !text.contains("message_stop"), "{path} {model}");
        }
    }
}

#[tokio::test]
async fn sends_errors_after_status_200() {
    let cases = [
        (CHAT, "fault-error-first", true, 1),
        (CHAT, "fault-error-later", true, 4),
        (MESSAGES, "fault-error-first", true, 1),
        (MESSAGES, "fault-error-later", true, 5),
        (CHAT, "fault-error-first", false, 0),
        (MESSAGES, "fault-error-first", false, 0),
    ];
    for (path, model, stream, events) in cases {
        let reply = ask(path, model, stream).await.unwrap();
        assert_eq!((reply.status, reply.error), (200, None), "{path} {model}");
        assert_eq!(reply.events().len(), events, "{path} {model}");
        let last = if stream { reply.events().pop().unwrap() } else { reply.json() };
        assert!(last["error"]["message"].is_string(), "{path} {model} {last}");
    }
}

#[tokio::test]
async fn sends_replies_that_are_none() {
    for (path, stream) in [(CHAT, true), (CHAT, false), (MESSAGES, true), (MESSAGES, false)] {
        let empty = ask(path, "fault-empty", stream).await.unwrap();
        assert_eq!((empty.status, empty.text().len(), empty.error), (200, 0, None));
        let html = ask(path, "fault-html", stream).await.unwrap();
        assert_eq!((html.status, html.header("content-type")), (200, Some("text/html")));
        let malformed = ask(path, "fault-malformed", stream).await.unwrap();
        let text = malformed.text();
        let first = text.lines().rfind(|line| line.contains('{') && !line.ends_with('}'));
        let first = first.unwrap_or_else(|| panic!("{text}"));
        let data = first.strip_prefix("data: ").unwrap_or(first);
        assert!(serde_json::from_str::<Value>(data).is_err(), "{text}");
        let short = ask(path, "fault-short-length", stream).await.unwrap();
        assert_eq!(short.error, Some(Cut::Closed));
    }
}

#[tokio::test]
async fn sends_the_whole_reply_in_the_smallest_pieces() {
    for path in [CHAT, MESSAGES] {
        let whole = ask(path, "answer-unicode", true).await.unwrap();
        assert!(whole.text().contains("🌍"), "a byte alone is not a character");
        for model in ["fault-split-bytes", "fault-drip-0"] {
            let split = ask(path, model, true).await.unwrap();
            assert!(split.frames.iter().all(|frame| frame.len() == 1), "{path} {model}");
            assert_eq!(split.text().replace(model, "answer-unicode"), whole.text());
        }
    }
}

#[tokio::test]
async fn sends_huge_events_and_streams_without_their_end() {
    for (path, end) in [(CHAT, "[DONE]"), (MESSAGES, "message_stop")] {
        let huge = ask(path, "fault-huge-2", true).await.unwrap();
        assert!(huge.text().lines().any(|line| line.len() > 2 << 20), "{path}");
        assert!(huge.text().contains(end), "{path}");
        let endless = ask(path, "fault-no-end", true).await.unwrap();
        assert_eq!(endless.error, None);
        assert!(!endless.text().contains(end), "{path}");
        assert!(endless.text().contains("mock."), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_in_tokio_time() {
    for place in ["before-headers", "before-first", "mid-stream"] {
        let start = tokio::time::Instant::now();
        let reply = ask(CHAT, &format!("fault-slow-{place}-60000"), true).await.unwrap();
        assert!(reply.text().ends_with("[DONE]\n\n"), "{place}");
        assert!(start.elapsed().as_secs() >= 60, "{place}");
    }
}

#[tokio::test]
async fn stalls_until_the_client_leaves_and_counts_it_as_abandoned() {
    let mock = MockUpstream::start().await.unwrap();
    let body = |place: &str| json!({"model": format!("fault-stall-{place}"), "stream": true});
    for (before, place) in ["before-first", "mid-stream"].into_iter().enumerate() {
        let (response, held) = open(&mock, CHAT, &body(place)).await.unwrap();
        if place == "mid-stream" {
            response.into_body().frame().await.unwrap().unwrap();
        }
        assert_eq!(mock.progress().abandoned, before, "{place}");
        drop(held);
        let progress = mock.until(|progress| progress.abandoned > before).await;
        assert_eq!((progress.requests, progress.finished), (before + 1, 0), "{place}");
    }
    let headers = body("before-headers");
    tokio::select! {
        _ = open(&mock, CHAT, &headers) => panic!("headers came"),
        _ = mock.until(|progress| progress.requests == 3) => {}
    }
    mock.until(|progress| progress.abandoned == 3).await;
}

#[test]
fn knows_the_names_of_faults_and_no_others() {
    let wrong = [
        "gpt-4o",
        "fault",
        "fault-",
        "fault-200",
        "fault-600",
        "fault-429-retry",
        "fault-429-retry-after-x",
        "fault-reset",
        "fault-reset-later",
        "fault-slow-mid-stream",
        "fault-drip",
        "fault-huge-x",
        "fault-empty-x",
        "answer-nothing",
    ];
    for name in wrong {
        assert!(Step::from_name(name).is_err(), "{name}");
    }
}
