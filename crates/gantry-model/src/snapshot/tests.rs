//! What readers make of what they do not know, and of parts.

use super::*;
use crate::facts::{Claude, ModelTraits, Quirks};
use crate::secret::Secret;
use serde::de::DeserializeOwned;
use serde_json::json;

fn digest(bytes: &[u8]) -> String {
    format!("{}-{}", bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

fn section(version: u32, entries: &serde_json::Value) -> Section {
    serde_json::from_value(json!({ "version": version, "digest": "d", "entries": entries }))
        .unwrap()
}

const SHA256: &str = "00";

/// An entry of each section as this release writes it.
fn known() -> [(&'static str, serde_json::Value); 6] {
    let caller = json!({ "subject": "virtualaccount:bot", "grants": ["main/*"] });
    let secret = json!({ "type": "bearer", "secret": "env://K" });
    let upstream = json!({
        "provider": "openai", "dialect": "openai", "url": "https://x.example", "prefix": "/v1/",
        "model": "gpt", "headers": [{ "name": "authorization", "value": secret }],
        "quirks": { "stream_usage": false }, "traits": { "output_tokens_max": 9 }, "claude": {},
    });
    let target = json!({ "target": "main/m", "weight": 100, "sla": {} });
    [
        (KEYS, json!({ "sha256": SHA256, "name": "bot", "caller": caller })),
        (ACCESS, json!({ "name": "main", "subjects": ["team:ml"] })),
        (MODELS, json!({ "name": "main/m", "types": ["chat"], "upstream": upstream })),
        (ROUTES, json!({ "name": "r/m", "strategy": { "type": "weight" }, "targets": [target] })),
        (SETTINGS, json!({ "name": "logging", "value": { "type": "never" } })),
        (JWT_KEYS, json!({ "kid": "1", "ed25519_x": "x" })),
    ]
}

/// Reads entries of a section as its type: for each, what it is written as again, or why not.
fn read(name: &str, section: &Section) -> Vec<Result<serde_json::Value, String>> {
    fn of<T: DeserializeOwned + Serialize>(s: &Section) -> Vec<Result<serde_json::Value, String>> {
        let entries = s.read::<T>().into_iter();
        entries
            .map(|one| one.map_err(|u| u.reason).map(|e| serde_json::to_value(e).unwrap()))
            .collect()
    }
    match name {
        KEYS => of::<KeyEntry>(section),
        ACCESS => of::<AccessList>(section),
        MODELS => of::<ModelEntry>(section),
        ROUTES => of::<RouteEntry>(section),
        SETTINGS => of::<Setting>(section),
        JWT_KEYS => of::<JwtKey>(section),
        _ => panic!("a section without a type: {name}"),
    }
}

#[test]
fn an_entry_is_written_as_it_was_read_without_what_is_usual() {
    for (name, entry) in known() {
        let found = read(name, &section(VERSION, &json!([entry])));
        assert_eq!(found, [Ok(entry)], "{name}");
    }
}

#[test]
fn an_unknown_field_or_a_broken_entry_spoils_that_entry_alone() {
    for (name, entry) in known() {
        let mut newer = entry.clone();
        newer["from_the_future"] = json!(1);
        let entries = json!([newer, entry, 7, null, {}, entry]);
        let found = read(name, &section(VERSION, &entries));
        let usable: Vec<bool> = found.iter().map(Result::is_ok).collect();
        assert_eq!(usable, [false, true, false, false, false, true], "{name}: {found:?}");
        let reason = found[0].as_ref().unwrap_err();
        assert!(reason.starts_with("read the entry: "), "{name}: {reason}");
    }
}

#[test]
fn a_variant_that_is_not_known_spoils_its_entry() {
    let newer: [(&str, &str, serde_json::Value); 8] = [
        (MODELS, "/types/0", json!("video")),
        (MODELS, "/upstream/headers/0/value/type", json!("signed")),
        (MODELS, "/upstream/quirks/from_the_future", json!(true)),
        (MODELS, "/upstream/claude/from_the_future", json!(true)),
        (ROUTES, "/strategy/type", json!("by-colour")),
        (ROUTES, "/targets/0/from_the_future", json!(true)),
        (SETTINGS, "/value/type", json!("on_tuesdays")),
        (KEYS, "/caller/from_the_future", json!(true)),
    ];
    for (name, pointer, value) in newer {
        let mut entry = known().into_iter().find(|(known, _)| *known == name).unwrap().1;
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = entry.pointer_mut(parent).unwrap();
        match parent {
            serde_json::Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
            parent => parent[field] = value,
        }
        let found = read(name, &section(VERSION, &json!([entry])));
        assert!(found[0].is_err(), "{pointer}");
    }
}

#[test]
fn a_dialect_is_a_name_that_a_reader_may_not_know() {
    let (_, mut entry) = known().into_iter().find(|(name, _)| *name == MODELS).unwrap();
    entry["upstream"]["dialect"] = json!("telepathy");
    assert!(read(MODELS, &section(VERSION, &json!([entry])))[0].is_ok());
}

#[test]
fn of_a_section_of_a_later_version_nothing_is_used_and_names_are_kept() {
    for (name, entry) in known() {
        let found = read(name, &section(VERSION + 1, &json!([entry])));
        assert!(found[0].as_ref().unwrap_err().contains("of version 2"), "{name}: {found:?}");
    }
    let entry = json!({ "name": "r/m", "names": ["m"], "access": { "lists": ["main"] }, "x": 1 });
    let unread = section(VERSION + 1, &json!([entry])).read::<RouteEntry>().remove(0).unwrap_err();
    let found = AccessLookup::of(&unread);
    assert_eq!((found.name.as_deref(), found.names), (Some("r/m"), vec!["m".to_owned()]));
    assert_eq!(found.access.lists, ["main"]);
    let odd = section(VERSION, &json!([{ "name": "r/m", "names": 1, "access": { "new": 1 } }]));
    let found = AccessLookup::of(&odd.read::<RouteEntry>().remove(0).unwrap_err());
    let expected = AccessLookup { name: Some("r/m".to_owned()), ..Default::default() };
    assert_eq!(found, expected, "what cannot be read opens nothing");
}

#[test]
fn a_section_that_is_no_list_has_one_entry_that_cannot_be_read() {
    let found = section(VERSION, &json!({ "a": 1 })).read::<KeyEntry>();
    assert_eq!(found.len(), 1);
    assert!(found[0].is_err());
}

fn source(keys: &[&str], models: &[&str]) -> SnapshotSource {
    let section = |entries: &[&str]| Section::new(entries, &digest).unwrap();
    let sections = [
        (KEYS.to_owned(), section(keys)),
        (MODELS.to_owned(), section(models)),
        ("from_the_future".to_owned(), section(&["x"])),
    ];
    let values = [("env://K".to_owned(), Secret::new("sk-canary"))].into();
    SnapshotSource {
        generation: Generation(7),
        tenant: "acme".to_owned(),
        published_at_ms: 1,
        sections: sections.into(),
        secrets: Secrets::new(values, &digest),
    }
}

/// Over a wire or a disk.
fn sent<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap()
}

#[test]
fn a_snapshot_comes_back_whole_unknown_sections_included() {
    let whole = source(&["a"], &["m"]);
    let back = sent(&whole);
    assert_eq!(back.digests(), whole.digests());
    assert_eq!(back.section("from_the_future").unwrap().read::<String>()[0].as_ref().unwrap(), "x");
    assert_eq!(back.secrets.get("env://K").unwrap().expose(), "sk-canary");
    assert!(!format!("{whole:?}").contains("canary"));
}

#[test]
fn only_sections_that_changed_are_sent_and_the_others_are_kept() {
    let (old, new) = (source(&["a"], &["m"]), source(&["a", "b"], &["m"]));
    let news = new.news(&old.digests());
    let text = serde_json::to_string(&news).unwrap();
    assert!(text.contains(r#"["a","b"]"#) && !text.contains(r#"["m"]"#), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let taken = sent(&news).complete(&old).unwrap();
    assert_eq!(taken.digests(), new.digests());
    assert_eq!(taken.section(MODELS).unwrap().read::<String>()[0].as_ref().unwrap(), "m");
    assert_eq!(taken.secrets.get("env://K").unwrap().expose(), "sk-canary");
    let lost = sent(&news).complete(&SnapshotSource::default()).unwrap_err();
    assert_eq!(lost, Incomplete("from_the_future".to_owned()));
    let first = sent(&new.news(&Digests::new())).complete(&SnapshotSource::default()).unwrap();
    assert_eq!(first.digests(), new.digests());
}

#[test]
fn a_section_that_is_gone_is_not_kept() {
    let (old, mut new) = (source(&["a"], &["m"]), source(&["a"], &["m"]));
    new.sections.remove(MODELS);
    let taken = sent(&new.news(&old.digests())).complete(&old).unwrap();
    assert!(taken.section(MODELS).is_none());
}

#[test]
fn facts_are_written_as_far_as_they_are_unusual() {
    let upstream = UpstreamEntry {
        provider: "p".to_owned(),
        dialect: "openai".to_owned(),
        url: "https://x.example".to_owned(),
        prefix: "/v1/".to_owned(),
        query: String::new(),
        tls: None,
        headers: Vec::new(),
        model: "m".to_owned(),
        quirks: Quirks { stream_usage: false, ..Quirks::default() },
        traits: Some(ModelTraits { output_tokens_max: Some(5), ..ModelTraits::default() }),
        claude: Claude { output_tokens: 3, ..Claude::default() },
    };
    let written = serde_json::to_value(&upstream).unwrap();
    assert_eq!(written["quirks"], json!({ "stream_usage": false }));
    assert_eq!(written["traits"], json!({ "output_tokens_max": 5 }));
    assert_eq!(written["claude"], json!({ "output_tokens": 3 }));
    assert_eq!(sent(&upstream), upstream);
}
