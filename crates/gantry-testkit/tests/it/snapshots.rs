//! Snapshots fit the types of gantry-model.

use gantry_model::snapshot::{KEYS, KeyEntry, MODELS, ROUTES};
use gantry_testkit::snapshot;
use serde_json::json;

#[test]
fn builds_accounts_of_every_dialect_and_virtual_models() {
    let url = "http://127.0.0.1:1";
    let routing = json!({
        "type": "weight-based-routing",
        "load_balance_targets": [{"target": "o/m", "weight": 100}],
    });
    let source = snapshot::source(&[
        snapshot::openai("o", url, &["m"]).unwrap(),
        snapshot::anthropic("a", url, &["m"]).unwrap(),
        snapshot::azure("z", url, &["m"], Some("2024-10-21")).unwrap(),
        snapshot::self_hosted("s", url, &["m"]).unwrap(),
        snapshot::virtual_model("v", "m", routing).unwrap(),
    ])
    .unwrap();
    let names = |section: &str| -> Vec<String> {
        let entries = source.section(section).unwrap().read::<serde_json::Value>();
        entries.iter().map(|one| one.as_ref().unwrap()["name"].to_string()).collect()
    };
    assert_eq!(names(MODELS), ["\"o/m\"", "\"a/m\"", "\"z/m\"", "\"s/m\""]);
    assert_eq!(names(ROUTES), ["\"v/m\""]);
    let keys = source.section(KEYS).unwrap().read::<KeyEntry>();
    let admins: Vec<bool> = keys.into_iter().map(|key| key.unwrap().caller.admin).collect();
    assert_eq!(admins, [true, false]);
}

#[test]
fn refuses_a_manifest_that_does_not_fit() {
    let wrong = snapshot::account(json!({"type": "provider-account/openai"})).unwrap();
    assert!(snapshot::source(&[wrong]).is_err());
}
