//! Rows that this version cannot read: those of a newer release, and damaged ones.
//!
//! They are listed and may be deleted by name. Nothing else touches them: what they hold may be
//! needed again after an upgrade, and nobody here can tell what they need. So a change that would
//! replace one, name one, or take away what one may name is refused, with what to do instead.

use crate::Error;
use crate::rows::{Opaque, StoredSet};
use gantry_kinds::manifest::Document;
use gantry_kinds::{kinds::Manifest, secrets};
use gantry_model::rest::Problem;
use serde_json::Value;

/// Refuses a manifest that would replace a row that cannot be read, or that needs one.
pub(crate) fn blocked(set: &StoredSet, manifest: &Manifest, document: &Document) -> Vec<Problem> {
    if let Some(opaque) = set.opaque(manifest.family(), manifest.name()) {
        return vec![document.problem(&["name".into()], opaque.advice())];
    }
    let needs = manifest.references().into_iter().filter_map(|reference| {
        let (family, name) = reference.resource?;
        Some(document.problem(&reference.path, set.opaque(family, name)?.advice()))
    });
    needs.collect()
}

/// Refuses a deletion when a row that stays and cannot be read may name what goes.
pub(crate) fn refuse_needed<'a>(
    left: &StoredSet,
    deleted: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    for name in deleted {
        let Some(user) = left.opaques().find(|opaque| may_name(opaque, name)) else { continue };
        return Err(Error::Conflict(format!(
            "nothing was deleted, because `{name}` may still be needed: {}",
            user.advice()
        )));
    }
    Ok(())
}

/// Whether some text in the row may name the resource. Where nothing of it is JSON, any
/// occurrence of the name counts.
fn may_name(opaque: &Opaque, name: &str) -> bool {
    let texts = [&opaque.resource.spec, &opaque.resource.authored];
    let parsed = texts.map(|text| serde_json::from_str::<Value>(text).ok());
    if parsed.iter().all(Option::is_none) {
        return texts.iter().any(|text| holds_name(text, name));
    }
    parsed.iter().flatten().any(|value| names(value, name))
}

/// Whether a value or one inside it names the resource: by its name alone, as the part of a model's
/// name or of a subject. The `type` of a manifest and references to secrets name none.
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => {
            !secrets::is_reference(text) && text.split(['/', ':']).any(|part| part == name)
        }
        Value::Array(items) => items.iter().any(|item| names(item, name)),
        Value::Object(fields) => {
            fields.iter().filter(|(key, _)| *key != "type").any(|(_, value)| names(value, name))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether the name stands in a text, and not as a part of a longer one.
fn holds_name(text: &str, name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        !before.ends_with(inner) && !rest.strip_prefix(name).is_some_and(|r| r.starts_with(inner))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::ids::Generation;
    use gantry_store::Resource;

    fn opaque(spec: &str) -> Opaque {
        let resource = Resource {
            family: "lamp".to_owned(),
            name: "desk".to_owned(),
            kind: "lamp".to_owned(),
            generation: Generation(1),
            spec: spec.to_owned(),
            authored: String::new(),
            workspace: None,
            labels: Default::default(),
            status: None,
            observed_generation: None,
            created_by: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        };
        Opaque { resource, why: "it is too new".to_owned() }
    }

    #[test]
    fn a_row_names_a_resource_wherever_a_whole_part_of_a_text_is_its_name() {
        for (spec, expected) in [
            (r#"{"lamp": {"account": "main"}}"#, true),
            (r#"{"lamp": {"targets": [{"target": "main/small"}]}}"#, true),
            (r#"{"lamp": {"subjects": ["virtualaccount:main"]}}"#, true),
            (r#"{"lamp": {"fqn": "acme:openai:main:model:small"}}"#, true),
            (r#"{"lamp": {"account": "main-2", "other": "remain"}}"#, false),
            (r#"{"lamp": {"type": "main", "main": "x"}}"#, false),
            (r#"{"lamp": {"key": "tfy-secret://acme:main:key"}}"#, false),
            (r#"{"lamp": {"account": "main"#, true),
            (r#"{"lamp": {"account": "main-2", "#, false),
        ] {
            assert_eq!(may_name(&opaque(spec), "main"), expected, "{spec}");
        }
    }
}
