//! Applying: all or nothing, what is stored, what gateways hear.

use crate::{admin, bed, bot, openai, source, still_waits, virtual_model};
use gantry_control::Error;
use gantry_kinds::kinds::{Manifest, ProviderAccount};
use gantry_model::rest::Source;
use gantry_model::snapshot::Caller;
use gantry_model::subject::Subject;
use serde_json::json;

fn actions(applied: &[gantry_model::rest::Applied]) -> Vec<&str> {
    applied.iter().map(|a| a.action.as_str()).collect()
}

#[tokio::test]
async fn one_bad_document_keeps_all_of_them_out() {
    let bed = bed().await;
    let before = bed.control.snapshot().generation;
    let mut unknown_type = openai("second", "sk");
    unknown_type["integrations"] = json!("not a list");
    let bad = [
        unknown_type,
        virtual_model("group", "nowhere/small"),
        openai("second", "env://NOT_SET"),
        openai("second", "tfy-secret://default:no:such"),
        openai("main", "twice"),
    ];
    for manifest in bad {
        let sources = source(&[openai("main", "sk-canary"), manifest.clone()]);
        let error = bed.control.apply(&admin(), sources, false).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{manifest}: {error:?}");
        assert!(!error.to_string().contains("sk-canary"), "{error}");
        assert!(bed.control.get(&admin(), None, None).await.unwrap().is_empty(), "{manifest}");
        assert_eq!(bed.control.snapshot().generation, before, "{manifest}");
    }
}

const TWO_DOCUMENTS: &str = "\
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: sk-canary}
integrations:
  - {type: integration/model/openai, name: small, model_types: [chat]}
---
type: provider-account/virtual-model
name: group
integrations:
  - type: integration/model/virtual
    name: fast
    model_types: [chat]
    routing_config:
      type: weight-based-routing
      load_balance_targets:
        - {target: main/smal, weight: 100}
";

#[tokio::test]
async fn a_mistake_is_named_with_file_line_and_column() {
    let bed = bed().await;
    let text = TWO_DOCUMENTS.to_owned();
    let sources = vec![Source { file: "two.yaml".to_owned(), text: text.clone() }];
    let error = bed.control.apply(&admin(), sources, false).await.unwrap_err().to_string();
    assert!(error.starts_with("two.yaml:16:20: integrations[0].routing_config."), "{error}");
    assert!(error.contains("main/small"), "the nearest right name: {error}");
    assert!(bed.control.get(&admin(), None, None).await.unwrap().is_empty());

    let text = text.replace("main/smal,", "main/small,").replace("sk-canary", "env://UNSET");
    let sources = vec![Source { file: "two.yaml".to_owned(), text }];
    let error = bed.control.apply(&admin(), sources, false).await.unwrap_err().to_string();
    let place = "two.yaml:3:37: auth_data.api_key: env://UNSET has no value";
    assert!(error.starts_with(place), "{error}");
    assert!(error.contains("where the control plane runs"), "{error}");
    assert!(bed.control.get(&admin(), None, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn says_what_it_did_and_shows_references_in_place_of_secrets() {
    let bed = bed().await;
    let both = [openai("main", "sk-one"), virtual_model("group", "main/small")];
    assert_eq!(actions(&bed.apply(&both).await), ["CREATE", "CREATE"]);
    assert_eq!(actions(&bed.apply(&both).await), ["UNCHANGED", "UNCHANGED"]);
    let generation = bed.control.snapshot().generation;
    let changed = bed.apply(&[openai("main", "sk-two")]).await;
    assert_eq!(actions(&changed), ["UPDATE"], "only the secret's value is new");
    let key = changed[0].manifest["auth_data"]["api_key"].as_str().unwrap();
    assert!(key.starts_with("tfy-secret://default:"), "{key}");
    assert!(changed[0].existing_manifest.is_some());
    let snapshot = bed.control.snapshot();
    assert_eq!(snapshot.generation.0, generation.0 + 1);
    assert_eq!(snapshot.secrets[key].expose(), "sk-two");
}

#[tokio::test]
async fn what_get_shows_can_be_applied_again() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-one")]).await;
    let shown = bed.control.get(&admin(), None, Some("main")).await.unwrap();
    let applied = bed.apply(&[shown[0].manifest.clone()]).await;
    assert_eq!(actions(&applied), ["UNCHANGED"]);
    assert_eq!(bed.control.snapshot().secrets.len(), 1, "the value is still there");
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_stores_nothing() {
    let bed = bed().await;
    let before = bed.control.snapshot().generation;
    let manifests = [openai("main", "sk-one"), bot("ci")];
    let dry = bed.control.apply(&admin(), source(&manifests), true).await.unwrap();
    assert_eq!(actions(&dry), ["CREATE", "CREATE"]);
    assert_eq!(dry[1].token, None, "no token without an account");
    assert!(bed.control.get(&admin(), None, None).await.unwrap().is_empty());
    assert_eq!(bed.control.snapshot().generation, before);
    bed.apply(&manifests).await;
    let dry = bed.control.apply(&admin(), source(&[openai("main", "sk-two")]), true).await;
    assert_eq!(actions(&dry.unwrap()), ["UPDATE"]);
    assert!(bed.control.snapshot().secrets.values().all(|v| v.expose() == "sk-one"));
}

#[tokio::test]
async fn gateways_hear_of_each_change_in_order() {
    let bed = bed().await;
    let mut snapshots = bed.control.subscribe();
    let mut last = snapshots.borrow_and_update().generation;
    for key in ["one", "two", "three"] {
        bed.apply(&[openai("main", key)]).await;
        assert!(snapshots.has_changed().unwrap());
        let seen = snapshots.borrow_and_update().clone();
        assert_eq!(seen.generation.0, last.0 + 1);
        assert_eq!(seen.secrets.values().next().unwrap().expose(), key);
        last = seen.generation;
    }
}

#[tokio::test]
async fn a_change_goes_through_when_its_caller_leaves() {
    let bed = bed().await;
    let mut snapshots = bed.control.subscribe();
    snapshots.borrow_and_update();
    let caller = admin();
    let mut apply = Box::pin(bed.control.apply(&caller, source(&[openai("main", "sk")]), false));
    assert!(still_waits(&mut apply).await);
    drop(apply);
    snapshots.changed().await.unwrap();
    assert_eq!(snapshots.borrow().manifests.len(), 1);
}

#[tokio::test]
async fn a_permission_opens_the_models_of_its_account_in_the_snapshot_only() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk"), bot("ci")]).await;
    let snapshot = bed.control.snapshot();
    let account = snapshot.manifests.iter().find_map(Manifest::as_::<ProviderAccount>);
    let expected = [Subject("virtualaccount:ci".to_owned())];
    assert_eq!(account.unwrap().integrations[0].authorized_subjects, expected);
    let stored = bed.control.get(&admin(), Some("provider-account"), None).await.unwrap();
    assert_eq!(stored[0].manifest["integrations"][0].get("authorized_subjects"), None);
}

#[tokio::test]
async fn subjects_that_stand_for_nobody_are_refused_unless_applied_together() {
    let bed = bed().await;
    let open_to = |subject: &str| {
        let mut account = openai("main", "sk");
        account["integrations"][0]["authorized_subjects"] = json!([subject]);
        account
    };
    let refused = [
        ("virtualaccount:ci", "there is no virtual account `ci`"),
        ("serviceaccount:ci", "there is no virtual account `ci`"),
        ("team:nope", "there is no team `nope`; everybody is in `team:everyone`"),
        ("*", "everybody is in `team:everyone`"),
    ];
    for (subject, expected) in refused {
        let error = bed.control.apply(&admin(), source(&[open_to(subject)]), false).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{subject}: {error}");
        assert!(bed.control.get(&admin(), None, None).await.unwrap().is_empty(), "{subject}");
    }
    // Users may come later, through an identity provider.
    bed.apply(&[open_to("user:later@x.example")]).await;
    bed.apply(&[open_to("team:everyone")]).await;
    bed.apply(&[open_to("virtualaccount:ci"), bot("ci")]).await;
    let sources = source(&[open_to("virtualaccount:cii")]);
    let error = bed.control.apply(&admin(), sources, false).await.unwrap_err().to_string();
    assert!(error.contains("did you mean `ci`?"), "{error}");
}

#[tokio::test]
async fn an_account_does_not_become_one_of_another_provider() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk")]).await;
    let anthropic = "type: provider-account/anthropic\nname: main\nauth_data: {type: api-key, \
                     api_key: sk}\nintegrations: []\n";
    let other = vec![Source { file: "new.yaml".to_owned(), text: anthropic.to_owned() }];
    for refused in [other, source(&[virtual_model("main", "main/small")])] {
        let error = bed.control.apply(&admin(), refused, false).await.unwrap_err().to_string();
        assert!(error.contains("yaml:1:"), "{error}");
        assert!(error.contains("type: `main` is a `provider-account/openai` already"), "{error}");
    }
    let stored = bed.control.get(&admin(), None, Some("main")).await.unwrap();
    assert_eq!(stored[0].kind, "provider-account/openai");
}

#[tokio::test]
async fn permissions_on_another_tenant_are_refused() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk")]).await;
    for (resource_type, fqn, role) in [
        ("provider-account", "other:openai:main", "provider-account-access"),
        ("tenant", "other", "tenant-admin"),
    ] {
        let mut ci = bot("ci");
        ci["permissions"] =
            json!([{ "resource_type": resource_type, "resource_fqn": fqn, "role_id": role }]);
        let error = bed.control.apply(&admin(), source(&[ci]), false).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("there is no tenant `other`, only `default`"), "{error}");
    }
}

#[tokio::test]
async fn only_administrators_apply_and_read() {
    let bed = bed().await;
    let nobody = Caller { admin: false, subject: "user:n@x".to_owned(), ..admin() };
    let applied = bed.control.apply(&nobody, source(&[openai("main", "sk")]), false).await;
    assert!(matches!(applied, Err(Error::Forbidden(_))));
    assert!(matches!(bed.control.get(&nobody, None, None).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn the_audit_log_tells_who_changed_what_without_secrets() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-canary-1"), bot("ci")]).await;
    bed.apply(&[openai("main", "sk-canary-2")]).await;
    let log = bed.control.audit_log(&admin(), 10).await.unwrap();
    let deeds: Vec<_> =
        log.iter().map(|e| format!("{} {} {}", e.actor, e.action, e.name)).collect();
    assert_eq!(deeds[0], "user:admin@localhost update main");
    assert!(deeds.contains(&"user:admin@localhost create ci".to_owned()), "{deeds:?}");
    assert!(deeds.contains(&"user:admin@localhost token.create ci".to_owned()), "{deeds:?}");
    assert!(!format!("{log:?}").contains("sk-canary"));
}
