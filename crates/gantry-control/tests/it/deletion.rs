//! Deleting: nothing is left dangling, nothing is left behind.

use crate::{Bed, admin, bed, bot, entries, named, openai, virtual_model};
use gantry_control::Error;
use gantry_model::snapshot::{KEYS, KeyEntry, MODELS, ROUTES};
use serde_json::{Value, json};

/// How many models and routes are published.
fn models(bed: &Bed) -> usize {
    let snapshot = bed.control.snapshot();
    let count = |section| entries::<Value>(&snapshot, section).len();
    count(MODELS) + count(ROUTES)
}

#[tokio::test]
async fn what_others_need_stays_and_all_of_it_goes_together() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk"), virtual_model("group", "main/small")]).await;
    let main = named("provider-account/openai", "main");
    let group = named("provider-account/virtual-model", "group");
    let error = bed.control.delete(&admin(), vec![main.clone()], false).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let text = error.to_string();
    let place = "integrations[0].routing_config.load_balance_targets[0].target";
    let user = format!("provider-account/virtual-model `group` in {place}\n");
    assert!(text.starts_with("`main` is still needed") && text.contains(&user), "{text}");
    assert!(text.contains("`gantry delete -f` deletes all"), "{text}");
    assert_eq!(bed.control.get(None, None).await.unwrap().len(), 2);

    let both = vec![main, group];
    let dry = bed.control.delete(&admin(), both.clone(), true).await.unwrap();
    assert_eq!(dry.len(), 2);
    assert_eq!(models(&bed), 2, "a dry run deletes nothing");
    bed.control.delete(&admin(), both, false).await.unwrap();
    let snapshot = bed.control.snapshot();
    assert_eq!((models(&bed), snapshot.secrets.iter().count()), (0, 0));
}

#[tokio::test]
async fn a_virtual_account_that_may_use_models_by_name_stays_until_they_let_it_go() {
    let bed = bed().await;
    let mut account = openai("main", "sk");
    account["integrations"][0]["authorized_subjects"] = json!(["virtualaccount:ci"]);
    let mut ci = bot("ci");
    ci["permissions"] = json!([]);
    bed.apply(&[account, ci]).await;
    let ci = vec![named("virtual-account", "ci")];
    let error = bed.control.delete(&admin(), ci.clone(), false).await.unwrap_err();
    let user = "provider-account/openai `main` in integrations[0].authorized_subjects[0]\n";
    assert!(error.to_string().contains(user), "{error}");
    bed.apply(&[openai("main", "sk")]).await;
    bed.control.delete(&admin(), ci, false).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_or_is_another_kind_is_not_deleted() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk")]).await;
    for (kind, name) in [
        ("provider-account/openai", "other"),
        ("provider-account/anthropic", "main"),
        ("virtual-account", "main"),
    ] {
        let error = bed.control.delete(&admin(), vec![named(kind, name)], false).await;
        assert!(matches!(error, Err(Error::NotFound(_))), "{kind} {name}: {error:?}");
    }
    let error = bed.control.delete(&admin(), vec![named("provider", "main")], false).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("there is no kind \"provider\"; there are"), "{error}");
    assert_eq!(models(&bed), 1);
    bed.control.delete(&admin(), vec![named("provider-account", "main")], false).await.unwrap();
    assert_eq!(models(&bed), 0, "the family names it too");
}

#[tokio::test]
async fn a_deleted_account_has_no_access_even_when_it_is_made_again() {
    let bed = bed().await;
    let made = bed.apply(&[openai("main", "sk"), bot("ci")]).await;
    let keys = |bed: &Bed| -> Vec<String> {
        let snapshot = bed.control.snapshot();
        let keys = entries::<KeyEntry>(&snapshot, KEYS).into_iter();
        keys.filter(|k| k.name == "ci").map(|k| k.sha256).collect()
    };
    let first = keys(&bed);
    assert_eq!(first.len(), 1);
    bed.control.delete(&admin(), vec![named("virtual-account", "ci")], false).await.unwrap();
    assert!(keys(&bed).is_empty());
    let again = bed.apply(&[bot("ci")]).await;
    assert_ne!(again[0].token, made[1].token);
    let second = keys(&bed);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
}
