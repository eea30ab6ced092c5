//! What lies on disk, and who may read it.

use crate::{TENANT, config, open, put, token};
use gantry_model::secret::Secret;
use gantry_store::{Error, Store, StoreConfig};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SECRET: &str = "sk-canary-7f3a9c";
const TOKEN: &str = "tfy_canary-token-91c2";

async fn filled(dir: &Path) -> Store {
    let store = open(dir).await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", r#"{"visible":"canary-spec"}"#)).await.unwrap();
    tx.put_secret("r", "openai", &Secret::new(SECRET)).await.unwrap();
    tx.add_token(&token("t", TOKEN)).await.unwrap();
    tx.commit().await.unwrap();
    store
}

fn occurs(dir: &Path, needle: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[tokio::test]
async fn no_file_holds_a_secret_or_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    for moment in ["open", "closed"] {
        assert!(occurs(dir.path(), "canary-spec"), "{moment}: the search itself works");
        assert!(!occurs(dir.path(), SECRET), "{moment}: secret in clear");
        assert!(!occurs(dir.path(), TOKEN), "{moment}: token in clear");
        store.close().await;
    }
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("data");
    let _store = filled(&inner).await;
    assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = Vec::new();
    for entry in fs::read_dir(&inner).unwrap() {
        let entry = entry.unwrap();
        seen.push(entry.file_name().into_string().unwrap());
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    for name in ["gantry.db", "gantry.db-wal", "master.key", "gantry.lock"] {
        assert!(seen.iter().any(|s| s == name), "{name} in {seen:?}");
    }
}

#[tokio::test]
async fn a_master_key_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    let key = dir.path().join("master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Store::open(config(dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    fs::remove_file(dir.path().join("master.key")).unwrap();
    let error = Store::open(config(dir.path())).await.unwrap_err();
    assert!(matches!(error, Error::MasterKey { .. }), "{error}");
    assert!(!dir.path().join("master.key").exists());
}

#[tokio::test]
async fn the_key_of_the_environment_stands_in_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let with = |key: &str| StoreConfig { master_key: Some(Secret::new(key)), ..config(dir.path()) };
    let key = "ab".repeat(32);
    let store = Store::open(with(&key)).await.unwrap();
    store.create_tenant(TENANT).await.unwrap();
    drop(store);
    assert!(!dir.path().join("master.key").exists());
    assert!(Store::open(with(&key)).await.is_ok());
    let error = Store::open(with(&"cd".repeat(32))).await.unwrap_err();
    assert!(matches!(error, Error::WrongMasterKey { .. }), "{error}");
    let error = Store::open(with("short")).await.unwrap_err().to_string();
    assert!(error.contains("GANTRY_MASTER_KEY") && !error.contains("short"), "{error}");
}
