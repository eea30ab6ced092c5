//! A kind that stands in this one file goes the whole way: read, checked, in the schemas, applied,
//! listed, ordered, deleted.

use crate::{admin, bed_of, named, openai, source};
use gantry_control::Error;
use gantry_kinds::kind::Reference;
use gantry_kinds::kinds::{Kind, Row};
use gantry_kinds::registry::Registry;
use gantry_kinds::schema::files;
use gantry_model::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Something new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Gizmo {
    /// The kind.
    #[serde(rename = "type")]
    kind: String,
    /// Its name.
    #[schemars(extend("x-check" = "name"))]
    name: String,
    /// The account that it works with.
    account: String,
    /// What opens it.
    #[schemars(extend("writeOnly" = true))]
    key: Secret,
}

impl Kind for Gizmo {
    const FAMILY: &'static str = "gizmo";
    const COLLECTION: &'static str = "gizmos";
    const TITLE: &'static str = "Something new.";

    fn example(_: &str) -> String {
        "type: gizmo\nname: g1\naccount: main\nkey: env://SET\n".to_owned()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn references(&self) -> Vec<Reference<'_>> {
        vec![Reference::to_resource(vec!["account".into()], "provider-account", &self.account)]
    }

    fn secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        visit("key", &mut self.key);
    }
}

/// The kinds of a release that has the toy.
pub(crate) fn registry() -> Registry {
    Registry::standard().with(Row::of::<Gizmo>())
}

pub(crate) fn gizmo(name: &str, account: &str) -> Value {
    json!({ "type": "gizmo", "name": name, "account": account, "key": "gz-canary" })
}

pub(crate) const KEY: &str = "tfy-secret://default:gizmo.g1:key";

#[tokio::test]
async fn a_kind_of_one_file_is_applied_listed_and_deleted_like_any_other() {
    let bed = bed_of(registry()).await;
    let wrong = [
        (json!({ "type": "gizmo", "name": "g1", "account": "main" }), "missing field `key`"),
        (json!({ "type": "gizmoo" }), "unknown kind `gizmoo`; did you mean `gizmo`?"),
        (gizmo("g1", "mian"), "there is no provider-account `mian`; did you mean `main`?"),
    ];
    for (manifest, expected) in wrong {
        let sources = source(&[openai("main", "sk"), manifest]);
        let error = bed.control.apply(&admin(), sources, false).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("1.yaml:1:"), "{error}");
    }
    let applied = bed.apply(&[gizmo("g1", "main"), openai("main", "sk")]).await;
    assert_eq!(applied[0].action, "CREATE");
    assert_eq!(applied[0].manifest["key"], KEY);
    assert_eq!(bed.apply(&[applied[0].manifest.clone()]).await[0].action, "UNCHANGED");

    for path in ["/resources/gizmo", "/resources/gizmos", "/resources?name=g1"] {
        let (status, list) = bed.call("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {list}");
        assert_eq!(list["data"][0]["manifest"], applied[0].manifest, "{path}");
        assert_eq!(list["pagination"]["total"], 1, "{path}");
    }
    let (status, error) = bed.call("GET", "/resources/gizmosx", Value::Null).await;
    assert_eq!(status, 404);
    assert!(error["message"].as_str().unwrap().ends_with("did you mean gizmos?"), "{error}");
    let tree = json!({ "manifests": [gizmo("g1", "main"), openai("main", "sk")] });
    let (_, tree) = bed.call("POST", "/dependency-tree", tree).await;
    assert_eq!(tree["data"][1]["dependencies"][0]["resourceName"], "main", "{tree}");
    let schemas = files::all(&registry());
    assert!(schemas.iter().any(|file| file.file_name == "gizmo.schema.json"));

    let main = vec![named("provider-account", "main")];
    let error = bed.control.delete(&admin(), main.clone(), false).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert!(error.to_string().contains("gizmo `g1` in account\n"), "{error}");
    let body = json!({ "manifest": { "type": "gizmos", "name": "g1" } });
    let (status, reply) = bed.call("POST", "/delete", body).await;
    assert_eq!((status.as_u16(), &reply["deleted"][0]["kind"]), (200, &json!("gizmo")), "{reply}");
    bed.control.delete(&admin(), main, false).await.unwrap();
    assert!(bed.control.get(None, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_kind_of_one_file_survives_a_restart() {
    let bed = bed_of(registry()).await;
    bed.apply(&[openai("main", "sk"), gizmo("g1", "main")]).await;
    let bed = bed.restarted(registry()).await;
    let shown = bed.control.get(Some("gizmo"), Some("g1")).await.unwrap();
    assert_eq!((shown.len(), &shown[0].unreadable), (1, &None));
    let (_, values) = bed.stored_secrets([KEY]).await;
    assert_eq!(values, ["gz-canary"]);
}
