//! What becomes of entries that this release does not know, and what is compiled anew.

use super::*;
use gantry_llm::operation::Apis;
use gantry_model::snapshot::{Caller, LoggingSettings, Section, VERSION};
use gantry_testkit::snapshot::{openai, replace, source, virtual_model};
use serde_json::{Value, json};

fn published() -> SnapshotSource {
    let routing = json!({
        "type": "weight-based-routing",
        "load_balance_targets": [{"target": "acc/a", "weight": 100}],
    });
    let url = "http://127.0.0.1:1";
    let entries =
        [openai("acc", url, &["a", "b"]).unwrap(), virtual_model("r", "m", routing).unwrap()];
    source(&entries).unwrap()
}

fn entries(source: &SnapshotSource, section: &str) -> Vec<Value> {
    source.section(section).unwrap().read().into_iter().map(Result::unwrap).collect()
}

/// Compiles with the first entry of a section changed at a place.
fn with(section: &str, pointer: &str, value: Value) -> Snapshot {
    let mut source = published();
    let mut entries = entries(&source, section);
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    entries[0].pointer_mut(parent).unwrap()[field] = value;
    replace(&mut source, section, &entries).unwrap();
    compile(&source, (&Registry::default(), &Apis::standard()), None)
}

fn broken<'a>(snapshot: &'a Snapshot, name: &str) -> &'a str {
    match &snapshot.models[name] {
        Entry::Broken(broken) => &broken.reason,
        Entry::Real(_) | Entry::Virtual(_) => "",
    }
}

#[test]
fn what_is_known_is_compiled() {
    let snapshot = compile(&published(), (&Registry::default(), &Apis::standard()), None);
    assert_eq!((snapshot.keys.len(), snapshot.models.len()), (2, 3));
    let Entry::Real(model) = &snapshot.models["acc/a"] else { panic!() };
    assert_eq!(model.dialect().name(), "openai");
    assert_eq!(broken(&snapshot, "r/m"), "");
}

#[test]
fn an_entry_that_is_not_known_is_unavailable_by_its_name_and_the_others_serve() {
    let cases = [
        (MODELS, "/from_the_future", json!(1), "acc/a", "unknown field"),
        (MODELS, "/upstream/dialect", json!("telepathy"), "acc/a", "speak `telepathy`"),
        (MODELS, "/upstream/quirks/new", json!(1), "acc/a", "unknown field"),
        (MODELS, "/upstream", Value::Null, "acc/a", "find its upstream"),
        (MODELS, "/types", json!(["video"]), "acc/a", "unknown variant"),
        (ROUTES, "/strategy/type", json!("by-colour"), "r/m", "unknown variant"),
        (ROUTES, "/from_the_future", json!(1), "r/m", "unknown field"),
    ];
    for (section, pointer, value, name, why) in cases {
        let snapshot = with(section, pointer, value);
        let reason = broken(&snapshot, name);
        assert!(reason.starts_with("failed to ") && reason.contains(why), "{pointer}: {reason}");
        let Entry::Broken(entry) = &snapshot.models[name] else { panic!() };
        let everybody = Caller { subject: "user:x".to_owned(), ..Caller::default() };
        assert!(entry.access.allows(&everybody), "{pointer}: known to whom it was open");
        let usable = ["acc/b", if name == "acc/a" { "r/m" } else { "acc/a" }];
        assert!(usable.iter().all(|one| broken(&snapshot, one).is_empty()), "{pointer}");
        assert_eq!(snapshot.keys.len(), 2, "{pointer}");
    }
}

#[test]
fn the_short_names_of_a_route_that_is_not_known_are_kept_and_take_no_whole_name() {
    let mut source = published();
    let newer = json!({ "name": "r/new", "names": ["short", "r/m", "acc/a"], "new": 1 });
    let mut routes = entries(&source, ROUTES);
    routes.insert(0, newer);
    replace(&mut source, ROUTES, &routes).unwrap();
    let snapshot = compile(&source, (&Registry::default(), &Apis::standard()), None);
    assert!(broken(&snapshot, "short").contains("unknown field"));
    assert_eq!((broken(&snapshot, "r/m"), broken(&snapshot, "acc/a")), ("", ""));
}

#[test]
fn an_unknown_section_is_nothing_to_care_for() {
    let mut source = published();
    replace(&mut source, "screens", &[json!({ "name": "x" })]).unwrap();
    let snapshot = compile(&source, (&Registry::default(), &Apis::standard()), None);
    assert_eq!((snapshot.keys.len(), snapshot.models.len()), (2, 3));
}

#[test]
fn a_key_that_cannot_be_read_is_no_key_and_the_others_are() {
    for (pointer, value) in [
        ("/from_the_future", json!(1)),
        ("/caller/from_the_future", json!(1)),
        ("/sha256", json!("no digest")),
        ("/caller", json!("user:x")),
    ] {
        let snapshot = with(KEYS, pointer, value);
        assert_eq!((snapshot.keys.len(), snapshot.models.len()), (1, 3), "{pointer}");
    }
}

#[test]
fn keys_are_revoked_although_nothing_else_can_be_read() {
    let mut next = published();
    let before = compile(&next, (&Registry::default(), &Apis::standard()), None);
    assert_eq!(before.keys.len(), 2);
    let newer = json!({ "version": VERSION + 1, "digest": "new", "entries": [{"name": "acc/a"}] });
    for section in [MODELS, ROUTES, ACCESS, SETTINGS] {
        let newer: Section = serde_json::from_value(newer.clone()).unwrap();
        next.sections.insert(section.to_owned(), newer);
    }
    let nobody: [(); 0] = [];
    replace(&mut next, KEYS, &nobody).unwrap();
    let after = compile(&next, (&Registry::default(), &Apis::standard()), Some(&before));
    assert!(after.keys.is_empty());
    assert!(broken(&after, "acc/a").contains("version 2"), "{}", broken(&after, "acc/a"));
}

#[test]
fn a_setting_that_cannot_be_read_logs_no_bodies() {
    let logging = |value: Value| {
        let mut source = published();
        let entry = json!({ "name": "logging", "value": value });
        replace(&mut source, SETTINGS, &[json!({ "name": "colour" }), entry]).unwrap();
        compile(&source, (&Registry::default(), &Apis::standard()), None).logging
    };
    assert_eq!(logging(json!({ "type": "always" })), Some(LoggingSettings::Always));
    assert_eq!(logging(json!({ "type": "on_tuesdays" })), Some(LoggingSettings::Never));
}

#[test]
fn only_what_changed_is_compiled_anew() {
    let registry = Registry::default();
    let before = compile(&published(), (&registry, &Apis::standard()), None);
    let again = |change: &dyn Fn(&mut SnapshotSource)| {
        let mut source = published();
        change(&mut source);
        let after = compile(&source, (&registry, &Apis::standard()), Some(&before));
        let kept = Arc::ptr_eq(&before.keys, &after.keys);
        (kept, Arc::ptr_eq(&before.models, &after.models))
    };
    let replaced = |section: &'static str| {
        move |source: &mut SnapshotSource| {
            let mut entries = entries(source, section);
            entries.truncate(1);
            entries.extend([json!({ "name": "new" })]);
            replace(source, section, &entries).unwrap();
        }
    };
    assert_eq!(again(&|_| {}), (true, true));
    assert_eq!(again(&|source| source.generation.0 += 1), (true, true));
    assert_eq!(again(&replaced(KEYS)), (false, true), "a token leaves the models alone");
    assert_eq!(again(&replaced(MODELS)), (true, false));
    assert_eq!(again(&replaced(ROUTES)), (true, false));
    assert_eq!(again(&|source| source.secrets = Default::default()), (true, false));
    let unnamed = |source: &mut SnapshotSource| {
        source.sections.values_mut().for_each(|section| section.digest.clear());
    };
    let mut source = published();
    unnamed(&mut source);
    let first = compile(&source, (&registry, &Apis::standard()), None);
    let second = compile(&source, (&registry, &Apis::standard()), Some(&first));
    assert!(!Arc::ptr_eq(&first.keys, &second.keys), "an empty digest equals nothing");
}
