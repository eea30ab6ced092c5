//! Rows that this release cannot read are kept with their secrets, whatever else is done, and block
//! what would touch or need them.

use crate::toy::{self, gizmo};
use crate::{Bed, admin, bed_of, bot, entries, named, openai, source, virtual_model};
use gantry_control::{Control, Error, NewToken};
use gantry_kinds::registry::Registry;
use gantry_model::snapshot::{MODELS, ModelEntry};
use gantry_store::{Put, Resource, Tx};
use serde_json::{Value, json};

const HURT_KEY: &str = "tfy-secret://default:provider-account.openai.hurt:auth_data.api_key";

async fn row(tx: &mut Tx, name: &str) -> Resource {
    tx.resources().await.unwrap().into_iter().find(|row| row.name == name).unwrap()
}

async fn put(tx: &mut Tx, row: &Resource, spec: &str) {
    let Resource { family, name, kind, authored, created_by, .. } = row;
    let put = Put { family, name, kind, spec, authored, actor: created_by, ..Put::default() };
    tx.put_resource(put).await.unwrap();
}

/// Damages the row of that name; returns it as it was.
async fn damaged(bed: Bed, name: &str) -> (Bed, Resource) {
    let mut before = None;
    let bed = bed
        .with_store(async |tx| {
            let found = row(tx, name).await;
            put(tx, &found, &found.spec[..found.spec.len() / 4]).await;
            before = Some(found);
        })
        .await;
    (bed, before.unwrap())
}

/// An older release over data with a `gizmo` of a newer one, which it does not know, and an account
/// whose row is damaged; beside them two that are whole. Returns the damaged row as it was.
async fn older_release() -> (Bed, Resource) {
    let bed = bed_of(toy::registry()).await;
    let manifests =
        [openai("main", "sk"), openai("hurt", "hurt-canary"), bot("ci"), gizmo("g1", "main")];
    bed.apply(&manifests).await;
    damaged(bed, "hurt").await
}

/// What a release may be asked to do.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    ApplyNew,
    ApplyAgain,
    ApplyWithOtherSecret,
    ApplyCaller,
    Delete,
    DeleteCaller,
    FindProvider,
    PersonalToken,
    GatewayToken,
    AccountToken,
}

async fn run(control: &Control, deed: Deed) {
    let who = admin();
    let apply = async |who, manifest: Value| {
        control.apply(who, source(&[manifest]), false).await.unwrap();
    };
    match deed {
        Deed::Nothing => {}
        Deed::ApplyNew => apply(&who, openai("new", "sk-new")).await,
        Deed::ApplyAgain => apply(&who, openai("main", "sk")).await,
        Deed::ApplyWithOtherSecret => apply(&who, openai("main", "sk-other")).await,
        Deed::ApplyCaller => apply(&who, bot("second")).await,
        // As a start does with a provider's variable set.
        Deed::FindProvider => apply(&Control::local_caller(), openai("found", "env://SET")).await,
        Deed::Delete => {
            apply(&who, openai("new", "sk-new")).await;
            let gone = vec![named("provider-account", "new")];
            control.delete(&who, gone, false).await.unwrap();
        }
        Deed::DeleteCaller => {
            let gone = vec![named("virtual-account", "ci")];
            control.delete(&who, gone, false).await.unwrap();
        }
        Deed::PersonalToken => {
            let new = NewToken { name: "laptop".to_owned(), ..NewToken::default() };
            control.create_personal_token(&who, new).await.unwrap();
        }
        Deed::GatewayToken => {
            control.create_gateway_token(&who, "edge").await.unwrap();
        }
        Deed::AccountToken => {
            control.regenerate_token(&who, "ci", 0).await.unwrap();
        }
    }
}

#[tokio::test]
async fn secrets_of_rows_that_cannot_be_read_outlive_every_change() {
    let deeds = [
        Deed::Nothing,
        Deed::ApplyNew,
        Deed::ApplyAgain,
        Deed::ApplyWithOtherSecret,
        Deed::ApplyCaller,
        Deed::Delete,
        Deed::DeleteCaller,
        Deed::FindProvider,
        Deed::PersonalToken,
        Deed::GatewayToken,
        Deed::AccountToken,
    ];
    for deed in deeds {
        let (bed, hurt) = older_release().await;
        run(&bed.control, deed).await;
        // The newer release is back, and the damaged row is put right.
        let bed = bed.with_store(async |tx| put(tx, &hurt, &hurt.spec).await).await;
        let bed = bed.restarted(toy::registry()).await;
        assert!(bed.control.unresolved().is_empty(), "{deed:?}: {:?}", bed.control.unresolved());
        let (bed, values) = bed.stored_secrets([toy::KEY, HURT_KEY]).await;
        assert_eq!(values, ["gz-canary", "hurt-canary"], "{deed:?}");
        let bed = bed.restarted(toy::registry()).await;
        let shown = bed.control.get(Some("gizmo"), None).await.unwrap();
        assert_eq!(shown[0].manifest["account"], "main", "{deed:?}: the row is as it was");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_listed_and_left_out_of_snapshots() {
    let (bed, _) = older_release().await;
    let all = bed.control.get(None, None).await.unwrap();
    let names: Vec<_> = all.iter().map(|m| (m.name.as_str(), m.unreadable.is_some())).collect();
    assert_eq!(names, [("g1", true), ("hurt", true), ("main", false), ("ci", false)]);
    let why = all[0].unreadable.as_deref().unwrap();
    assert!(why.contains("no kind that is stored as `gizmo`"), "{why}");
    assert!(why.ends_with("`gantry delete gizmo g1`"), "{why}");
    assert_eq!(all[0].manifest["account"], "main");
    assert!(all[1].unreadable.as_deref().unwrap().contains("its fields are not"), "{all:?}");
    for path in ["/resources/gizmo", "/resources/provider-account/openai?name=hurt"] {
        let (status, list) = bed.call("GET", path, Value::Null).await;
        assert_eq!((status.as_u16(), &list["pagination"]["total"]), (200, &json!(1)), "{path}");
        assert!(list["data"][0]["unreadable"].is_string(), "{path}: {list}");
    }
    let (status, _) = bed.call("GET", "/resources/gadget", Value::Null).await;
    assert_eq!(status, 404, "a kind that no row has is unknown still");
    let snapshot = bed.control.snapshot();
    let models = entries::<ModelEntry>(&snapshot, MODELS);
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["main/small"]);
}

#[tokio::test]
async fn what_would_touch_or_need_such_a_row_is_refused_with_what_to_do() {
    let (bed, _) = older_release().await;
    let advice = "upgrade Gantry, or delete it by name first: \
                  `gantry delete provider-account/openai hurt`";
    let mut grant = bot("second");
    grant["permissions"][0]["resource_fqn"] = json!("default:openai:hurt");
    for (manifest, place) in [
        (openai("hurt", "sk-new"), "0.yaml:1:"),
        (virtual_model("group", "hurt/small"), "load_balance_targets[0].target: "),
        (grant, "permissions[0].resource_fqn: "),
    ] {
        let error = bed.control.apply(&admin(), source(&[manifest]), false).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        let error = error.to_string();
        assert!(error.contains(place) && error.contains(advice), "{error}");
    }
    let main = vec![named("provider-account", "main")];
    let error = bed.control.delete(&admin(), main, false).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("nothing was deleted, because `main` may still be needed: `g1`"));
    assert!(error.contains("`gantry delete gizmo g1`"), "{error}");
    assert_eq!(bed.control.get(None, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn such_a_row_is_deleted_by_name_with_its_secrets_unless_others_need_it() {
    let bed = bed_of(toy::registry()).await;
    let group = virtual_model("group", "hurt/small");
    bed.apply(&[openai("hurt", "canary"), group, gizmo("g1", "hurt")]).await;
    let (bed, _) = damaged(bed, "hurt").await;
    // Nothing that is stored stands in the way of a change elsewhere.
    bed.apply(&[openai("new", "sk")]).await;

    let (hurt, group, g1) = (
        named("provider-account/openai", "hurt"),
        named("provider-account/virtual-model", "group"),
        named("gizmo", "g1"),
    );
    let error = bed.control.delete(&admin(), vec![hurt.clone()], false).await.unwrap_err();
    assert!(error.to_string().contains("`gantry delete gizmo g1`"), "{error}");
    let two = vec![hurt.clone(), g1.clone()];
    let error = bed.control.delete(&admin(), two, false).await.unwrap_err().to_string();
    assert!(error.contains("provider-account/virtual-model `group` in integrations[0]"), "{error}");
    let other = named("provider-account/anthropic", "hurt");
    let error = bed.control.delete(&admin(), vec![other], false).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");

    let deleted = bed.control.delete(&admin(), vec![hurt, g1, group], false).await.unwrap();
    assert_eq!(deleted.len(), 3);
    assert!(deleted[0].unreadable.is_some() && deleted[2].unreadable.is_none());
    let mut left = Vec::new();
    bed.with_store(async |tx| left = tx.secret_references().await.unwrap()).await;
    let left: Vec<_> = left.into_iter().filter(|(_, owner)| !owner.is_empty()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].1, "provider-account/new");
}

#[tokio::test]
async fn a_caller_that_cannot_be_read_gets_no_token_and_loses_them_when_deleted() {
    let bed = bed_of(Registry::standard()).await;
    let token = bed.token_of(&[openai("main", "sk"), bot("ci")]).await;
    let (bed, ci) = damaged(bed, "ci").await;
    let (status, _) = bed.call_as(&token, "GET", "/session", Value::Null).await;
    assert_eq!(status, 401, "nobody knows what it may do");
    let error = bed.control.regenerate_token(&admin(), "ci", 0).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(why) if why.contains("cannot read")), "{error:?}");
    let mut open = openai("main", "sk");
    open["integrations"][0]["authorized_subjects"] = json!(["virtualaccount:ci"]);
    let error = bed.control.apply(&admin(), source(&[open]), false).await.unwrap_err();
    assert!(error.to_string().contains("`gantry delete virtual-account ci`"), "{error}");

    let gone = vec![named("virtual-account", "ci")];
    bed.control.delete(&admin(), gone, false).await.unwrap();
    let bed = bed.with_store(async |tx| put(tx, &ci, &ci.spec).await).await;
    let (status, _) = bed.call_as(&token, "GET", "/session", Value::Null).await;
    assert_eq!(status, 401, "its tokens ended with it");
}
