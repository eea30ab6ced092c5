//! The store as the control plane uses it, on a real database in a temporary directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod faults;
mod files;

use gantry_model::ids::Generation;
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use gantry_store::{AuditEntry, Error, Purpose, Put, Store, StoreConfig, Token, sha256_hex};
use std::path::Path;

const TENANT: &str = "acme";
const NOW_MS: u64 = 1_790_000_000_000;

fn config(dir: &Path) -> StoreConfig {
    StoreConfig { data_dir: dir.to_owned(), clock: Clock::manual(NOW_MS), master_key: None }
}

async fn open(dir: &Path) -> Store {
    let store = Store::open(config(dir)).await.unwrap();
    store.create_tenant(TENANT).await.unwrap();
    store
}

fn put<'a>(name: &'a str, spec: &'a str) -> Put<'a> {
    Put {
        family: "provider-account",
        name,
        kind: "provider-account/openai",
        spec,
        authored: "{}",
        actor: "user:a@acme.example",
    }
}

fn token(id: &str, clear: &str) -> Token {
    Token {
        id: id.to_owned(),
        sha256: sha256_hex(clear.as_bytes()),
        purpose: Purpose::Personal,
        name: id.to_owned(),
        subject: "user:a@acme.example".to_owned(),
        format: "opaque".to_owned(),
        created_at_ms: NOW_MS,
        expires_at_ms: None,
        revoked_at_ms: None,
    }
}

#[tokio::test]
async fn keeps_everything_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", r#"{"a":1}"#)).await.unwrap();
    tx.put_secret("tfy-secret://acme:openai:key", "openai", &Secret::new("s3cret")).await.unwrap();
    tx.add_token(&token("t1", "tfy_clear")).await.unwrap();
    tx.put_user("a@acme.example", true, &["ml".to_owned()]).await.unwrap();
    let deed = AuditEntry { actor: "user:a".into(), action: "create".into(), ..Default::default() };
    tx.audit(&deed).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    drop(store);

    let store = open(dir.path()).await;
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(tx.generation(), Generation(1));
    let resources = tx.resources().await.unwrap();
    assert_eq!(resources.len(), 1);
    assert_eq!((resources[0].spec.as_str(), resources[0].created_at_ms), (r#"{"a":1}"#, NOW_MS));
    let secret = tx.secret("tfy-secret://acme:openai:key").await.unwrap().unwrap();
    assert_eq!(secret.expose(), "s3cret");
    assert_eq!(tx.tokens().await.unwrap(), [token("t1", "tfy_clear")]);
    assert_eq!(tx.users().await.unwrap()[0].teams, ["ml"]);
    assert_eq!(tx.audit_log(10).await.unwrap(), [AuditEntry { at_ms: NOW_MS, ..deed }]);
}

#[tokio::test]
async fn an_abandoned_transaction_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", "{}")).await.unwrap();
    tx.put_secret("r", "openai", &Secret::new("x")).await.unwrap();
    drop(tx);
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(tx.generation(), Generation(0));
    assert!(tx.resources().await.unwrap().is_empty());
    assert_eq!(tx.secret("r").await.unwrap(), None);
}

#[tokio::test]
async fn the_generation_grows_by_one_with_each_change_and_not_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for expected in 1..=3 {
        let mut tx = store.write(TENANT).await.unwrap();
        tx.put_resource(put("a", "{}")).await.unwrap();
        tx.put_resource(put("b", "{}")).await.unwrap();
        assert_eq!(tx.commit().await.unwrap(), Generation(expected));
    }
    let mut tx = store.write(TENANT).await.unwrap();
    assert!(!tx.delete_resource("provider-account", "nothing").await.unwrap());
    assert_eq!(tx.commit().await.unwrap(), Generation(3), "nothing was changed");
    let mut tx = store.write(TENANT).await.unwrap();
    assert!(tx.delete_resource("provider-account", "a").await.unwrap());
    assert_eq!(tx.commit().await.unwrap(), Generation(4));
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(tx.resources().await.unwrap()[0].generation, Generation(3));
}

#[tokio::test]
async fn the_same_secret_again_is_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.write(TENANT).await.unwrap();
    assert!(tx.put_secret("r", "o", &Secret::new("one")).await.unwrap());
    assert!(!tx.put_secret("r", "o", &Secret::new("one")).await.unwrap());
    assert!(tx.put_secret("r", "o", &Secret::new("two")).await.unwrap());
    tx.delete_secret("r").await.unwrap();
    assert_eq!(tx.secret("r").await.unwrap(), None);
}

#[tokio::test]
async fn a_transaction_sees_its_own_tenant_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert!(store.create_tenant("other").await.unwrap());
    assert!(!store.create_tenant("other").await.unwrap(), "a second time is no news");
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", "{}")).await.unwrap();
    tx.put_secret("r", "o", &Secret::new("x")).await.unwrap();
    tx.add_token(&token("t", "tfy_clear")).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read("other").await.unwrap();
    assert!(tx.resources().await.unwrap().is_empty());
    assert_eq!(tx.secret("r").await.unwrap(), None);
    assert!(tx.tokens().await.unwrap().is_empty());
    assert!(matches!(store.read("nobody").await, Err(Error::NoTenant(_))));
}

#[tokio::test]
async fn a_revoked_token_is_gone_and_an_expired_one_is_not_live() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.add_token(&token("a", "tfy_a")).await.unwrap();
    tx.add_token(&token("b", "tfy_b")).await.unwrap();
    tx.set_token_expiry("b", Some(NOW_MS + 10)).await.unwrap();
    tx.revoke_token("a").await.unwrap();
    let left = tx.tokens().await.unwrap();
    assert_eq!(left.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(left[0].live(NOW_MS + 9));
    assert!(!left[0].live(NOW_MS + 10));
}
