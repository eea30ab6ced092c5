//! What the rows of the catalogue leave of the schema of accounts.

use super::{ModelIntegration, ProviderAccount};
use crate::catalogue::{GEMINI, Provider};
use crate::schema::build;
use serde_json::{Map, Value, json};

/// Keeps what accounts of one provider may carry.
pub(super) fn narrow(root: &mut Value, row: &Provider) {
    let title = format!("`{}`", row.kind());
    if let Some(fields) = root.as_object_mut() {
        fields.insert("description".to_owned(), format!("An account at {}.", row.title).into());
        build::narrow(fields, &[&ProviderAccount::COMMON, &texts(&row.account_fields)], &title);
        build::require(fields, &row.account_required);
        fields.insert("x-later".to_owned(), json!(row.fields_later));
    }
    if let Some(fields) = build::def(root, "ModelIntegration") {
        build::narrow(fields, &[&ModelIntegration::COMMON, &texts(&row.model_fields)], &title);
        build::require(fields, &row.model_required);
        fields.insert("x-later".to_owned(), json!(row.fields_later));
        build::set_const(fields, &row.model_kind);
    }
    if let Some(fields) = build::def(root, "AuthData") {
        narrow_auth(fields, row);
    }
    build::rename_def(root, "ModelIntegration", &format!("{}.Model", row.name));
    build::rename_def(root, "AuthData", &format!("{}.AuthData", row.name));
}

fn narrow_auth(fields: &mut Map<String, Value>, row: &Provider) {
    if row.auth_types.iter().any(|name| name == "custom-host") {
        let url = json!({
            "description": "Address of the server, with or without `/v1`.",
            "type": "string",
            "x-check": "url",
        });
        fields.remove("oneOf");
        fields.insert("type".to_owned(), "object".into());
        fields.insert("properties".to_owned(), json!({"custom_host": url}));
        fields.insert("required".to_owned(), json!(["custom_host"]));
        fields.insert("additionalProperties".to_owned(), false.into());
        return;
    }
    fields.insert("x-later".to_owned(), json!(row.auth_types_later));
    let Some(variants) = fields.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    variants.retain(|variant| {
        let name = variant.pointer("/properties/type/const").and_then(Value::as_str);
        name.is_some_and(|name| row.auth_types.iter().any(|known| known == name))
    });
    if row.name != GEMINI {
        return;
    }
    for variant in variants {
        let Some(fields) = variant.as_object_mut() else { continue };
        if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut)
            && let Some(key) = properties.remove("api_key")
        {
            properties.insert("apiKey".to_owned(), key);
        }
        fields.insert("required".to_owned(), json!(["type", "apiKey"]));
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
