//! Same dialect in and out: the original bytes, the right address, the right credential.

use crate::harness::{self, Harness, PATIENCE, chat, chat_stream, messages, text};
use bytes::Bytes;
use gantry_testkit::snapshot::{
    ADMIN_TOKEN, UPSTREAM_KEY, account, anthropic, azure, one_account, openai, source,
    virtual_model,
};
use gantry_testkit::{Act, MockUpstream, Raw, Step};
use http::Method;
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn unknown_fields_key_order_and_number_spelling_survive() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let body = "{ \"zeta\" : 1.50e+01, \"model\":\"mock/gpt\",\n \"messages\":[{\"role\":\"user\",\
                \"content\":\"\\u00e9 \\/ hi\"}], \"x_unknown\":{\"b\":[1, 2],\"a\":-0.0} }";
    let answer = gateway.post("/v1/chat/completions", body).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    let expected = body.replace("\"mock/gpt\"", "\"gpt\"");
    assert_eq!(String::from_utf8(sent.body.to_vec()).unwrap(), expected);
    let bearer = format!("Bearer {UPSTREAM_KEY}");
    assert_eq!(sent.header("authorization"), Some(bearer.as_str()));
    assert_eq!(sent.path(), "/v1/chat/completions");
}

#[tokio::test]
async fn azure_is_called_in_both_of_its_styles() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [
        azure("dated", &mock.url(), &["gpt"], Some("2024-10-21")).unwrap(),
        azure("plain", &mock.url(), &["gpt"], None).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let cases = [
        ("dated/gpt", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        ("plain/gpt", "/openai/v1/chat/completions"),
    ];
    for (model, expected) in cases {
        let answer = gateway.post("/v1/chat/completions", &chat(model)).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let sent = mock.last_request().unwrap();
        assert_eq!(sent.path_and_query, expected);
        assert_eq!(sent.header("api-key"), Some(UPSTREAM_KEY));
        assert_eq!(sent.header("authorization"), None);
    }
}

#[tokio::test]
async fn callers_may_use_azures_own_paths() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let paths = [
        "/openai/deployments/mock/gpt/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions",
        "/api/llm/openai/v1/chat/completions",
        "/api/llm/v1/chat/completions",
        "/api/llm/chat/completions",
    ];
    for path in paths {
        let answer = gateway.post(path, &chat("mock/gpt")).await;
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        assert_eq!(mock.last_request().unwrap().path_and_query, "/v1/chat/completions", "{path}");
    }
}

#[tokio::test]
async fn an_anthropic_call_keeps_its_beta_headers_and_query() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [anthropic("claude", &mock.url(), &["opus"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let headers = [
        ("anthropic-beta", "context-1m-2025-08-07"),
        ("anthropic-version", "2023-06-01"),
        ("cookie", "session=secret"),
        ("x-tfy-metadata", "{\"team\":\"search\"}"),
    ];
    let body = messages("claude/opus", false);
    let answer = gateway.send(Method::POST, "/v1/messages?beta=true", &body, &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    assert_eq!(sent.path_and_query, "/v1/messages?beta=true");
    assert_eq!(sent.header("anthropic-beta"), Some("context-1m-2025-08-07"));
    assert_eq!(sent.header("x-api-key"), Some(UPSTREAM_KEY));
    for private in ["cookie", "x-tfy-metadata", "authorization"] {
        assert_eq!(sent.header(private), None, "{private}");
    }
}

/// A whole reply with these headers.
fn reply(status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> Step {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let body = vec![Act::Send(Bytes::from_static(body))];
    Step::Raw(Raw { before: Vec::new(), status, headers: headers.collect(), body })
}

const PLAIN_REPLY: &[u8] =
    br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},
        "finish_reason":"stop"}]}"#;

#[tokio::test]
async fn what_concerns_one_connection_goes_no_further() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let fields = [
        ("connection", "keep-alive, X-RateLimit-Hop ,x-other"),
        ("x-ratelimit-hop", "1"),
        ("x-ratelimit-stays", "1"),
    ];
    mock.script(vec![reply(200, &fields, PLAIN_REPLY)]);
    let body = chat("mock/gpt");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &fields).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    let (hop, stays) = ("x-ratelimit-hop", "x-ratelimit-stays");
    assert_eq!((sent.header(hop), sent.header(stays)), (None, Some("1")));
    assert!(!answer.headers.contains_key(hop) && answer.headers.contains_key(stays));
}

#[tokio::test]
async fn an_anthropic_version_of_one_connection_is_replaced_by_gantrys() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [anthropic("claude", &mock.url(), &["opus"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let fields = [("connection", "anthropic-version"), ("anthropic-version", "2020-01-01")];
    let body = messages("claude/opus", false);
    let answer = gateway.send(Method::POST, "/v1/messages", &body, &fields).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(mock.last_request().unwrap().header("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn upstreams_are_asked_for_plain_bodies_and_a_packed_error_is_told_by_its_status() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let packed = [("content-encoding", "gzip"), ("etag", "\"1\"")];
    mock.script(vec![reply(400, &packed, b"\x1f\x8b\x08\x00 incorrect key")]);
    let asks = [("accept-encoding", "gzip, br")];
    let body = chat("mock/gpt");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &asks).await;
    let sent = mock.last_request().unwrap();
    let codings: Vec<_> = sent.headers.get_all("accept-encoding").iter().collect();
    assert_eq!(codings, ["identity"]);
    assert_eq!(answer.status, 400);
    let error = harness::json(&answer)["error"]["message"].to_string();
    assert!(error.contains("answered with status 400"), "{error}");
    for name in ["content-encoding", "etag"] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn only_reply_headers_that_concern_the_caller_go_on() {
    const MESSAGE: &[u8] = br#"{"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}"#;
    let fields = [
        ("retry-after", "1"),
        ("x-ratelimit-remaining-requests", "7"),
        ("openai-processing-ms", "12"),
        ("anthropic-ratelimit-input-tokens-remaining", "7"),
        ("openai-organization", "acme"),
        ("anthropic-organization-id", "acme"),
        ("clear-site-data", "*"),
        ("nel", "{}"),
        ("report-to", "{}"),
        ("reporting-endpoints", "a=\"https://x\""),
        ("set-cookie", "a=b"),
        ("server", "acme"),
        ("cf-ray", "1"),
        ("x-tfy-resolved-model", "other/model"),
        ("x-anything-new", "1"),
    ];
    let both = ["retry-after", "x-ratelimit-remaining-requests"];
    let cases = [
        ("/v1/chat/completions", chat("mock/gpt"), PLAIN_REPLY, "openai-processing-ms"),
        (
            "/v1/messages",
            messages("claude/opus", false),
            MESSAGE,
            "anthropic-ratelimit-input-tokens-remaining",
        ),
    ];
    let mock = MockUpstream::start().await.unwrap();
    let entries = [
        openai("mock", &mock.url(), &["gpt"]).unwrap(),
        anthropic("claude", &mock.url(), &["opus"]).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    // Good replies and errors alike.
    for status in [200, 400] {
        for (path, body, said, own) in &cases {
            mock.script(vec![reply(status, &fields, said)]);
            let answer = gateway.post(path, body).await;
            assert_eq!(answer.status, status, "{}", text(&answer));
            for (name, value) in fields {
                let passed = answer.headers.get(name).is_some_and(|passed| passed == value);
                assert_eq!(passed, both.contains(&name) || name == *own, "{status} {path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_digest_goes_on_with_the_bytes_that_it_is_of() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let digests = [("etag", "\"1\""), ("content-digest", "sha-256=:x:"), ("digest", "x=y")];
    let reshaped = [("x-tfy-strict-openai", "true")];
    let cases = [
        ("/v1/chat/completions", chat("mock/gpt"), &[][..], true),
        ("/v1/chat/completions", chat("mock/gpt"), &reshaped, false),
        ("/v1/messages", messages("mock/gpt", false), &[], false),
    ];
    for (path, body, headers, kept) in cases {
        mock.script(vec![reply(200, &digests, PLAIN_REPLY)]);
        let answer = gateway.send(Method::POST, path, &body, headers).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        for (name, _) in digests {
            assert_eq!(answer.headers.contains_key(name), kept, "{path} {headers:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_callers_query_is_sent_on_in_ascii() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [anthropic("claude", &mock.url(), &["opus"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let body = messages("claude/opus", false);
    let mut stream =
        TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /v1/messages?beta=true&x=\u{e9}%20 HTTP/1.1\r\nhost: x\r\n\
         x-api-key: {ADMIN_TOKEN}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let sent = mock.last_request().unwrap();
    assert_eq!(sent.path_and_query, "/v1/messages?beta=true&x=%C3%A9%20");
}

#[tokio::test]
async fn a_manifest_does_not_write_the_fields_of_the_connection() {
    let mock = MockUpstream::start().await.unwrap();
    let own = json!({
        "type": "provider-account/openai", "name": "own", "base_url": format!("{}/v1", mock.url()),
        "auth_data": {"type": "api-key", "api_key": "sk-x"},
        "integrations": [{
            "type": "integration/model/openai", "name": "m", "model_id": "m",
            "headers": {"Transfer-Encoding": "chunked", "TE": "trailers", "x-fine": "1"},
        }],
    });
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [{"target": "own/m", "priority": 0, "headers_override": {
            "set": {"Content-Length": "10", "Expect": "100-continue", "x-good": "1"},
        }}],
    });
    let entries = [account(own).unwrap(), virtual_model("route", "m", routing).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let answer = gateway.post("/v1/chat/completions", &chat("route/m")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    for name in ["transfer-encoding", "te", "expect"] {
        assert_eq!(sent.header(name), None, "{name}");
    }
    assert_eq!((sent.header("x-fine"), sent.header("x-good")), (Some("1"), Some("1")));
    let length = sent.body.len().to_string();
    let lengths: Vec<_> = sent.headers.get_all("content-length").iter().collect();
    assert_eq!(lengths, [length.as_str()]);
}

#[tokio::test]
async fn thinking_of_another_provider_is_not_forwarded_to_anthropic() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [anthropic("claude", &mock.url(), &["opus"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let block = r#"{"type":"thinking","thinking":"hm","signature":"gantryThoughtWithoutSign"},"#;
    let body = format!(
        r#"{{"model":"opus","thinking":{{"type":"enabled","budget_tokens":2000}},"max_tokens":4000,
        "messages":[{{"role":"user","content":"Go."}},{{"role":"assistant","content":[{block}
        {{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":
        [{{"type":"tool_result","tool_use_id":"t","content":"1.0"}}]}}]}}"#
    );
    let asked = body.replace(r#""opus""#, r#""claude/opus""#);
    let answer = gateway.post("/v1/messages", &asked).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let listed = answer.headers["x-gantry-fidelity"].to_str().unwrap();
    assert_eq!(listed, "dropped messages[1].content[0]; approximated thinking");
    let sent = String::from_utf8(mock.last_request().unwrap().body.to_vec()).unwrap();
    let thinking = r#""thinking":{"type":"enabled","budget_tokens":2000},"#;
    let expected = body.replace(&format!("{block}\n        "), "").replace(thinking, "");
    assert_eq!(sent, expected);

    let strict = [("x-gantry-strict", "true")];
    let answer = gateway.send(Method::POST, "/v1/messages", &asked, &strict).await;
    assert_eq!(answer.status, 400, "{}", text(&answer));
}

#[tokio::test]
async fn the_callers_own_openai_account_is_not_named_beside_gantrys_key() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let headers = [("openai-organization", "org-1"), ("openai-project", "proj-1")];
    let body = chat("mock/gpt");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    for (name, _) in headers {
        assert_eq!(sent.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_stream_arrives_as_it_came_without_the_usage_nobody_asked_for() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let answer = gateway.post("/v1/chat/completions", &chat_stream("mock/gpt")).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = String::from_utf8(mock.last_request().unwrap().body.to_vec()).unwrap();
    assert!(sent.contains(r#""stream_options":{"include_usage":true}"#), "{sent}");
    let stream = text(&answer);
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    assert!(!stream.contains("\"choices\":[]"), "{stream}");
    let record = gateway.record();
    assert!(record.usage.output > 0, "{record:#?}");
    assert!(!record.usage_estimated);
    assert!(record.first_token_us.is_some());
}

#[tokio::test]
async fn a_caller_who_asks_for_usage_gets_it() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
    let body =
        chat_stream("mock/gpt").replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1);
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert!(text(&answer).contains("\"usage\":{"), "{}", text(&answer));
}

#[tokio::test]
async fn embeddings_and_plain_completions_go_through_the_same_stages() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [openai("mock", &mock.url(), &["gpt"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let body = r#"{"model":"mock/gpt","input":["a","b"]}"#;
    let answer = gateway.post("/v1/embeddings", body).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert!(harness::json(&answer)["data"][0]["embedding"].is_array() || !answer.body.is_empty());
    let body = r#"{"model":"mock/gpt","prompt":"a"}"#;
    let answer = gateway.post("/v1/completions", body).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let operations: Vec<String> =
        gateway.records().into_iter().map(|record| record.operation.into_owned()).collect();
    assert_eq!(operations, ["embedding", "completion"]);
}

#[tokio::test]
async fn an_upstreams_quirks_are_met_and_what_it_refuses_is_reported() {
    let mock = MockUpstream::start().await.unwrap();
    let account = |provider: &str, kind: &str| {
        account(json!({
            "type": format!("provider-account/{provider}"), "name": provider,
            "base_url": format!("{}/v1", mock.url()),
            "auth_data": {"type": "api-key", "api_key": "sk-x"},
            "integrations": [{"type": kind, "name": "m", "model_id": "m"}],
        }))
        .unwrap()
    };
    let entries = [
        account("mistral-ai", "integration/model/mistral-ai"),
        account("groq", "integration/model/groq"),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let extra = "{\"seed\":7,\"max_completion_tokens\":9,\"logit_bias\":{\"1\":2},";
    let body = chat("mistral-ai/m").replacen('{', extra, 1);
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent: serde_json::Value = mock.last_request().unwrap().json().unwrap();
    assert_eq!((&sent["random_seed"], &sent["max_tokens"]), (&json!(7), &json!(9)), "{sent}");
    assert_eq!((&sent["seed"], &sent["max_completion_tokens"]), (&json!(null), &json!(null)));
    let body = chat("groq/m").replacen('{', extra, 1);
    let answer = gateway.post("/v1/chat/completions", &body).await;
    let sent: serde_json::Value = mock.last_request().unwrap().json().unwrap();
    assert_eq!(sent["logit_bias"], json!(null), "{sent}");
    assert_eq!(answer.headers["x-gantry-fidelity"], "dropped logit_bias");
}

/// Any JSON, printed with varying white space, so that only byte copies survive.
fn spelled() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-0.0".to_owned()),
        Just("1E+2".to_owned()),
        "[ -~&&[^\"\\\\]]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"\\u00e9\\/\"".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[ {} ]", all.join(" ,"))),
            prop::collection::vec(("[a-z]{1,5}", inner), 0..4).prop_map(|all| {
                let fields: Vec<String> = all
                    .iter()
                    .enumerate()
                    .map(|(i, (k, v))| format!("\"{k}{i}\" :\t{v}"))
                    .collect();
                format!("{{{}}}", fields.join(",\n"))
            }),
        ]
    })
}

#[test]
fn whatever_a_body_holds_beside_the_model_is_forwarded_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mock, gateway) = runtime.block_on(async {
        let mock = MockUpstream::start().await.unwrap();
        let gateway = Harness::start(one_account(&mock.url(), &["gpt"]).unwrap()).await;
        (mock, gateway)
    });
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() };
    proptest!(config, |(before in spelled(), after in spelled(), at_end in any::<bool>())| {
        let model = "\"model\" : \"mock/gpt\"";
        let rest = format!("\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"a_\":{after}");
        let body = match at_end {
            true => format!("{{\"b_\":{before}, {rest} ,{model}}}"),
            false => format!("{{{model}, \"b_\":{before},{rest}}}\n"),
        };
        runtime.block_on(async {
            let answer = gateway.post("/v1/chat/completions", &body).await;
            assert_eq!(answer.status, 200, "{}", text(&answer));
        });
        let sent = mock.last_request().unwrap();
        let sent = String::from_utf8(sent.body.to_vec()).unwrap();
        prop_assert_eq!(sent, body.replace("\"mock/gpt\"", "\"gpt\""));
    });
}
