//! Tokens of virtual accounts and people.

use crate::{Bed, NOW_MS, admin, bed, bot, entries, openai, source};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantry_control::Error;
use gantry_model::snapshot::{JWT_KEYS, JwtKey, KEYS, KeyEntry};
use gantry_store::sha256_hex;
use serde_json::{Value, json};
use std::time::Duration;

fn key(bed: &Bed, token: &str) -> Option<KeyEntry> {
    let digest = sha256_hex(token.as_bytes());
    let keys = entries::<KeyEntry>(&bed.control.snapshot(), KEYS);
    let published = keys.into_iter().find(|key| key.sha256 == digest);
    assert_eq!(bed.control.key(&digest), published);
    published
}

#[tokio::test]
async fn an_account_gets_its_token_once_and_the_snapshot_knows_its_digest() {
    let bed = bed().await;
    let made = bed.apply(&[openai("main", "sk"), bot("ci")]).await;
    let token = made[1].token.as_ref().unwrap().expose().to_owned();
    assert!(token.starts_with("tfy_") && token.len() == 47);
    let entry = key(&bed, &token).unwrap();
    assert_eq!((entry.caller.subject.as_str(), entry.caller.admin), ("virtualaccount:ci", false));
    assert_eq!(entry.caller.tags["team"], "ml");
    let mut changed = bot("ci");
    changed["tags"] = json!({ "team": "search" });
    assert_eq!(bed.apply(&[changed]).await[0].token, None, "an update shows none");
    assert_eq!(key(&bed, &token).unwrap().caller.tags["team"], "search");
}

#[tokio::test]
async fn the_expiration_date_of_the_manifest_ends_the_token() {
    let bed = bed().await;
    let mut dated = bot("ci");
    dated["expiration_date"] = json!("2026-11-22");
    let token = bed.token_of(&[openai("main", "sk"), dated.clone()]).await;
    let end = Some(NOW_MS + 86_400_000);
    assert_eq!(key(&bed, &token).unwrap().expires_at_ms, end);
    assert_eq!(bed.call_as(&token, "GET", "/session", Value::Null).await.0, 200);
    bed.clock.advance(Duration::from_secs(86_400));
    assert_eq!(bed.call_as(&token, "GET", "/session", Value::Null).await.0, 401);
    dated["expiration_date"] = json!("2026-12-01");
    bed.apply(&[dated]).await;
    assert_eq!(bed.call_as(&token, "GET", "/session", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_new_account_does_not_begin_at_its_end_but_an_old_one_may_be_ended() {
    let bed = bed().await;
    let mut dated = bot("ci");
    dated["expiration_date"] = json!("2020-01-01");
    let both = source(&[openai("main", "sk"), dated.clone()]);
    for dry_run in [true, false] {
        let error = bed.control.apply(&admin(), both.clone(), dry_run).await.unwrap_err();
        let Error::Invalid(problems) = error else { panic!("{error}") };
        assert_eq!((problems.len(), problems[0].field.as_str()), (1, "expiration_date"));
    }
    let token = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    bed.apply(&[dated]).await;
    assert_eq!(key(&bed, &token), None);
}

#[tokio::test]
async fn a_jwt_says_what_clients_read_and_verifies_with_the_published_key() {
    let bed = bed().await;
    let mut jwt = bot("ci");
    jwt["token_type"] = json!("jwt");
    let token = bed.token_of(&[openai("main", "sk"), jwt]).await;
    assert!(key(&bed, &token).is_some(), "known by digest as any other token");

    let published = entries::<JwtKey>(&bed.control.snapshot(), JWT_KEYS).remove(0);
    let decoding = jsonwebtoken::DecodingKey::from_ed_components(&published.ed25519_x).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.validate_exp = false;
    let decoded = jsonwebtoken::decode::<Value>(&token, &decoding, &validation).unwrap();
    assert_eq!(decoded.header.kid.as_ref(), Some(&published.kid));
    let claims = decoded.claims;
    for (claim, expected) in [
        ("tenantName", "default"),
        ("username", "ci"),
        ("subjectType", "serviceaccount"),
        ("sub", "virtualaccount:ci"),
    ] {
        assert_eq!(claims[claim], expected);
    }
    assert!(claims["exp"].as_u64().unwrap() > NOW_MS / 1000);

    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string().replace("\"ci\"", "\"root\""));
    let forged = parts.join(".");
    assert!(jsonwebtoken::decode::<Value>(&forged, &decoding, &validation).is_err());
    assert_eq!(bed.call_as(&forged, "GET", "/session", Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_new_token_replaces_the_old_one_after_the_grace_period() {
    let bed = bed().await;
    let old = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let path = "/virtual-accounts/ci/regenerate-token";
    let body = json!({ "gracePeriodInMinutes": 10.0 });
    let (status, reply) = bed.call("POST", path, body).await;
    assert_eq!(status, 200);
    let new = reply["token"].as_str().unwrap();
    assert_eq!(key(&bed, &old).unwrap().expires_at_ms, Some(NOW_MS + 600_000));
    assert_eq!(key(&bed, new).unwrap().expires_at_ms, None);
    bed.call("POST", path, json!({ "gracePeriodInMinutes": 0 })).await;
    assert_eq!(key(&bed, new), None, "no grace, no access");
    assert_eq!(bed.call("POST", path, json!({ "gracePeriodInMinutes": -1 })).await.0, 400);
    let (status, reply) = bed.call("GET", "/virtual-accounts/ci/token", Value::Null).await;
    assert_eq!(status, 409);
    assert!(reply["message"].as_str().unwrap().contains("regenerate-token"), "{reply}");
}

#[tokio::test]
async fn one_token_of_an_account_can_be_ended() {
    let bed = bed().await;
    let token = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let (_, account) = bed.call("GET", "/virtual-accounts/ci", Value::Null).await;
    let id = account["data"]["jwts"][0]["id"].as_str().unwrap().to_owned();
    let other = format!("/virtual-accounts/other/jwt/{id}");
    assert_eq!(bed.call("DELETE", &other, Value::Null).await.0, 404);
    let path = format!("/virtual-accounts/ci/jwt/{id}");
    assert_eq!(bed.call("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(key(&bed, &token), None);
}

#[tokio::test]
async fn an_account_may_administer_the_tenant_if_its_manifest_says_so() {
    let bed = bed().await;
    let mut ci = bot("ci");
    let plain = bed.token_of(&[openai("main", "sk"), ci.clone()]).await;
    let get = |token: String| {
        let bed = &bed;
        async move { bed.call_as(&token, "GET", "/resources", Value::Null).await.0 }
    };
    assert_eq!(get(plain.clone()).await, 403);
    ci["permissions"] = json!([
        { "resource_type": "tenant", "resource_fqn": "default", "role_id": "tenant-admin" },
    ]);
    bed.apply(&[ci]).await;
    assert_eq!(get(plain).await, 200);
}

#[tokio::test]
async fn a_person_makes_lists_and_ends_own_tokens() {
    let bed = bed().await;
    let path = "/personal-access-tokens";
    let body = json!({ "name": "laptop", "expirationDate": "2026-12-24" });
    let (status, made) = bed.call("POST", path, body.clone()).await;
    assert_eq!(status, 200);
    let token = made["token"].as_str().unwrap();
    let entry = key(&bed, token).unwrap();
    assert_eq!((entry.name.as_str(), entry.caller.admin), ("laptop", true));
    assert_eq!(bed.call("POST", path, body).await.0, 409, "the name is taken");
    for bad in [
        json!({ "name": "" }),
        json!({ "name": "x", "expirationDate": "tomorrow" }),
        json!({ "name": "x", "expirationDate": "2020-01-01" }),
        json!({}),
    ] {
        assert_eq!(bed.call("POST", path, bad.clone()).await.0, 400, "{bad}");
    }
    let (_, list) = bed.call("GET", path, Value::Null).await;
    assert_eq!(list["pagination"]["total"], 2);
    assert!(!list.to_string().contains(token));
    // Both were made within a millisecond of the stopped clock: their order says nothing.
    let mut listed = list["data"].as_array().unwrap().iter();
    let laptop = listed.find(|token| token.to_string().contains("laptop")).unwrap();
    let id = laptop["id"].as_str().unwrap();
    assert_eq!(bed.call("DELETE", &format!("{path}/{id}"), Value::Null).await.0, 200);
    assert_eq!(key(&bed, token), None);
    assert_eq!(bed.call("DELETE", &format!("{path}/{id}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_last_token_of_a_person_is_not_ended() {
    let bed = bed().await;
    let path = "/personal-access-tokens";
    let (_, list) = bed.call("GET", path, Value::Null).await;
    let first = format!("{path}/{}", list["data"][0]["id"].as_str().unwrap());
    let (status, reply) = bed.call("DELETE", &first, Value::Null).await;
    assert_eq!(status, 409, "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("gantry token NAME"), "{reply}");
    let body = json!({ "name": "next", "expirationDate": "2026-11-22" });
    let (_, made) = bed.call("POST", path, body).await;
    let next = made["token"].as_str().unwrap();
    bed.clock.advance(Duration::from_secs(86_400));
    assert_eq!(bed.call("DELETE", &first, Value::Null).await.0, 409, "the other has ended");
    let (_, made) = bed.call("POST", path, json!({ "name": "last" })).await;
    let last = made["token"].as_str().unwrap();
    assert_eq!(bed.call_as(last, "DELETE", &first, Value::Null).await.0, 200);
    assert_eq!(bed.call_as(next, "GET", path, Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_token_makes_none_that_outlives_it() {
    let bed = bed().await;
    let path = "/personal-access-tokens";
    let short = json!({ "name": "short", "expirationDate": "2026-11-22" });
    let (_, made) = bed.call("POST", path, short).await;
    let short = made["token"].as_str().unwrap();
    let end = Some(NOW_MS + 86_400_000);
    for (number, kind) in ["opaque", "jwt"].into_iter().enumerate() {
        let body = json!({ "name": format!("by-{number}"), "tokenType": kind });
        let (status, made) = bed.call_as(short, "POST", path, body).await;
        assert_eq!(status, 200, "{made}");
        assert_eq!(key(&bed, made["token"].as_str().unwrap()).unwrap().expires_at_ms, end);
    }
    let body = |date: &str| json!({ "name": "dated", "expirationDate": date });
    let (status, reply) = bed.call_as(short, "POST", path, body("2026-11-23")).await;
    assert_eq!(status, 400);
    assert!(reply["message"].as_str().unwrap().contains("2026-11-22T00:00:00"), "{reply}");
    assert_eq!(bed.call_as(short, "POST", path, body("2026-11-22")).await.0, 200);
}

#[tokio::test]
async fn of_two_requests_at_once_for_one_name_one_is_refused() {
    let bed = bed().await;
    let body = json!({ "name": "laptop" });
    let ask = || bed.call("POST", "/personal-access-tokens", body.clone());
    let (one, other) = tokio::join!(ask(), ask());
    let mut statuses = [one.0.as_u16(), other.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert!(bed.control.create_admin_token("laptop").await.is_err(), "nor in the data directory");
}

#[tokio::test]
async fn a_virtual_account_has_no_personal_tokens() {
    let bed = bed().await;
    let token = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let body = json!({ "name": "x" });
    assert_eq!(bed.call_as(&token, "POST", "/personal-access-tokens", body).await.0, 403);
    assert!(bed.control.personal_tokens(&admin()).await.unwrap().len() == 1);
}
