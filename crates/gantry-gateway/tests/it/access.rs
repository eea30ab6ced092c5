//! Who may call what, and what refusals say.

use crate::harness::{Harness, chat, json, messages, text};
use gantry_model::snapshot::{KEYS, LISTINGS};
use gantry_testkit::MockUpstream;
use gantry_testkit::snapshot::{MEMBER_TOKEN, account, openai, replace, source, virtual_model};
use http::Method;
use serde_json::json;

async fn gateway(mock: &MockUpstream) -> Harness {
    let private = json!({
        "type": "provider-account/openai", "name": "private",
        "base_url": format!("{}/v1", mock.url()),
        "auth_data": {"type": "api-key", "api_key": "sk-x"},
        "integrations": [
            {"type": "integration/model/openai", "name": "gpt", "model_id": "gpt",
             "model_types": ["chat"]},
            {"type": "integration/model/openai", "name": "for-ml", "model_id": "gpt",
             "authorized_subjects": ["team:ml"]},
        ],
    });
    let broken = json!({
        "type": "provider-account/openai", "name": "broken",
        "auth_data": {"type": "api-key", "api_key": "env://NO_SUCH_VARIABLE"},
        "integrations": [{"type": "integration/model/openai", "name": "gpt", "model_id": "gpt"}],
    });
    let entries = [
        openai("mock", &mock.url(), &["gpt"]).unwrap(),
        account(private).unwrap(),
        account(broken).unwrap(),
    ];
    Harness::start(source(&entries).unwrap()).await
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_in_the_callers_envelope_and_leaves_one_record() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let member = format!("Bearer {MEMBER_TOKEN}");
    let member = ("authorization", member.as_str());
    let stranger = ("authorization", "Bearer tfy_nobody");
    let openai = "/v1/chat/completions";
    let (good, unknown) = (chat("mock/gpt"), chat("mock/gtp"));
    let (short, letter, far) = (chat("for-ml"), chat("g"), chat("r/b"));
    let (private, embedding) = (chat("private/gpt"), r#"{"model":"private/gpt","input":"x"}"#);
    type Headers<'a> = &'a [(&'static str, &'a str)];
    let cases: [(&str, &str, Headers<'_>, u16, &str); 13] = [
        (openai, &good, &[stranger], 401, "the token is not known"),
        (openai, &good, &[("authorization", "")], 401, "no token; send"),
        (openai, &unknown, &[], 404, "did you mean `mock/gpt`?"),
        (openai, &short, &[], 404, "did you mean `private/for-ml`?"),
        (openai, &letter, &[], 404, "there is no model `g`; GET /v1/models lists"),
        (openai, &far, &[], 404, "there is no model `r/b`; GET /v1/models lists"),
        (openai, &private, &[member], 403, "user:member@gantry.test may not use"),
        (openai, "{\"model\":", &[], 400, "at line 1 column"),
        (openai, "{}", &[], 400, "`model` is missing"),
        (
            "/v1/embeddings",
            embedding,
            &[],
            400,
            "does not serve embeddings; its model_types are [chat]",
        ),
        (openai, &good, &[("x-tfy-metadata", "x")], 400, "header `x-tfy-metadata`"),
        ("/v1/images", "{}", &[], 404, "no operation at `/v1/images`"),
        (openai, &good, &[("content-encoding", "gzip")], 415, "compressed"),
    ];
    for (index, (path, body, headers, status, expected)) in cases.into_iter().enumerate() {
        let answer = gateway.send(Method::POST, path, body, headers).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", text(&answer));
        let message = json(&answer)["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(expected), "{message}");
        let records = gateway.records();
        assert_eq!(records.len(), index + 1, "{path} {body}");
        let record = records.last().unwrap();
        assert_eq!((record.status, record.fault.as_ref()), (status, "caller"), "{record:#?}");
        assert_ne!(record.refusal, "");
        assert_eq!(answer.headers["x-request-id"], record.id.unwrap().to_string());
    }
    assert_eq!(mock.requests().len(), 0);
}

#[tokio::test]
async fn a_refusal_says_by_headers_how_to_do_better() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let cases = [
        (Method::GET, "/v1/messages", 405, "allow", "POST"),
        (Method::POST, "/v1/models", 405, "allow", "GET"),
        (Method::POST, "/v1/chat/completions", 401, "www-authenticate", "Bearer"),
    ];
    for (method, path, status, name, expected) in cases {
        let stranger = [("authorization", "Bearer tfy_nobody")];
        let answer = gateway.send(method, path, &chat("mock/gpt"), &stranger).await;
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
        assert_eq!(answer.headers[name], expected, "{path}");
    }
}

#[tokio::test]
async fn the_path_names_the_api_and_a_header_only_where_two_share_it() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let version = [("anthropic-version", "2023-06-01")];
    let answer =
        gateway.send(Method::POST, "/v1/chat/completions", &chat("mock/gpt"), &version).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(json(&answer)["object"], "chat.completion");
    assert!(!answer.headers.contains_key("request-id"));
    for (headers, field) in [(&version[..], "has_more"), (&[], "object")] {
        let answer = gateway.send(Method::GET, "/v1/models", "", headers).await;
        assert!(json(&answer).get(field).is_some(), "{field}: {}", text(&answer));
    }
    let dialects: Vec<_> = gateway.records().iter().map(|record| record.dialect.clone()).collect();
    assert_eq!(dialects, ["openai", "anthropic", "openai"]);
}

#[tokio::test]
async fn a_misspelled_path_is_refused_in_the_envelope_with_a_record() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    for path in ["//v1/chat/completions", "/V1/chat/completions", "//V1/messages"] {
        let answer = gateway.post(path, &chat("mock/gpt")).await;
        assert_eq!(answer.status, 404, "{path}: {}", text(&answer));
        let message = json(&answer)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("no operation at `{path}`")), "{message}");
    }
    let records = gateway.records();
    assert_eq!(records.len(), 3, "{records:#?}");
    assert_eq!(records[0].refusal, "unknown_route");
    assert_eq!(records[2].dialect, "anthropic");
}

#[tokio::test]
async fn metadata_that_fits_no_target_is_the_callers_matter() {
    let mock = MockUpstream::start().await.unwrap();
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "mock/gpt", "priority": 0, "metadata_match": {"tier": "gold"}},
        ],
    });
    let entries = [
        openai("mock", &mock.url(), &["gpt"]).unwrap(),
        virtual_model("route", "chat", routing).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    assert_eq!(answer.status, 400, "{}", text(&answer));
    let message = json(&answer)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("metadata tier is missing"), "{message}");
    assert!(!message.contains("gold") && !message.contains("mock/gpt"), "{message}");
    assert!(message.contains("x-tfy-metadata"), "{message}");
    let record = gateway.record();
    assert_eq!((record.refusal.as_ref(), record.fault.as_ref()), ("no_matching_target", "caller"));
    let step = record.route.last().unwrap();
    assert_eq!((step.target.as_str(), step.detail.as_str()), ("mock/gpt", "it wants `gold`"));
    assert!(!record.error.contains("gold"), "its caller reads this: {}", record.error);
}

#[tokio::test]
async fn a_model_without_its_secret_is_the_operators_matter() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let answer = gateway.post("/v1/chat/completions", &chat("broken/gpt")).await;
    assert_eq!(answer.status, 503, "{}", text(&answer));
    assert!(!text(&answer).contains("NO_SUCH_VARIABLE"), "{}", text(&answer));
    let record = gateway.record();
    assert_eq!(record.fault, "operator");
    assert!(record.route[0].detail.contains("NO_SUCH_VARIABLE"), "{record:#?}");
    assert!(!record.error.contains("NO_SUCH_VARIABLE"), "{}", record.error);
}

#[tokio::test]
async fn a_route_whose_target_lacks_its_secret_does_not_name_the_target() {
    let mock = MockUpstream::start().await.unwrap();
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [{"target": "hidden/gpt", "priority": 0}],
    });
    let hidden = json!({
        "type": "provider-account/openai", "name": "hidden",
        "base_url": format!("{}/v1", mock.url()),
        "auth_data": {"type": "api-key", "api_key": "env://NO_SUCH_VARIABLE"},
        "integrations": [{
            "type": "integration/model/openai", "name": "gpt", "model_id": "gpt",
        }],
    });
    let entries = [account(hidden).unwrap(), virtual_model("route", "chat", routing).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let answer = gateway.post("/v1/chat/completions", &chat("route/chat")).await;
    assert_eq!(answer.status, 503, "{}", text(&answer));
    assert!(text(&answer).contains("route/chat"), "{}", text(&answer));
    assert!(!text(&answer).contains("hidden"), "{}", text(&answer));
    let record = gateway.record();
    let step = record.route.last().unwrap();
    assert_eq!(step.target, "hidden/gpt", "the record does");
    assert!(step.detail.contains("NO_SUCH_VARIABLE") && !record.error.contains("hidden"));
}

#[tokio::test]
async fn anthropic_callers_get_anthropics_envelope() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let answer = gateway.post("/v1/messages", &messages("mock/gtp", false)).await;
    assert_eq!(answer.status, 404);
    let body = json(&answer);
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], "not_found_error");
    assert_eq!(body["request_id"], answer.headers["request-id"].to_str().unwrap());
}

#[tokio::test]
async fn the_list_shows_only_what_the_caller_may_use() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let member = format!("Bearer {MEMBER_TOKEN}");
    let ids = |answer: &gantry_http::client::Answer| -> Vec<String> {
        let data = json(answer)["data"].as_array().cloned().unwrap_or_default();
        data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let headers = [("authorization", member.as_str())];
    let answer = gateway.send(Method::GET, "/v1/models", "", &headers).await;
    assert_eq!(ids(&answer), ["mock/gpt", "private/for-ml"]);
    let answer = gateway.send(Method::GET, "/v1/models", "", &[]).await;
    assert_eq!(ids(&answer).len(), 4);
    let version = [("anthropic-version", "2023-06-01")];
    let answer = gateway.send(Method::GET, "/v1/models", "", &version).await;
    assert_eq!(json(&answer)["has_more"], false);
    let answer = gateway.send(Method::GET, "/v1/models/mock/gpt", "", &[]).await;
    assert_eq!(json(&answer)["id"], "mock/gpt");
}

#[tokio::test]
async fn the_list_tells_titles_and_days_and_a_short_name_serves() {
    let mock = MockUpstream::start().await.unwrap();
    let accounts =
        ["mock", "other"].map(|name| openai(name, &mock.url(), &["gpt", "own"]).unwrap());
    let mut source = source(&accounts).unwrap();
    let listings = json!([
        {"model": "mock/gpt", "short_name": "gpt", "title": "GPT",
         "released_ms": 1_715_558_400_000_u64},
        {"model": "other/gpt", "short_name": "mock/own"},
        {"model": "other/own", "short_name": 7},
        {"model": "gone/own", "short_name": "gone"},
    ]);
    replace(&mut source, LISTINGS, listings.as_array().unwrap()).unwrap();
    let gateway = Harness::start(source).await;
    let version = [("anthropic-version", "2023-06-01")];
    let cases = [
        ("gpt", 1_715_558_400, "GPT", "2024-05-13T00:00:00Z"),
        ("mock/gpt", 1_715_558_400, "GPT", "2024-05-13T00:00:00Z"),
        ("mock/own", 0, "mock/own", "1970-01-01T00:00:00Z"),
        ("other/own", 0, "other/own", "1970-01-01T00:00:00Z"),
    ];
    for (name, created, title, day) in cases {
        let path = format!("/v1/models/{name}");
        let answer = json(&gateway.send(Method::GET, &path, "", &[]).await);
        assert_eq!((&answer["id"], &answer["created"]), (&json!(name), &json!(created)));
        let answer = json(&gateway.send(Method::GET, &path, "", &version).await);
        assert_eq!((&answer["display_name"], &answer["created_at"]), (&json!(title), &json!(day)));
    }
    for (name, resolved) in
        [("gpt", Some("mock/gpt")), ("mock/own", Some("mock/own")), ("gone", None)]
    {
        let answer = gateway.post("/v1/chat/completions", &chat(name)).await;
        let found = answer.headers.get("x-tfy-resolved-model").and_then(|name| name.to_str().ok());
        assert_eq!(found, resolved, "{name}: {}", text(&answer));
    }
}

#[tokio::test]
async fn a_new_snapshot_ends_a_tokens_access_at_once() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    assert_eq!(gateway.post("/v1/chat/completions", &chat("mock/gpt")).await.status, 200);
    let mut next = source(&[openai("mock", &mock.url(), &["gpt"]).unwrap()]).unwrap();
    let nobody: [(); 0] = [];
    replace(&mut next, KEYS, &nobody).unwrap();
    gateway.gateway.publish(&next);
    assert_eq!(gateway.post("/v1/chat/completions", &chat("mock/gpt")).await.status, 401);
}
