//! Which sealed values go when manifests change.
//!
//! Apply and delete say what they replace or take away; only values which that had may go, and
//! only when no row names them any more. Rows are searched as texts, whether this version can read
//! them or not, so that nothing is lost of what an older or a newer version stored.

use crate::Error;
use crate::rows::{StoredSet, owner};
use gantry_kinds::secrets::{self, STORED};
use gantry_store::{Resource, Tx};
use serde_json::Value;
use std::collections::HashSet;

/// What a change replaces or takes away.
#[derive(Debug, Default)]
pub(crate) struct LetGo {
    owners: HashSet<String>,
    /// Texts of rows as they were.
    texts: Vec<String>,
}

impl LetGo {
    /// A row that is replaced or deleted.
    pub(crate) fn row(&mut self, resource: &Resource) {
        self.owners.insert(owner(&resource.family, &resource.name));
        self.texts.extend(texts(resource).map(str::to_owned));
    }

    /// Forgets the values that only the changed rows had. Values without an owner are the control
    /// plane's own.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) async fn forget(self, tx: &mut Tx, after: &StoredSet) -> Result<(), Error> {
        let mine = |reference: &str, owner: &str| {
            self.owners.contains(owner) || self.texts.iter().any(|text| holds(text, reference))
        };
        let all = tx.secret_references().await?;
        let mut going: Vec<(String, String)> = all
            .into_iter()
            .filter(|(reference, owner)| !owner.is_empty() && mine(reference, owner))
            .collect();
        // Most are still there, and this finds them without a search.
        let used: HashSet<String> = after.manifests().flat_map(secrets::references).collect();
        going.retain(|(reference, _)| !used.contains(reference));
        let rows: Vec<&str> = after.resources().flat_map(texts).filter(|t| may_hold(t)).collect();
        for (reference, owner) in going {
            let kept = after.opaques().any(|row| row.owner() == owner)
                || rows.iter().any(|text| holds(text, &reference));
            if !kept {
                tx.delete_secret(&reference).await?;
            }
        }
        Ok(())
    }
}

/// All that a row says.
fn texts(resource: &Resource) -> impl Iterator<Item = &str> {
    [resource.spec.as_str(), resource.authored.as_str()].into_iter()
}

/// Whether a text may hold any reference; one with a backslash may spell it otherwise.
fn may_hold(text: &str) -> bool {
    text.contains(STORED) || text.contains('\\')
}

/// Whether a text, JSON or not, holds the reference.
fn holds(text: &str, reference: &str) -> bool {
    let spelled_otherwise = || {
        let parsed = text.contains('\\').then(|| serde_json::from_str(text).ok()).flatten();
        parsed.is_some_and(|value: Value| within(&value, reference))
    };
    text.contains(reference) || spelled_otherwise()
}

fn within(value: &Value, reference: &str) -> bool {
    match value {
        Value::String(text) => text.contains(reference),
        Value::Array(items) => items.iter().any(|item| within(item, reference)),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains(reference) || within(value, reference))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_however_json_spells_it() {
        let reference = "tfy-secret://acme:lamp.desk:é.\"k\"";
        for (text, expected) in [
            (serde_json::json!({ "a": [{ "key": reference }] }).to_string(), true),
            (r#"["tfy-secret:\/\/acme:lamp.desk:\u00e9.\"k\""]"#.to_owned(), true),
            (format!("{{damaged {reference}"), true),
            (r#"["tfy-secret://acme:lamp.desk:k"]"#.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(holds(&text, reference), expected, "{text}");
            assert!(!expected || may_hold(&text), "{text}");
        }
    }
}
