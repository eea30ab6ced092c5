//! Secrets in manifests: which texts are references, and how literal values leave a manifest.
//!
//! The control plane seals what [`seal_out`] returns; a gateway looks up what [`references`]
//! names. Nothing here may print a value.

use crate::kind::Manifest;
use gantry_model::secret::Secret;
use std::collections::BTreeSet;

/// Begins the reference to a sealed value: `tfy-secret://tenant:group:key`.
pub const STORED: &str = "tfy-secret://";
/// Begins the reference to a variable of the process: `env://NAME`.
pub const VARIABLE: &str = "env://";

/// Whether a text stands for a value that is kept elsewhere.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    text.starts_with(STORED) || text.starts_with(VARIABLE)
}

/// The secret in a variable. A line break at its end is not part of it: files and Kubernetes'
/// Secrets often end with one.
///
/// # Errors
/// When it is empty or no header may carry it, as a lower-case fragment without the value.
pub fn of_variable(name: &str, value: &str) -> Result<Secret, String> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(format!("the variable {name} is empty"));
    }
    match header_text(value) {
        true => Ok(Secret::new(value)),
        false => Err(format!("the variable {name} holds characters that no header may carry")),
    }
}

/// Whether a header may carry the text (RFC 9110, section 5.5).
pub(crate) fn header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Replaces each literal secret by a reference and returns the values by reference.
///
/// References that are there already stay, so that what `get` prints can be applied again. A new
/// reference says where its value belongs,
/// `tfy-secret://acme:provider-account.openai.main:auth_data.api_key`: models are named, not
/// counted, so that the next apply of a reordered manifest replaces the right value. It never
/// equals a reference that the manifest holds.
#[must_use]
pub fn seal_out(mut manifest: Manifest, tenant: &str) -> (Manifest, Vec<(String, Secret)>) {
    let mut taken: BTreeSet<String> = references(&manifest).into_iter().collect();
    let group = format!("{}.{}", manifest.kind().replace('/', "."), manifest.name());
    let mut sealed = Vec::new();
    manifest.each_secret(&mut |path, secret| {
        if is_reference(secret.expose()) {
            return;
        }
        let wanted = format!("{STORED}{tenant}:{group}:{path}");
        let mut reference = wanted.clone();
        let mut number = 2;
        while !taken.insert(reference.clone()) {
            reference = format!("{wanted}.{number}");
            number += 1;
        }
        let value = std::mem::replace(secret, Secret::new(reference.clone()));
        sealed.push((reference, value));
    });
    (manifest, sealed)
}

/// Every reference in a manifest's secrets, in order of appearance, each once.
#[must_use]
pub fn references(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let mut copy = manifest.clone();
    copy.each_secret(&mut |_, secret| {
        let text = secret.expose();
        if is_reference(text) && !found.iter().any(|known| known == text) {
            found.push(text.to_owned());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{parse, to_json};

    #[test]
    fn a_variable_holds_what_a_header_may_carry_and_perhaps_a_line_break_after_it() {
        let value = |text: &str| of_variable("K", text).map(|value| value.expose().to_owned());
        for right in ["sk-1", "sk-1\n", "sk-1\r\n\n"] {
            assert_eq!(value(right), Ok("sk-1".to_owned()), "{right:?}");
        }
        assert_eq!(value("sk\t1 ").as_deref(), Ok("sk\t1 "), "the rest stays");
        for wrong in ["", "\n", "sk-1\nsk-2", "sk\u{7f}"] {
            let why = value(wrong).unwrap_err();
            assert!(why.contains("variable K") && !why.contains("sk"), "{why}");
        }
    }

    fn read(text: &str) -> Manifest {
        parse("m.yaml", text).unwrap().remove(0).check().unwrap()
    }

    const HOSTED: &str = "
type: provider-account/self-hosted-model
name: own
integrations:
  - {type: integration/model/self-hosted-model, name: a, url: http://h/v1,
     headers: {X-One: one, X-Two: 'env://TWO'}}
  - {type: integration/model/self-hosted-model, name: b, url: http://h/v1,
     auth_data: {type: bearer-auth, bearer_token: three}}
";

    #[test]
    fn literal_values_leave_and_references_stay() {
        let (sealed, values) = seal_out(read(HOSTED), "acme");
        let group = "tfy-secret://acme:provider-account.self-hosted-model.own:integrations";
        let values: Vec<_> = values.iter().map(|(r, v)| (r.as_str(), v.expose())).collect();
        let (one, three) =
            (format!("{group}.a.headers.X-One"), format!("{group}.b.auth_data.bearer_token"));
        assert_eq!(values, [(one.as_str(), "one"), (three.as_str(), "three")]);
        assert_eq!(references(&sealed), [one.as_str(), "env://TWO", three.as_str()]);
        let text = to_json(&sealed).to_string();
        assert!(!text.contains("\"one\"") && !text.contains("\"three\""), "{text}");
    }

    #[test]
    fn what_is_sealed_already_is_left_alone() {
        let (once, _) = seal_out(read(HOSTED), "acme");
        let again = crate::manifest::Document::from_json(to_json(&once)).check().unwrap();
        assert_eq!(again, once);
        assert_eq!(seal_out(again, "acme"), (once, Vec::new()));
    }

    #[test]
    fn a_new_value_never_takes_the_reference_of_another() {
        let text = "
type: provider-account/self-hosted-model
name: own
integrations:
  - type: integration/model/self-hosted-model
    name: a
    url: http://h/v1
    headers:
      x: new
      y: tfy-secret://acme:provider-account.self-hosted-model.own:integrations.a.headers.x
";
        let (_, values) = seal_out(read(text), "acme");
        assert!(values[0].0.ends_with("integrations.a.headers.x.2"), "{}", values[0].0);
    }
}
