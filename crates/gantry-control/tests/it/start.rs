//! First and later starts.

use crate::{admin, bed, bot, config, openai, source};
use gantry_control::{Control, ControlConfig, Error};
use gantry_kinds::kinds::{Manifest, ProviderAccount};
use gantry_model::ids::Generation;
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use gantry_store::{Put, Store, StoreConfig};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn the_first_start_makes_an_administrator_and_the_second_finds_everything() {
    let bed = bed().await;
    assert!(bed.token.starts_with("tfy_") && bed.token.len() == 47, "{}", bed.token.len());
    let made = bed.apply(&[openai("main", "sk-canary"), bot("ci")]).await;
    let before = bed.control.snapshot();
    bed.control.close().await;
    drop(bed.control);

    let (control, first) = Control::open(config(bed.dir.path(), &bed.clock)).await.unwrap();
    assert!(first.is_none(), "the token is shown once");
    let after = control.snapshot();
    assert_eq!(serde_json::to_value(&*after).unwrap(), serde_json::to_value(&*before).unwrap());
    assert_eq!(after.jwt_keys.len(), 1);
    assert_eq!(after.secrets.values().next().unwrap().expose(), "sk-canary");
    assert_eq!(control.get(&admin(), None, None).await.unwrap().len(), made.len());
}

#[tokio::test]
async fn nothing_on_disk_holds_a_secret_or_a_token() {
    let bed = bed().await;
    let made = bed.apply(&[openai("main", "sk-canary-5512"), bot("ci")]).await;
    let needles = ["sk-canary-5512", &bed.token, made[1].token.as_ref().unwrap().expose()];
    for entry in std::fs::read_dir(bed.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles {
            let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
            assert!(!found, "{needle} in {}", path.display());
        }
    }
}

#[tokio::test]
async fn the_tenant_is_the_stored_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(0);
    let named =
        |name: &str| ControlConfig { tenant: Some(name.to_owned()), ..config(dir.path(), &clock) };
    assert!(matches!(Control::open(named("Not Good")).await, Err(Error::BadRequest(_))));
    let (control, _) = Control::open(named("acme")).await.unwrap();
    assert_eq!(control.tenant(), "acme");
    drop(control);
    let error = Control::open(named("other")).await.err().unwrap().to_string();
    assert!(error.contains("acme"), "{error}");
    let (control, _) = Control::open(config(dir.path(), &clock)).await.unwrap();
    assert_eq!(control.tenant(), "acme");
}

#[tokio::test]
async fn a_secret_that_is_gone_at_the_next_start_is_reported_and_left_out() {
    let bed = bed().await;
    bed.apply(&[openai("main", "env://SET")]).await;
    assert_eq!(bed.control.snapshot().secrets["env://SET"].expose(), "value-of-SET");
    drop(bed.control);
    let without =
        ControlConfig { environment: Arc::new(|_| None), ..config(bed.dir.path(), &bed.clock) };
    let (control, _) = Control::open(without).await.unwrap();
    let snapshot = control.snapshot();
    assert_eq!((snapshot.manifests.len(), snapshot.secrets.len()), (1, 0));
    let missing = control.unresolved();
    assert_eq!((missing[0].name.as_str(), missing[0].reference.as_str()), ("main", "env://SET"));
    assert!(snapshot.generation > Generation(0));
}

#[tokio::test]
async fn a_variable_that_no_header_may_carry_is_refused_and_a_line_break_after_it_is_not() {
    let bed = bed().await;
    bed.control.close().await;
    drop(bed.control);
    let variable = |name: &str| match name {
        "LINE" => Some(Secret::new("sk-one\n")),
        "LINES" => Some(Secret::new("sk-one\nsk-two")),
        _ => None,
    };
    let environment =
        ControlConfig { environment: Arc::new(variable), ..config(bed.dir.path(), &bed.clock) };
    let (control, _) = Control::open(environment).await.unwrap();
    let who = admin();
    let apply = |key: &str| control.apply(&who, source(&[openai("main", key)]), false);
    apply("env://LINE").await.unwrap();
    assert_eq!(control.snapshot().secrets["env://LINE"].expose(), "sk-one");
    let Error::Invalid(problems) = apply("env://LINES").await.unwrap_err() else { panic!() };
    let message = &problems[0].message;
    assert!(message.contains("LINES holds characters") && !message.contains("sk-"), "{message}");
}

#[tokio::test]
async fn a_stored_permission_with_a_role_that_is_not_known_grants_nothing() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk"), bot("ci")]).await;
    bed.control.close().await;
    drop(bed.control);
    let store = StoreConfig {
        data_dir: bed.dir.path().to_owned(),
        clock: bed.clock.clone(),
        master_key: None,
    };
    // Roles, types and tenants that validation refuses, written past it.
    let permissions = [
        ("provider-account", "default:openai:main", "provider-account-acess"),
        ("prov", "default:openai:main", "provider-account-access"),
        ("provider-account", "default:openai:main", "admin"),
        ("tenant", "default", "admin"),
        ("tenant", "other", "tenant-admin"),
    ];
    let permissions = permissions.map(|(resource_type, fqn, role)| {
        json!({ "resource_type": resource_type, "resource_fqn": fqn, "role_id": role })
    });
    let (mut manifest, kind) = (bot("ci"), "virtual-account");
    manifest["permissions"] = json!(permissions);
    let spec = json!({ kind: manifest }).to_string();
    let authored = manifest.to_string();
    let (family, name, actor) = (kind, "ci", "user:test");
    let store = Store::open(store).await.unwrap();
    let mut tx = store.write("default").await.unwrap();
    let put = Put { family, name, kind, spec: &spec, authored: &authored, actor };
    tx.put_resource(put).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    drop(store);

    let (control, _) = Control::open(config(bed.dir.path(), &bed.clock)).await.unwrap();
    let snapshot = control.snapshot();
    let key = snapshot.keys.iter().find(|key| key.name == "ci").unwrap();
    assert!(!key.caller.admin, "{key:?}");
    let account = snapshot.manifests.iter().find_map(Manifest::as_::<ProviderAccount>);
    assert_eq!(account.unwrap().integrations[0].authorized_subjects, []);
}

#[tokio::test]
async fn who_lost_the_first_token_gets_another_one() {
    let bed = bed().await;
    let token = bed.control.create_admin_token("second").await.unwrap();
    let (status, _) = bed.call_as(token.expose(), "GET", "/session", serde_json::Value::Null).await;
    assert_eq!(status, 200);
}
