//! The catalogue's data: it parses, and each row is complete and means something.

use super::*;
use std::collections::BTreeSet;

fn rows() -> Vec<Provider> {
    read(include_str!("../../data/providers.toml")).unwrap()
}

#[test]
fn all_rows_are_compiled_in() {
    assert_eq!(providers(), rows());
    assert!(providers().len() >= 20);
    assert_eq!(provider("azure-openai").unwrap().url_style, UrlStyle::Azure);
    assert_eq!(provider("openia"), None);
}

#[test]
fn an_unknown_key_is_refused() {
    let text = "[[provider]]\nname = 'x'\ntitle = 'X'\ndialect = 'openai'\nbse_url = 'http://x'\n";
    assert!(read(text).unwrap_err().to_string().contains("bse_url"));
}

#[test]
fn names_and_model_kinds_are_unique() {
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
    let kinds: BTreeSet<_> = rows.iter().map(|row| &row.model_kind).collect();
    assert_eq!((names.len(), kinds.len()), (rows.len(), rows.len()));
}

#[test]
fn every_row_has_an_address_and_a_credential() {
    for row in rows() {
        let fields: Vec<_> = row.account_fields.iter().chain(&row.model_fields).collect();
        let given = ["url", "azure_endpoint", "openai_endpoint"];
        let required: Vec<_> = row.account_required.iter().chain(&row.model_required).collect();
        assert!(
            row.base_url.is_some() || given.iter().any(|f| required.iter().any(|r| r == f)),
            "{}: no address",
            row.name
        );
        assert!(fields.iter().any(|field| *field == "auth_data"), "{}: no auth_data", row.name);
        assert!(!row.auth_types.is_empty(), "{}: no auth types", row.name);
        assert!(required.iter().all(|r| fields.contains(r)), "{}: required, not known", row.name);
        if let Some(url) = &row.base_url {
            assert!(url.starts_with("http") && !url.ends_with('/'), "{url}");
            let regional = row.account_required.iter().any(|field| field == "region");
            assert_eq!(url.contains("{region}"), regional, "{url}");
        }
    }
}

#[test]
fn what_discovery_fills_in_is_a_field_of_the_row() {
    for row in rows() {
        let Some(env) = &row.env else { continue };
        assert!(!env.key.is_empty(), "{}", row.name);
        assert!(env.account.keys().all(|field| row.account_fields.contains(field)));
        assert!(env.model.keys().all(|field| row.model_fields.contains(field)));
        let given = |field: &String| field == "auth_data" || env.account.contains_key(field);
        assert!(row.account_required.iter().all(given), "{}", row.name);
        assert!(row.model_required.is_empty(), "{}: no variable gives them", row.name);
        assert!(row.lists_models || !row.default_models.is_empty(), "{}", row.name);
    }
}

#[test]
fn reasoning_has_a_name_that_replies_are_read_under() {
    for row in rows() {
        let field = &*row.quirks.reasoning_field;
        assert!(["reasoning_content", "reasoning"].contains(&field), "{}: {field}", row.name);
    }
    assert!(provider("self-hosted-model").unwrap().quirks.reasoning_back);
    assert!(!provider("openai").unwrap().quirks.reasoning_back);
}

#[test]
fn signatures_of_calls_go_to_gemini_only() {
    let signed = |row: &Provider| !row.quirks.call_signature.is_empty();
    let names = rows().into_iter().filter(signed).map(|row| row.name);
    assert_eq!(names.collect::<Vec<_>>(), ["google-gemini"]);
}

#[test]
fn limits_of_openai_hold_where_openai_serves() {
    for name in ["openai", "azure-openai", "microsoft-foundry"] {
        let limits = &provider(name).unwrap().quirks.limits;
        assert_eq!(limits.tool_name.as_ref().and_then(|name| name.chars_max), Some(64), "{name}");
    }
    let own = &provider("self-hosted-model").unwrap().quirks;
    assert!(own.limits.tool_name.is_none() && own.continues_answers);
}
