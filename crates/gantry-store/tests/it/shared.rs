//! What only a database on a server can bring about: several processes, a lost connection, a login
//! that is refused.

use crate::bed::{Bed, master_key};
use crate::{TENANT, config, put, server};
use gantry_model::ids::Generation;
use gantry_model::secret::Secret;
use gantry_store::{Error, Store, StoreConfig};
use sqlx::{AssertSqlSafe, Connection};

/// Nobody listens on port 1.
const NOBODY: &str = "postgres://gantry:the-password@127.0.0.1:1/gantry";

async fn sql(bed: &Bed, text: &str) {
    let mut stranger = server::connect(bed.url.as_ref().unwrap()).await;
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut stranger).await.unwrap();
    stranger.close().await.unwrap();
}

/// Ends all connections of the store, as a server does that is started anew.
async fn cut(bed: &Bed) {
    let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sql(bed, others).await;
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn processes_that_start_at_once_on_an_empty_database_all_come_up() {
    let bed = Bed::postgres().await;
    let opened = tokio::join!(
        Store::open(bed.config("a")),
        Store::open(bed.config("b")),
        Store::open(bed.config("c")),
    );
    for store in [opened.0, opened.1, opened.2] {
        store.unwrap().create_tenant(TENANT).await.unwrap();
    }
    assert_eq!(bed.open_again("d").await.tenants().await.unwrap(), [TENANT]);
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn a_writer_waits_for_its_own_tenant_only_and_not_for_ever() {
    let bed = Bed::postgres().await;
    let (first, second) = (bed.open().await, bed.open_again("second").await);
    first.create_tenant("other").await.unwrap();
    let mut held = first.write(TENANT).await.unwrap();
    held.put_resource(put("a", "{}")).await.unwrap();
    let mut other = second.write("other").await.unwrap();
    other.put_resource(put("a", "{}")).await.unwrap();
    assert_eq!(other.commit().await.unwrap(), Generation(1));
    let error = second.write(TENANT).await.unwrap_err();
    assert!(matches!(error, Error::Busy), "{error:?}");
    held.commit().await.unwrap();
    second.write(TENANT).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn nobody_hears_of_connections_that_were_lost_between_transactions() {
    let bed = Bed::postgres().await;
    let store = bed.open().await;
    drop(store.read(TENANT).await.unwrap());
    cut(&bed).await;
    store.read(TENANT).await.unwrap();
    cut(&bed).await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("a", "{}")).await.unwrap();
    assert_eq!(tx.commit().await.unwrap(), Generation(1));
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn a_connection_lost_within_a_transaction_is_said_and_nothing_is_stored() {
    let bed = Bed::postgres().await;
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("a", "{}")).await.unwrap();
    cut(&bed).await;
    let error = tx.put_resource(put("b", "{}")).await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error:?}");
    assert!(error.to_string().contains("nothing was stored"), "{error}");
    assert!(matches!(tx.commit().await, Err(Error::Spoiled)));

    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("a", "{}")).await.unwrap();
    cut(&bed).await;
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error:?}");

    // Here the commit itself is the first to meet it, which cannot know how far it came.
    let tx = store.write(TENANT).await.unwrap();
    cut(&bed).await;
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, Error::Uncertain(_)), "{error:?}");

    let mut tx = store.write(TENANT).await.unwrap();
    assert!(tx.resources().await.unwrap().is_empty());
    assert_eq!(tx.generation(), Generation(0));
    tx.put_resource(put("a", "{}")).await.unwrap();
    assert_eq!(tx.commit().await.unwrap(), Generation(1));
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn the_database_holds_no_secret_in_clear_and_needs_its_own_master_key() {
    let bed = Bed::postgres().await;
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_secret("r", "o", &Secret::new("sk-canary-7f3a9c")).await.unwrap();
    tx.commit().await.unwrap();
    let mut stranger = server::connect(bed.url.as_ref().unwrap()).await;
    let row: (String, String) = sqlx::query_as(
        "SELECT s.sealed, t.sealed_data_key FROM secrets s JOIN tenants t ON s.tenant = t.name",
    )
    .fetch_one(&mut stranger)
    .await
    .unwrap();
    assert!(row.0.starts_with("gs1.") && row.1.starts_with("gs1."), "{row:?}");
    assert!(!row.0.contains("canary"));

    let wrong = Some(Secret::new("cd".repeat(32)));
    let wrong = StoreConfig { master_key: wrong, ..bed.config("wrong") };
    let error = Store::open(wrong).await.unwrap_err();
    assert!(matches!(error, Error::WrongMasterKey { .. }), "{error}");
    let missing = StoreConfig { master_key: None, ..bed.config("missing") };
    let error = Store::open(missing).await.unwrap_err();
    assert!(matches!(error, Error::MasterKey { .. }), "no new one beside old data: {error}");
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn an_empty_database_gets_a_master_key_in_the_data_directory() {
    let bed = Bed::postgres().await;
    let own = || StoreConfig { master_key: None, ..bed.config("own") };
    let store = Store::open(own()).await.unwrap();
    store.create_tenant(TENANT).await.unwrap();
    store.close().await;
    drop(store);
    assert!(own().data_dir.join("master.key").exists());
    assert!(!own().data_dir.join("gantry.db").exists());
    Store::open(own()).await.unwrap().write(TENANT).await.unwrap();
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn a_data_directory_has_one_process_beside_a_server_too() {
    let bed = Bed::postgres().await;
    let _store = bed.open().await;
    let error = Store::open(bed.config("first")).await.unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn a_newer_schema_on_a_server_is_refused() {
    let bed = Bed::postgres().await;
    drop(bed.open().await);
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (999, 'later', TRUE, '', 0)";
    sql(&bed, later).await;
    let error = Store::open(bed.config("second")).await.unwrap_err();
    assert!(matches!(error, Error::Schema(_)), "{error:?}");
}

#[tokio::test]
#[ignore = "runs on PostgreSQL"]
async fn what_the_server_refuses_is_said() {
    let bed = Bed::postgres().await;
    sql(&bed, "CREATE ROLE reader LOGIN").await;
    let good = bed.url.clone().unwrap();
    let as_user = |name: &str| good.replace("gantry@", &format!("{name}@"));
    let cases = [
        (server::address("no_such_database"), "log in to the database server"),
        (as_user("nobody"), "log in to the database server"),
        (as_user("reader"), "refuses this user the right"),
    ];
    for (url, expected) in cases {
        let refused = StoreConfig { url: Some(Secret::new(url)), ..bed.config("refused") };
        let error = Store::open(refused).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error:?}");
    }
}

/// On paused time: the wait for a server that is not there is cut short.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_said_without_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let url = Some(Secret::new(NOBODY));
    let config = StoreConfig { url, master_key: master_key(), ..config(dir.path()) };
    assert!(!format!("{config:?}").contains("the-password"));
    let error = Store::open(config).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("see that it runs"), "{error}");
    assert!(!format!("{error:?}").contains("the-password"), "{error:?}");
    assert!(!dir.path().join("master.key").exists(), "a start that fails leaves no key");
}
