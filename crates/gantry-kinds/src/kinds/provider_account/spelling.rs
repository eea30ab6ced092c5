//! Two providers spell their credential unlike all others: Ollama's `auth_data` holds an address,
//! Gemini's `apiKey`. The structs know neither; here is where they are put right, both ways.

use crate::catalogue::{GEMINI, KIND_PREFIX};
use serde_json::{Map, Value};

const OLLAMA: &str = "ollama";

/// From the fields as authors spell them.
pub(super) fn read(fields: &mut Map<String, Value>) {
    match provider(fields) {
        Some(OLLAMA) => {
            let host = fields.remove("auth_data").and_then(|auth| auth.get("custom_host").cloned());
            if let Some(host) = host {
                fields.insert("base_url".to_owned(), host);
            }
        }
        Some(GEMINI) => rename(fields.get_mut("auth_data"), "apiKey", "api_key"),
        _ => {}
    }
}

/// To the fields as authors spell them.
pub(super) fn write(fields: &mut Map<String, Value>) {
    match provider(fields) {
        Some(OLLAMA) => {
            if let Some(url) = fields.remove("base_url") {
                let host = Map::from_iter([("custom_host".to_owned(), url)]);
                fields.insert("auth_data".to_owned(), Value::Object(host));
            }
        }
        Some(GEMINI) => rename(fields.get_mut("auth_data"), "api_key", "apiKey"),
        _ => {}
    }
}

fn provider(fields: &Map<String, Value>) -> Option<&'static str> {
    let name = fields.get("type")?.as_str()?.strip_prefix(KIND_PREFIX)?;
    [OLLAMA, GEMINI].into_iter().find(|known| *known == name)
}

fn rename(fields: Option<&mut Value>, from: &str, to: &str) {
    if let Some(fields) = fields.and_then(Value::as_object_mut)
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}
