//! Full, locked, damaged and foreign databases are named as such.

use crate::{TENANT, config, open};
use gantry_store::{Error, Store};
use sqlx::{Connection, SqliteConnection};
use std::fs;
use std::path::Path;

async fn foreign(dir: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", dir.join("gantry.db").display());
    SqliteConnection::connect(&url).await.unwrap()
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let error = Store::open(config(dir.path())).await.unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    drop(store);
    assert!(Store::open(config(dir.path())).await.is_ok());
}

#[tokio::test]
async fn a_database_locked_by_a_stranger_is_called_busy() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut stranger = foreign(dir.path()).await;
    let held = stranger.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = store.write(TENANT).await.unwrap_err();
    assert!(matches!(error, Error::Busy), "{error}");
    assert!(store.read(TENANT).await.is_ok(), "reads go on");
    held.rollback().await.unwrap();
    assert!(store.write(TENANT).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("gantry.db") {
            fs::remove_file(path).unwrap();
        }
    }
    fs::write(dir.path().join("gantry.db"), vec![b'x'; 8192]).unwrap();
    let error = Store::open(config(dir.path())).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt), "{error:?}");
    assert!(error.to_string().contains("backup"));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let mut stranger = foreign(dir.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
         execution_time) VALUES (999, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    stranger.close().await.unwrap();
    let error = Store::open(config(dir.path())).await.unwrap_err();
    assert!(matches!(error, Error::Schema(_)), "{error:?}");
}
