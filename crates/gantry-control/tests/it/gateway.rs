//! Remote gateways: snapshots down, records up; questions about records.

use crate::{Bed, admin, bed, bot, config, entries, openai, secret, still_waits};
use axum::body::Body;
use futures_util::future::BoxFuture;
use gantry_control::{
    Analytics, AnalyticsError, Control, ControlConfig, OneRequest, RecordsSink, Segment, SinkError,
};
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LogQuery, UsageQuery, UsageRow};
use gantry_model::snapshot::{KEYS, KeyEntry, MODELS, News, SECRETS, SnapshotSource};
use gantry_runtime::clock::Clock;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

async fn gateway_token(bed: &Bed) -> String {
    let token = bed.control.create_gateway_token(&admin(), "eu-1").await.unwrap();
    token.expose().to_owned()
}

async fn poll(control: Control, token: String, generation: u64) -> (u16, Option<SnapshotSource>) {
    ask(control, token, format!("generation={generation}")).await
}

async fn ask(control: Control, token: String, have: String) -> (u16, Option<SnapshotSource>) {
    let request = Request::get(format!("/api/svc/v1/gateway/snapshot?{have}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = control.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).ok())
}

#[tokio::test]
async fn a_gateway_gets_everything_it_needs_at_once() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-one"), bot("ci")]).await;
    let token = gateway_token(&bed).await;
    let (status, reply) = bed.call_as(&token, "GET", "/gateway/snapshot", Value::Null).await;
    assert_eq!(status, 200);
    let source: SnapshotSource = serde_json::from_value(reply).unwrap();
    assert_eq!(secret(&source), "sk-one");
    let keys = entries::<KeyEntry>(&source, KEYS);
    assert_eq!(keys.len(), 2, "the administrator's and the account's, not the gateway's");
    assert_eq!(bed.call_as(&token, "GET", "/resources", Value::Null).await.0, 403);
    assert_eq!(poll(bed.control.clone(), token.clone(), 0).await.0, 200);
    assert_eq!(poll(bed.control.clone(), token, 1 << 40).await.0, 409);
}

#[tokio::test]
async fn an_administrator_lists_and_ends_the_tokens_of_gateways() {
    let bed = bed().await;
    let bot = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let token = gateway_token(&bed).await;
    let (status, list) = bed.call("GET", "/gateway/tokens", Value::Null).await;
    assert_eq!((status.as_u16(), &list["pagination"]["total"]), (200, &json!(1)));
    assert_eq!(list["data"][0]["manifest"]["name"], "eu-1");
    assert!(!list.to_string().contains(&token));
    let path = format!("/gateway/tokens/{}", list["data"][0]["id"].as_str().unwrap());
    for (method, path) in [("GET", "/gateway/tokens"), ("DELETE", &path)] {
        assert_eq!(bed.call_as(&bot, method, path, Value::Null).await.0, 403, "{method}");
    }
    assert_eq!(bed.call("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(bed.call_as(&token, "GET", "/gateway/snapshot", Value::Null).await.0, 401);
    assert_eq!(bed.call("DELETE", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_waiting_gateway_hears_of_a_change_when_it_happens() {
    let bed = bed().await;
    let token = gateway_token(&bed).await;
    let have = bed.control.snapshot().generation.0;
    let mut waiting = Box::pin(poll(bed.control.clone(), token, have));
    assert!(still_waits(&mut waiting).await);
    bed.apply(&[openai("main", "sk-two")]).await;
    let (status, source) = waiting.await;
    assert_eq!(status, 200);
    let source = source.unwrap();
    assert_eq!(source.generation.0, have + 1);
    assert_eq!(secret(&source), "sk-two");
}

/// What a gateway says of the snapshot that it has.
fn have(source: &SnapshotSource) -> String {
    let digests = source.digests().into_iter();
    let pairs: Vec<String> = digests.map(|(name, digest)| format!("{name}:{digest}")).collect();
    format!("generation={}&sections={}", source.generation.0, pairs.join(","))
}

/// Asks with what it has, and the names of the sections that came.
async fn follow(bed: &Bed, token: &str, old: &SnapshotSource) -> (SnapshotSource, Vec<String>) {
    let path = format!("/gateway/snapshot?{}", have(old));
    let (status, reply) = bed.call_as(token, "GET", &path, Value::Null).await;
    assert_eq!(status, 200);
    let sections = reply["sections"].as_object().unwrap().iter();
    let mut sent: Vec<String> = sections
        .filter(|(_, section)| section.get("entries").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    if reply["secrets"].get("values").is_some() {
        sent.push(SECRETS.to_owned());
    }
    let news: News = serde_json::from_value(reply).unwrap();
    (news.complete(old).unwrap(), sent)
}

#[tokio::test]
async fn a_change_ships_the_sections_that_it_touches_and_no_others() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-one"), bot("ci")]).await;
    let token = gateway_token(&bed).await;
    let mut has = SnapshotSource::clone(&bed.control.snapshot());
    let steps: [(&str, Value, &[&str]); 4] = [
        ("token", Value::Null, &["keys"]),
        ("manifest", bot("second"), &["keys"]),
        ("manifest", openai("other", "sk-two"), &["listings", "models", SECRETS]),
        ("gateway", Value::Null, &[]),
    ];
    for (what, manifest, expected) in steps {
        match what {
            "token" => drop(bed.control.regenerate_token(&admin(), "ci", 0).await.unwrap()),
            "gateway" => {
                bed.control.create_gateway_token(&admin(), "eu-2").await.unwrap();
            }
            _ => drop(bed.apply(std::slice::from_ref(&manifest)).await),
        }
        let (now, sent) = follow(&bed, &token, &has).await;
        assert_eq!(sent, expected, "{what} {manifest}");
        let whole = bed.control.snapshot();
        assert_eq!((now.digests(), now.generation), (whole.digests(), whole.generation));
        has = now;
    }
    assert_eq!(entries::<KeyEntry>(&has, KEYS).len(), 3);
    assert_eq!(entries::<Value>(&has, MODELS).len(), 2);
}

#[tokio::test]
async fn a_variable_with_another_value_reaches_a_gateway_that_has_this_generation() {
    let bed = bed().await;
    bed.apply(&[openai("main", "env://SET")]).await;
    let token = gateway_token(&bed).await;
    let before = bed.control.snapshot();
    let mut waiting = Box::pin(ask(bed.control.clone(), token.clone(), have(&before)));
    assert!(still_waits(&mut waiting).await, "the same state is no news");
    drop(waiting);
    bed.control.close().await;
    drop(bed.control);
    let environment = |_: &str| Some(gantry_model::secret::Secret::new("another-value"));
    let other =
        ControlConfig { environment: Arc::new(environment), ..config(bed.dir.path(), &bed.clock) };
    let (control, _) = Control::open(other).await.unwrap();
    let (status, source) = ask(control.clone(), token, have(&before)).await;
    let source = source.unwrap();
    assert_eq!((status, source.generation), (200, before.generation));
    assert_eq!(secret(&source), "another-value");
    assert_eq!(have(&source), have(&control.snapshot()), "and is asked for with its own digest");
}

#[tokio::test]
async fn a_gateway_follows_back_to_the_state_of_a_restored_database() {
    let bed = bed().await;
    let token = gateway_token(&bed).await;
    let before = bed.control.snapshot();
    let later = format!("generation={}&sections=keys:0123", before.generation.0 + 40);
    let (status, source) = ask(bed.control.clone(), token.clone(), later).await;
    assert_eq!((status, source.unwrap().generation), (200, before.generation));
    let later = before.generation.0 + 40;
    assert_eq!(poll(bed.control.clone(), token, later).await.0, 409, "an old gateway is told");
}

#[tokio::test]
async fn a_gateway_whose_token_is_ended_while_it_waits_gets_nothing_more() {
    let bed = bed().await;
    let token = gateway_token(&bed).await;
    let generation = bed.control.snapshot().generation.0;
    let mut waiting = Box::pin(poll(bed.control.clone(), token, generation));
    assert!(still_waits(&mut waiting).await);
    let id = bed.control.gateway_tokens().await.unwrap()[0].id.clone();
    bed.control.revoke_gateway_token(&admin(), &id).await.unwrap();
    let (status, source) = waiting.await;
    assert_eq!((status, source.is_none()), (401, true));
}

#[tokio::test]
async fn without_a_change_the_gateway_is_told_to_ask_again() {
    let bed = bed().await;
    let token = gateway_token(&bed).await;
    let have = bed.control.snapshot().generation.0;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let (status, source) = poll(bed.control.clone(), token, have).await;
    assert_eq!((status, source.is_none()), (304, true));
    assert_eq!(began.elapsed().as_secs(), 25);
}

#[tokio::test]
async fn a_stopping_control_plane_lets_waiting_gateways_go() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &Clock::manual(0));
    let shutdown = config.shutdown.clone();
    let (control, _) = Control::open(config).await.unwrap();
    let token = control.create_gateway_token(&admin(), "eu-1").await.unwrap();
    let have = control.snapshot().generation.0;
    let mut waiting = Box::pin(poll(control.clone(), token.expose().to_owned(), have));
    assert!(still_waits(&mut waiting).await);
    shutdown.begin();
    let limit = Duration::from_secs(5);
    assert_eq!(tokio::time::timeout(limit, waiting).await.unwrap().0, 304);
}

#[derive(Default)]
struct Fake {
    segments: Mutex<Vec<(String, String, usize)>>,
    subjects: Mutex<Vec<Option<String>>>,
}

impl RecordsSink for Fake {
    fn accept(&self, segment: Segment) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            if segment.body.starts_with(b"bad") {
                return Err(SinkError::Malformed("not a journal".to_owned()));
            }
            let entry = (segment.gateway, segment.id, segment.body.len());
            self.segments.lock().unwrap().push(entry);
            Ok(())
        })
    }
}

impl Analytics for Fake {
    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<Vec<RequestRecord>, AnalyticsError>> {
        self.subjects.lock().unwrap().push(query.subject);
        Box::pin(async { Ok(vec![RequestRecord { status: 200, ..Default::default() }]) })
    }

    fn request(
        &self,
        asked: OneRequest,
    ) -> BoxFuture<'_, Result<Option<RequestRecord>, AnalyticsError>> {
        self.subjects.lock().unwrap().push(asked.subject);
        let body = Some("said".to_owned());
        let found = RequestRecord { request_body: body, ..Default::default() };
        Box::pin(async move {
            match asked.id.as_str() {
                "0123456789" => Ok(Some(found)),
                "01234567" => Err(AnalyticsError::BadQuery("several requests".to_owned())),
                _ => Ok(None),
            }
        })
    }

    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, AnalyticsError>> {
        self.subjects.lock().unwrap().push(query.subject);
        Box::pin(async { Err(AnalyticsError::BadQuery("by: too many".to_owned())) })
    }
}

async fn bed_with(fake: &Arc<Fake>) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(crate::NOW_MS);
    let config = ControlConfig {
        records: Some(fake.clone()),
        analytics: Some(fake.clone()),
        ..config(dir.path(), &clock)
    };
    let (control, first) = Control::open(config).await.unwrap();
    Bed { control, clock, token: first.unwrap().token.expose().to_owned(), dir }
}

#[tokio::test]
async fn records_of_a_gateway_are_handed_on_with_its_name() {
    let fake = Arc::new(Fake::default());
    let bed = bed_with(&fake).await;
    let token = gateway_token(&bed).await;
    let path = "/gateway/records?segment=000017";
    assert_eq!(bed.call_as(&token, "POST", path, json!("bytes")).await.0, 204);
    let seen = fake.segments.lock().unwrap().clone();
    assert_eq!(seen, [("eu-1".to_owned(), "000017".to_owned(), 7)]);
    assert_eq!(bed.call("POST", path, json!("bytes")).await.0, 403, "people send no records");
    let request = Request::post(format!("/api/svc/v1{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from("bad"))
        .unwrap();
    assert_eq!(bed.control.router().oneshot(request).await.unwrap().status(), 400);
}

#[tokio::test]
async fn people_ask_about_anybody_or_only_about_themselves_by_right() {
    let fake = Arc::new(Fake::default());
    let bed = bed_with(&fake).await;
    let bot = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let other = json!({ "subject": "user:x@y" });
    assert_eq!(bed.call("POST", "/gateway/logs", other.clone()).await.0, 200);
    assert_eq!(bed.call_as(&bot, "POST", "/gateway/logs", other).await.0, 403);
    assert_eq!(bed.call_as(&bot, "POST", "/gateway/logs", json!({})).await.0, 200);
    let (status, reply) = bed.call_as(&bot, "POST", "/gateway/usage", json!({})).await;
    assert_eq!((status.as_u16(), &reply["message"]), (400, &json!("by: too many")));
    let seen = fake.subjects.lock().unwrap().clone();
    let own = Some("virtualaccount:ci".to_owned());
    assert_eq!(seen, [Some("user:x@y".to_owned()), own.clone(), own]);
}

#[tokio::test]
async fn one_request_is_answered_whole_and_by_right() {
    let fake = Arc::new(Fake::default());
    let bed = bed_with(&fake).await;
    let bot = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let path = "/gateway/logs/0123456789";
    let (status, reply) = bed.call("GET", path, Value::Null).await;
    assert_eq!((status.as_u16(), &reply["request_body"]), (200, &json!("said")));
    assert_eq!(bed.call_as(&bot, "GET", path, Value::Null).await.0, 200);
    let seen = fake.subjects.lock().unwrap().clone();
    assert_eq!(seen, [None, Some("virtualaccount:ci".to_owned())]);
    for (path, status, text) in [
        ("/gateway/logs/01234567", 400, "several requests"),
        ("/gateway/logs/fedcba98", 404, "there is no request fedcba98"),
    ] {
        let (got, reply) = bed.call("GET", path, Value::Null).await;
        assert_eq!((got.as_u16(), &reply["message"]), (status, &json!(text)), "{path}");
    }
}

#[tokio::test]
async fn a_list_with_an_unknown_condition_is_refused() {
    let bed = bed_with(&Arc::new(Fake::default())).await;
    let (status, reply) = bed.call("POST", "/gateway/logs", json!({ "id": "0123" })).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("unknown field `id`"), "{reply}");
}

#[tokio::test]
async fn without_a_record_store_the_endpoints_say_so() {
    let bed = bed().await;
    assert_eq!(bed.call("POST", "/gateway/logs", json!({})).await.0, 503);
    let token = gateway_token(&bed).await;
    let path = "/gateway/records?segment=1";
    assert_eq!(bed.call_as(&token, "POST", path, json!(1)).await.0, 503);
}
