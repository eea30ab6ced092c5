//! The list of kinds is sound, and a kind that is added to it works like those that are there.

use super::*;
use crate::kind::{Found, Kind, Reference, Scope, Set};
use crate::manifest::tree::Step;
use crate::manifest::{Document, SetEntry, check_set, parse};
use crate::schema::files;
use gantry_model::secret::Secret;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// A kind as somebody would write it, in this one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Lamp {
    /// The kind.
    #[serde(rename = "type")]
    kind: String,
    /// Name of the lamp.
    #[schemars(extend("x-check" = "name"))]
    name: String,
    /// The account that pays for its light.
    account: String,
    /// Opens the lamp.
    #[schemars(extend("writeOnly" = true))]
    key: Secret,
    /// In lumen.
    lumen: u32,
}

impl Kind for Lamp {
    const FAMILY: &'static str = "lamp";
    const COLLECTION: &'static str = "lamps";
    const TITLE: &'static str = "A lamp.";
    const SCOPE: Scope = Scope::Workspace;
    const ALIASES: &'static [(&'static str, &'static str)] = &[("light", "lamp")];

    fn example(_: &str) -> String {
        "type: lamp\nname: desk\naccount: main\nkey: env://LAMP\nlumen: 10\n".to_owned()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Vec<(Vec<Step>, String)> {
        let dark = (self.lumen == 0).then(|| (vec!["lumen".into()], "is dark".to_owned()));
        dark.into_iter().collect()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        vec![Reference::to_resource(vec!["account".into()], "provider-account", &self.account)]
    }

    fn secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        visit("key", &mut self.key);
    }

    fn check_set(set: &Set<'_>, found: &mut Found) {
        let lumen: u32 = set.of::<Self>().map(|(_, lamp)| lamp.lumen).sum();
        if let Some((position, _)) = set.of::<Self>().last().filter(|_| lumen > 100) {
            found.push((position, vec!["lumen".into()], "is too bright".to_owned()));
        }
    }
}

fn registry() -> Registry {
    Registry::standard().with(Row::of::<Lamp>())
}

fn one(text: &str) -> Document {
    parse("m.yaml", text).unwrap().remove(0)
}

/// What checking manifests one by one and together says.
fn problems(texts: &[&str]) -> Vec<String> {
    let documents: Vec<Document> = texts.iter().map(|text| one(text)).collect();
    let mut manifests = Vec::new();
    for document in &documents {
        match document.check_by(&registry()) {
            Ok(manifest) => manifests.push((manifest, document)),
            Err(problems) => return problems.iter().map(ToString::to_string).collect(),
        }
    }
    let entry = |(manifest, document)| SetEntry { manifest, document: Some(document) };
    let entries: Vec<_> = manifests.iter().map(|(m, d)| entry((m, *d))).collect();
    check_set(&entries).into_iter().map(|(_, problem)| problem.to_string()).collect()
}

const ACCOUNT: &str = "type: provider-account/openai\nname: main\nintegrations: []\n";

#[test]
fn a_kind_of_ones_own_is_read_checked_sealed_and_kept() {
    let lamp = Registry::example(&registry(), "lamp").unwrap();
    let with = |from: &str, to: &str| lamp.replace(from, to);
    let cases: [(&[&str], &[&str]); 7] = [
        (&[ACCOUNT, &lamp], &[]),
        (&[ACCOUNT, &with("type: lamp", "type: light")], &[]),
        (
            &[ACCOUNT, &with("type: lamp", "type: lmap")],
            &["m.yaml:1:7: type: unknown kind `lmap`; did you mean `lamp`?"],
        ),
        (
            &[ACCOUNT, &with("lumen: 10", "lumne: 10")],
            &[
                "m.yaml:1:1: missing field `lumen`",
                "m.yaml:5:1: lumne: unknown field `lumne`; did you mean `lumen`?",
            ],
        ),
        (&[ACCOUNT, &with("10", "0")], &["m.yaml:5:8: lumen: is dark"]),
        (
            &[&with("account: main", "account: mian"), ACCOUNT],
            &["m.yaml:3:10: account: there is no provider-account `mian`; did you mean `main`?"],
        ),
        (&[ACCOUNT, &with("10", "101")], &["m.yaml:5:8: lumen: is too bright"]),
    ];
    for (texts, wanted) in cases {
        assert_eq!(problems(texts), wanted, "{texts:?}");
    }
    let light = one(&with("type: lamp", "type: light").replace("env://LAMP", "s3cr"));
    let manifest = light.check_by(&registry()).unwrap();
    assert_eq!((manifest.kind(), manifest.family()), ("lamp", "lamp"), "an alias is not stored");
    let (sealed, values) = crate::secrets::seal_out(manifest, "acme");
    assert_eq!(values[0].0, "tfy-secret://acme:lamp.desk:key");
    assert_eq!(crate::secrets::references(&sealed), ["tfy-secret://acme:lamp.desk:key"]);
    let stored = serde_json::to_string(&sealed).unwrap();
    assert_eq!(registry().restore(&stored).unwrap(), sealed);
    let unknown = Registry::standard().restore(&stored).unwrap_err();
    assert!(matches!(unknown, Unreadable::Unknown(kind) if kind == "lamp"));
    let files = files::all(&registry());
    assert!(files.iter().any(|file| file.file_name == "lamp.schema.json"));
    assert_eq!(files.len(), files::all(&Registry::standard()).len() + 1);
}

#[test]
fn a_kind_is_named_by_its_spelling_its_family_or_its_collection() {
    let family = |name| Some(Selection::Family(name));
    let cases = [
        ("lamp", family("lamp")),
        ("lamps", family("lamp")),
        ("light", Some(Selection::Kind("lamp".to_owned()))),
        ("provider-account", family("provider-account")),
        ("provider-accounts", family("provider-account")),
        ("provider-account/openai", Some(Selection::Kind("provider-account/openai".to_owned()))),
        ("provider", None),
        ("", None),
    ];
    for (asked, wanted) in cases {
        assert_eq!(registry().select(asked), wanted, "{asked}");
    }
    assert_eq!(registry().near("lapms").as_deref(), Some("lamps"));
    assert_eq!(registry().near("something-else"), None);
}

#[test]
fn no_two_kinds_share_a_spelling_or_a_key_in_the_store() {
    let registry = Registry::standard();
    let rows = &registry.0.rows;
    let aliases = rows.iter().flat_map(|row| row.aliases).map(|(alias, _)| *alias);
    let spellings: Vec<&str> = registry.kinds().chain(aliases).collect();
    let keys: Vec<&str> = rows.iter().map(|row| row.stored_as).collect();
    for names in [spellings, keys] {
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
    for row in rows {
        let known = |spelling: &str| registry.row(spelling).is_some();
        assert!(row.aliases.iter().all(|(_, spelling)| known(spelling)), "{row:?}");
        assert!(!row.title.is_empty() && !row.collection.contains('/'), "{row:?}");
        for spelling in row.spellings() {
            assert_eq!(crate::kinds::family(&spelling), row.family);
        }
    }
}

#[test]
fn a_kind_is_there_or_comes_later_but_not_both() {
    let registry = Registry::standard();
    let listed = include_str!("../../data/kinds-later.txt").lines();
    for line in listed.filter(|line| !line.starts_with('#') && !line.ends_with('*')) {
        assert!(registry.row(line).is_none(), "{line} is there: take it out of the file");
    }
    for kind in registry.kinds() {
        assert!(!registry.later(kind) && registry.shape(kind).is_some(), "{kind}");
    }
    for kind in ["provider-account/google-vertex", "mcp-server/remote"] {
        assert!(registry.later(kind), "{kind}");
    }
    assert!(!registry.later("provider-account/nobody") && !registry.later("nothing"));
}

#[test]
fn rows_of_older_releases_are_read_and_others_are_not() {
    let bot = r#"{"virtual-account":{"type":"virtual-account","name":"ci"}}"#;
    let settings = r#"{"global-settings":{"type":"gateway-global-settings"}}"#;
    for stored in [bot, settings] {
        Registry::standard().restore(stored).unwrap();
    }
    for (stored, why) in [
        ("", "its fields are not"),
        ("{}", "does not say which kind"),
        ("[1]", "does not say which kind"),
        (r#"{"virtual-account":{"name":7}}"#, "its fields are not"),
        (r#"{"virtual-account":{},"lamp":{}}"#, "does not say which kind"),
        (r#"{"lamp":{}}"#, "no kind that is stored as `lamp`"),
    ] {
        let error = Registry::standard().restore(stored).unwrap_err().to_string();
        assert!(error.contains(why), "{stored}: {error}");
    }
}
