//! What only the inside of the store can bring about: states of SQLite's own.

use crate::{Error, Put, Store, StoreConfig};
use gantry_runtime::clock::Clock;
use std::path::Path;

async fn open(dir: &Path) -> Store {
    let (data_dir, clock) = (dir.to_owned(), Clock::manual(1));
    let config = StoreConfig { data_dir, url: None, clock, master_key: None };
    let store = Store::open(config).await.unwrap();
    store.create_tenant("acme").await.unwrap();
    store
}

/// After an error of the disk SQLite ends the transaction itself, so that the rollback fails.
#[tokio::test]
async fn a_transaction_that_sqlite_has_undone_is_not_in_the_way_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for _ in 0..2 {
        let mut tx = store.write("acme").await.unwrap();
        tx.connection.raw("ROLLBACK").await.unwrap();
        drop(tx);
    }
    store.write("acme").await.unwrap().commit().await.unwrap();
}

/// A cap on the pages of the file makes it full to SQLite exactly as a full disk does.
#[tokio::test]
async fn a_full_database_is_called_full_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let mut tx = store.write("acme").await.unwrap();
    tx.connection.raw("PRAGMA max_page_count = 60").await.unwrap();
    let put = |spec| Put { family: "a", name: "large", kind: "a", spec, ..Put::default() };
    let error = tx.put_resource(put(&large)).await.unwrap_err();
    assert!(matches!(error, Error::Full), "{error}");
    assert!(error.to_string().contains("disk is full"));
    assert!(matches!(tx.commit().await, Err(Error::Spoiled)));
    assert!(store.read("acme").await.unwrap().resources().await.unwrap().is_empty());
    let mut tx = store.write("acme").await.unwrap();
    tx.connection.raw("PRAGMA max_page_count = 10000").await.unwrap();
    tx.put_resource(put(&large)).await.unwrap();
    tx.commit().await.unwrap();
}

/// The schema before the second migration, with a resource in it.
#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date_with_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.write("acme").await.unwrap();
    for undo in [
        "DROP INDEX resources_by_update; DROP INDEX resources_by_workspace; \
         DROP INDEX tokens_by_creation; ALTER TABLE resources DROP COLUMN workspace; \
         ALTER TABLE resources DROP COLUMN labels; ALTER TABLE resources DROP COLUMN status; \
         ALTER TABLE resources DROP COLUMN observed_generation; \
         DELETE FROM _sqlx_migrations WHERE version > 1",
        "INSERT INTO resources VALUES ('acme', 'f', 'old', 'k', 7, '{}', '{}', 'user:a', 3, 4)",
    ] {
        tx.connection.raw(undo).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
    drop(store);

    let mut tx = open(dir.path()).await.read("acme").await.unwrap();
    let old = tx.resource("f", "old").await.unwrap().unwrap();
    assert_eq!((old.generation.0, old.created_at_ms, old.updated_at_ms), (7, 3, 4));
    assert_eq!((old.workspace, old.labels.len(), old.status), (None, 0, None));
    assert_eq!(old.observed_generation, None);
}
