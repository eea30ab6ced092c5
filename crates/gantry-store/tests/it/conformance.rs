//! What both engines owe: what was stored comes back, transactions are whole and apart.

use crate::bed::Bed;
use crate::{NOW_MS, TENANT, put, token};
use gantry_model::ids::Generation;
use gantry_model::secret::Secret;
use gantry_store::{AuditEntry, Error, Put, Store, TokenFilter};
use std::collections::BTreeMap;

on_both_engines!(
    keeps_everything_over_a_restart,
    keeps_texts_as_they_are_and_orders_them_by_their_bytes,
    an_abandoned_transaction_leaves_nothing,
    the_generation_grows_by_one_with_each_change_and_not_otherwise,
    a_status_is_kept_without_a_new_generation,
    the_same_secret_again_is_no_change,
    a_transaction_sees_its_own_tenant_only,
    a_reading_transaction_sees_one_moment_and_is_not_held_up,
    a_reading_transaction_cannot_write,
    a_transaction_with_a_failed_part_stores_nothing,
    a_label_that_no_database_takes_is_refused,
);

async fn keeps_everything_over_a_restart(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    let labels = BTreeMap::from([("team".to_owned(), "ml".to_owned())]);
    let put = Put { workspace: Some("dev"), labels: &labels, ..put("openai", r#"{"a":1}"#) };
    tx.put_resource(put).await.unwrap();
    tx.put_secret("tfy-secret://acme:openai:key", "openai", &Secret::new("s3cret")).await.unwrap();
    tx.add_token(&token("t1", "tfy_clear")).await.unwrap();
    tx.put_user("a@acme.example", true, &["ml".to_owned()]).await.unwrap();
    tx.put_user("b@acme.example", true, &[]).await.unwrap();
    tx.put_user("b@acme.example", false, &[]).await.unwrap();
    let deed = AuditEntry { actor: "user:a".into(), action: "create".into(), ..Default::default() };
    tx.audit(&deed).await.unwrap();
    let later = AuditEntry { before: Some("{}".into()), after: Some("{}".into()), ..deed.clone() };
    tx.audit(&later).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    drop(store);

    let store = bed.open().await;
    assert_eq!(store.tenants().await.unwrap(), [TENANT]);
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!((tx.generation(), tx.now_ms()), (Generation(1), NOW_MS));
    let resources = tx.resources().await.unwrap();
    assert_eq!(resources.len(), 1);
    let kept = &resources[0];
    assert_eq!((kept.spec.as_str(), kept.authored.as_str()), (r#"{"a":1}"#, "{}"));
    assert_eq!((kept.created_at_ms, kept.updated_at_ms), (NOW_MS, NOW_MS));
    assert_eq!((kept.workspace.as_deref(), &kept.labels), (Some("dev"), &labels));
    assert_eq!(tx.resource("provider-account", "openai").await.unwrap().as_ref(), Some(kept));
    assert_eq!(tx.resource("provider-account", "other").await.unwrap(), None);
    let secret = tx.secret("tfy-secret://acme:openai:key").await.unwrap().unwrap();
    assert_eq!(secret.expose(), "s3cret");
    let references = tx.secret_references().await.unwrap();
    assert_eq!(references, [("tfy-secret://acme:openai:key".to_owned(), "openai".to_owned())]);
    assert_eq!(tx.tokens(TokenFilter::default()).await.unwrap(), [token("t1", "tfy_clear")]);
    let users = tx.users().await.unwrap();
    assert_eq!((users[0].admin, &users[0].teams), (true, &vec!["ml".to_owned()]));
    assert_eq!((users[1].email.as_str(), users[1].admin), ("b@acme.example", false));
    let at = |entry| AuditEntry { at_ms: NOW_MS, ..entry };
    assert_eq!(tx.audit_log(10).await.unwrap(), [at(later.clone()), at(deed)]);
    assert_eq!(tx.audit_log(1).await.unwrap(), [at(later)]);
}

async fn keeps_texts_as_they_are_and_orders_them_by_their_bytes(bed: Bed) {
    let store = bed.open().await;
    let mut names =
        vec!["b", "B", "a-b", "a_b", "ab", "ä", "Ω", "'; --", "\\", "\"", "%", "🦀", " "];
    let mut tx = store.write(TENANT).await.unwrap();
    for name in &names {
        tx.put_resource(put(name, name)).await.unwrap();
        tx.put_user(name, false, &[(*name).to_owned()]).await.unwrap();
        tx.put_secret(name, "o", &Secret::new(*name)).await.unwrap();
    }
    tx.commit().await.unwrap();
    names.sort_unstable();
    let mut tx = store.read(TENANT).await.unwrap();
    let resources = tx.resources().await.unwrap();
    assert_eq!(resources.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(resources.iter().map(|r| r.spec.as_str()).collect::<Vec<_>>(), names);
    let users = tx.users().await.unwrap();
    assert_eq!(users.iter().map(|u| u.teams[0].as_str()).collect::<Vec<_>>(), names);
    let references = tx.secret_references().await.unwrap();
    assert_eq!(references.iter().map(|(r, _)| r.as_str()).collect::<Vec<_>>(), names);
    for name in names {
        assert_eq!(tx.secret(name).await.unwrap().unwrap().expose(), name);
    }
}

async fn an_abandoned_transaction_leaves_nothing(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", "{}")).await.unwrap();
    tx.put_secret("r", "openai", &Secret::new("x")).await.unwrap();
    tx.audit(&AuditEntry::default()).await.unwrap();
    drop(tx);
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(tx.generation(), Generation(0));
    assert!(tx.resources().await.unwrap().is_empty());
    assert_eq!(tx.secret("r").await.unwrap(), None);
    assert!(tx.audit_log(10).await.unwrap().is_empty());
    drop(tx);
    change(&store, "again").await;
}

async fn change(store: &Store, name: &str) -> Generation {
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put(name, "{}")).await.unwrap();
    tx.commit().await.unwrap()
}

async fn the_generation_grows_by_one_with_each_change_and_not_otherwise(bed: Bed) {
    let store = bed.open().await;
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

async fn a_status_is_kept_without_a_new_generation(bed: Bed) {
    let store = bed.open().await;
    let first = change(&store, "a").await;
    let second = change(&store, "a").await;
    let say = |name: &'static str, text: &'static str, of: Generation| {
        let store = store.clone();
        async move {
            let mut tx = store.write(TENANT).await.unwrap();
            let stored = tx.put_status("provider-account", name, text, of).await.unwrap();
            assert_eq!(tx.commit().await.unwrap(), second, "gateways need not hear of it");
            stored
        }
    };
    assert!(!say("nothing", "{}", second).await);
    assert!(say("a", "one", first).await);
    assert!(say("a", "two", second).await);
    assert!(!say("a", "late", first).await, "a later look is not undone");
    assert!(say("a", "three", second).await);
    let of = |tx: &gantry_store::Resource| (tx.status.clone(), tx.observed_generation);
    let kept = (Some("three".to_owned()), Some(second));
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(of(&tx.resources().await.unwrap()[0]), kept);
    drop(tx);
    let third = change(&store, "a").await;
    let mut tx = store.read(TENANT).await.unwrap();
    let changed = tx.resources().await.unwrap().remove(0);
    assert_eq!(of(&changed), kept, "it stays, and shows that nobody has looked since");
    assert_eq!(changed.generation, third);
}

async fn the_same_secret_again_is_no_change(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    assert!(tx.put_secret("r", "o", &Secret::new("one")).await.unwrap());
    assert!(!tx.put_secret("r", "o", &Secret::new("one")).await.unwrap());
    assert!(tx.put_secret("r", "o", &Secret::new("two")).await.unwrap());
    assert_eq!(tx.secret("r").await.unwrap().unwrap().expose(), "two");
    tx.delete_secret("r").await.unwrap();
    assert_eq!(tx.secret("r").await.unwrap(), None);
}

async fn a_transaction_sees_its_own_tenant_only(bed: Bed) {
    let store = bed.open().await;
    assert!(store.create_tenant("other").await.unwrap());
    assert!(!store.create_tenant("other").await.unwrap(), "a second time is no news");
    assert_eq!(store.tenants().await.unwrap(), [TENANT, "other"]);
    let mut tx = store.write(TENANT).await.unwrap();
    tx.put_resource(put("openai", "{}")).await.unwrap();
    tx.put_secret("r", "o", &Secret::new("x")).await.unwrap();
    tx.add_token(&token("t", "tfy_clear")).await.unwrap();
    tx.put_user("a@acme.example", true, &[]).await.unwrap();
    tx.audit(&AuditEntry::default()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.write("other").await.unwrap();
    assert!(tx.resources().await.unwrap().is_empty());
    assert!(!tx.delete_resource("provider-account", "openai").await.unwrap());
    assert!(!tx.put_status("provider-account", "openai", "{}", Generation(1)).await.unwrap());
    assert_eq!(tx.secret("r").await.unwrap(), None);
    tx.revoke_token("t").await.unwrap();
    assert!(tx.tokens(TokenFilter::default()).await.unwrap().is_empty());
    assert!(tx.users().await.unwrap().is_empty());
    assert!(tx.audit_log(10).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    let mut tx = store.read(TENANT).await.unwrap();
    assert_eq!(tx.tokens(TokenFilter::default()).await.unwrap().len(), 1);
    assert!(matches!(store.read("nobody").await, Err(Error::NoTenant(_))));
    assert!(matches!(store.write("nobody").await, Err(Error::NoTenant(_))));
}

async fn a_reading_transaction_sees_one_moment_and_is_not_held_up(bed: Bed) {
    let store = bed.open().await;
    let second = bed.second(&store).await;
    change(&store, "a").await;
    let mut before = store.read(TENANT).await.unwrap();
    let mut tx = second.write(TENANT).await.unwrap();
    tx.put_resource(put("b", "{}")).await.unwrap();
    let mut during = store.read(TENANT).await.unwrap();
    assert_eq!(during.resources().await.unwrap().len(), 1, "nothing of an open transaction");
    tx.commit().await.unwrap();
    assert_eq!(before.resources().await.unwrap().len(), 1, "still the moment that it began in");
    assert_eq!(before.generation(), Generation(1));
    let mut after = store.read(TENANT).await.unwrap();
    assert_eq!(after.resources().await.unwrap().len(), 2);
}

async fn a_reading_transaction_cannot_write(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.read(TENANT).await.unwrap();
    let error = tx.put_resource(put("a", "{}")).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly), "{error:?}");
}

async fn a_transaction_with_a_failed_part_stores_nothing(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.add_token(&token("a", "tfy_same")).await.unwrap();
    tx.commit().await.unwrap();
    for same in [token("a", "tfy_other"), token("b", "tfy_same")] {
        let mut tx = store.write(TENANT).await.unwrap();
        tx.put_resource(put("a", "{}")).await.unwrap();
        let error = tx.add_token(&same).await.unwrap_err();
        assert!(matches!(error, Error::Exists(_)), "{error:?}");
        assert!(matches!(tx.resources().await, Err(Error::Spoiled)));
        assert!(matches!(tx.commit().await, Err(Error::Spoiled)));
    }
    let mut tx = store.read(TENANT).await.unwrap();
    assert!(tx.resources().await.unwrap().is_empty());
    assert_eq!(tx.generation(), Generation(1));
    drop(tx);
    assert_eq!(change(&store, "a").await, Generation(2));
}

async fn a_label_that_no_database_takes_is_refused(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    for (key, value) in [("a\0", "b"), ("a", "\0")] {
        let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let put = Put { labels: &labels, ..put("a", "{}") };
        let error = tx.put_resource(put).await.unwrap_err();
        assert!(error.to_string().contains("U+0000"), "{error}");
    }
}
