//! Snapshots fit the types of gantry-model.

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
    let kinds: Vec<_> = source.manifests.iter().map(|manifest| manifest.kind()).collect();
    let expected = [
        "provider-account/openai",
        "provider-account/anthropic",
        "provider-account/azure-openai",
        "provider-account/self-hosted-model",
        "provider-account/virtual-model",
    ];
    assert_eq!(kinds, expected);
    assert!(source.keys[0].caller.admin && !source.keys[1].caller.admin);
    assert_eq!(snapshot::one_account(url, &["m"]).unwrap().manifests.len(), 1);
}

#[test]
fn refuses_a_manifest_that_does_not_fit() {
    let wrong = snapshot::account(json!({"type": "provider-account/openai"})).unwrap();
    assert!(snapshot::source(&[wrong]).is_err());
}
