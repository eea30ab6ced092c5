//! Prints manifests as YAML, in the order and spelling that `gantry apply` reads.

use serde_json::Value;

/// One document.
pub(super) fn print(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// A value below a key or a dash, on lines of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                pad(indent, out);
                entry(key, value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, out);
                dash(item, indent, out);
            }
        }
        scalar => {
            pad(indent, out);
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
}

fn entry(key: &str, value: &Value, indent: usize, out: &mut String) {
    out.push_str(&text(key));
    out.push(':');
    if nested(value) {
        out.push('\n');
        block(value, indent + 2, out);
    } else {
        out.push(' ');
        out.push_str(&inline(value));
        out.push('\n');
    }
}

/// The first field of an object stands behind the dash.
fn dash(item: &Value, indent: usize, out: &mut String) {
    out.push_str("- ");
    let Value::Object(fields) = item else {
        if nested(item) {
            out.push('\n');
            return block(item, indent + 2, out);
        }
        out.push_str(&inline(item));
        return out.push('\n');
    };
    let mut first = true;
    for (key, value) in fields {
        if !first {
            pad(indent + 2, out);
        }
        first = false;
        entry(key, value, indent + 2, out);
    }
    if first {
        out.push_str("{}\n");
    }
}

fn nested(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Plain where YAML reads it back as the same text, else as JSON, which YAML understands.
fn text(string: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    let safe = string.chars().all(plain)
        && string.starts_with(|c: char| c.is_ascii_alphabetic())
        && !string.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&string.to_ascii_lowercase().as_str());
    if safe { string.to_owned() } else { Value::from(string).to_string() }
}

fn pad(indent: usize, out: &mut String) {
    for _ in 0..indent {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_kinds::manifest;
    use serde_json::json;

    #[test]
    fn prints_what_a_person_would_write() {
        let manifest = json!({
            "type": "provider-account/openai",
            "name": "main",
            "auth_data": {"type": "api-key", "api_key": "env://OPENAI_API_KEY"},
            "integrations": [{"name": "gpt", "model_types": ["chat"], "x": {}, "z": []}],
            "list": [[1, 2], "2026-03-01", true, null, "yes", "a: b", ""],
        });
        let expected = "type: provider-account/openai\nname: main\nauth_data:\n  type: api-key\n  \
            api_key: env://OPENAI_API_KEY\nintegrations:\n  - name: gpt\n    model_types:\n      \
            - chat\n    x: {}\n    z: []\nlist:\n  - \n    - 1\n    - 2\n  - \"2026-03-01\"\n  \
            - true\n  - null\n  - \"yes\"\n  - \"a: b\"\n  - \"\"\n";
        assert_eq!(print(&manifest), expected);
        assert!(manifest::parse("x", expected).is_ok());
    }
}
