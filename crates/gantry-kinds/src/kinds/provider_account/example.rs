//! Examples of accounts, made from the rows of the catalogue.

use crate::catalogue::Provider;

/// A manifest of a row of the catalogue, for docs and tests.
pub(super) fn of(row: &Provider) -> String {
    let has = |fields: &[String], name: &str| fields.iter().any(|field| field == name);
    let mut text = format!("type: {}\nname: my-{}\n", row.kind(), row.name);
    let auth = |indent: &str| match row.auth_types.first().map(String::as_str) {
        Some("custom-host") => {
            format!("{indent}auth_data:\n{indent}  custom_host: http://127.0.0.1:11434\n")
        }
        Some("bearer-auth") => format!(
            "{indent}auth_data:\n{indent}  type: bearer-auth\n{indent}  bearer_token: env://TOKEN\n"
        ),
        _ => {
            let key = row.key_field();
            let known = row.env.as_ref().and_then(|env| env.key.first());
            let variable = known.map_or("API_KEY", String::as_str);
            format!(
                "{indent}auth_data:\n{indent}  type: api-key\n{indent}  {key}: env://{variable}\n"
            )
        }
    };
    if has(&row.account_fields, "auth_data") {
        text += &auth("");
    }
    for (field, value) in [
        ("region", "us-east-1"),
        ("azure_endpoint", "https://my-resource.openai.azure.com"),
        ("openai_endpoint", "https://my-resource.openai.azure.com"),
    ] {
        if has(&row.account_required, field) {
            text += &format!("{field}: {value}\n");
        }
    }
    text += &format!("integrations:\n  - type: {}\n    name: my-model\n", row.model_kind);
    for (field, value) in [
        ("model_id", row.example_model.as_str()),
        ("hosted_model_name", &row.example_model),
        ("url", "http://127.0.0.1:8000/v1"),
        ("azure_endpoint", "https://my-deployment.eastus.models.ai.azure.com"),
        ("model_server", "vllm-openai"),
        ("publisher", "OpenAI"),
        ("api_version", "2024-10-21"),
    ] {
        if has(&row.model_fields, field) {
            text += &format!("    {field}: {value}\n");
        }
    }
    if has(&row.model_fields, "auth_data") {
        text += &auth("    ");
    }
    text + "    model_types: [chat]\n"
}
