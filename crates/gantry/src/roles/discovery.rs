//! What `gantry up` makes of the providers that it finds: accounts, until somebody edits them.

use crate::boot::{self, variable};
use anyhow::Context;
use gantry_control::Control;
use gantry_model::catalogue::Provider;
use gantry_model::rest::Source;
use gantry_providers::discover::{self, Found};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Further servers to ask, separated by commas.
const LOCAL_SERVERS: &str = "GANTRY_LOCAL_SERVERS";

/// Remembers what discovery applied, so that an edited account is left alone.
const FILE: &str = "discovered.json";

/// One line of the start-up message.
pub(super) struct Line {
    pub account: String,
    pub by: String,
}

/// What a start found.
pub(super) struct Search {
    pub lines: Vec<Line>,
    /// Sentences about what could nearly be used.
    pub hints: Vec<String>,
}

/// The further servers to ask.
///
/// # Errors
/// When the variable that names them is unusable.
pub(super) fn named() -> anyhow::Result<Vec<String>> {
    addresses(&variable(LOCAL_SERVERS).unwrap_or_default())
}

/// Finds providers, the `named` servers among them, and applies an account for each.
///
/// # Errors
/// When the control plane cannot be read; a single account that is refused is logged.
pub(super) async fn apply(
    control: &Control,
    data_dir: &Path,
    named: Vec<String>,
) -> anyhow::Result<Search> {
    let found = find(named).await;
    let path = data_dir.join(FILE);
    let mut remembered: BTreeMap<String, Value> = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut lines = Vec::new();
    for one in found {
        let manifest = manifest(&one);
        let existing = existing(control, &one.account).await?;
        let ours = existing.is_none() || remembered.get(&one.account) == existing.as_ref();
        if ours {
            match put(control, &manifest).await {
                Ok(stored) => remembered.insert(one.account.clone(), stored),
                Err(error) => {
                    tracing::warn!(account = one.account, error = %error, "account not created");
                    continue;
                }
            };
        }
        lines.push(Line { account: one.account, by: one.by });
    }
    std::fs::write(&path, serde_json::to_vec_pretty(&remembered)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(Search { lines, hints: discover::half_set(&variable) })
}

/// The addresses that the variable names.
fn addresses(text: &str) -> anyhow::Result<Vec<String>> {
    let named = text.split(',').map(str::trim).filter(|url| !url.is_empty());
    named
        .map(|url| boot::http_url(url).map_err(|why| anyhow::anyhow!("{LOCAL_SERVERS}: {why}")))
        .collect()
}

async fn find(named: Vec<String>) -> Vec<Found> {
    let mut found = discover::from_environment(&variable);
    let addresses: Vec<String> = named.into_iter().chain(discover::usual_addresses()).collect();
    let probes = addresses.iter().map(|address| discover::probe(address));
    for server in futures_util::future::join_all(probes).await.into_iter().flatten() {
        let taken = |name: &str| found.iter().filter(|other| other.account == name).count();
        let same = |other: &Found| other.local_url == server.local_url;
        if found.iter().any(same) {
            continue;
        }
        let mut server = server;
        if taken(&server.account) > 0 {
            let number = found.iter().filter(|o| o.account.starts_with(&server.account)).count();
            server.account = format!("{}-{}", server.account, number + 1);
        }
        found.push(server);
    }
    found
}

fn manifest(found: &Found) -> Value {
    let row = gantry_model::catalogue::provider(found.provider);
    let kind = row.map(|row| row.model_kind.clone()).unwrap_or_default();
    let models: Vec<Value> = found
        .models
        .iter()
        .map(|model| {
            let mut integration = Map::new();
            integration.insert("type".to_owned(), json!(kind));
            integration.insert("name".to_owned(), json!(model_name(model)));
            match &found.local_url {
                Some(url) if found.provider == "self-hosted-model" => {
                    integration.insert("hosted_model_name".to_owned(), json!(model));
                    integration.insert("url".to_owned(), json!(url));
                    integration.insert("model_server".to_owned(), json!("openai-compatible"));
                    integration.insert(
                        "model_types".to_owned(),
                        json!(["chat", "completion", "embedding"]),
                    );
                }
                _ => {
                    integration.insert("model_id".to_owned(), json!(model));
                    integration.insert("model_types".to_owned(), json!(types(model)));
                }
            }
            for (field, value) in &found.model_fields {
                integration.insert(field.clone(), json!(value));
            }
            Value::Object(integration)
        })
        .collect();
    let mut account = Map::new();
    account.insert("type".to_owned(), json!(format!("provider-account/{}", found.provider)));
    account.insert("name".to_owned(), json!(found.account));
    if let Some(reference) = &found.credential {
        let key = row.map_or("api_key", Provider::key_field);
        account.insert("auth_data".to_owned(), json!({"type": "api-key", key: reference}));
    }
    if let Some(url) = found.local_url.as_ref().filter(|_| found.provider == "ollama") {
        account.insert("base_url".to_owned(), json!(url));
    }
    for (field, value) in &found.fields {
        account.insert(field.clone(), json!(value));
    }
    account.insert("integrations".to_owned(), Value::Array(models));
    Value::Object(account)
}

fn types(model: &str) -> &'static [&'static str] {
    if model.contains("embed") { &["embedding"] } else { &["chat"] }
}

/// A name that manifests take: what they do not becomes a hyphen.
fn model_name(model: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let base = model.rsplit('/').next().unwrap_or(model).trim_end_matches(".gguf");
    let name: String = base.chars().map(|c| if kept(c) { c } else { '-' }).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    name.chars().take(62).collect()
}

async fn existing(control: &Control, account: &str) -> anyhow::Result<Option<Value>> {
    let all = control.get(&Control::local_caller(), Some("provider-account"), None).await?;
    Ok(all.into_iter().find(|stored| stored.name == account).map(|stored| stored.manifest))
}

async fn put(control: &Control, manifest: &Value) -> anyhow::Result<Value> {
    let source = Source { file: "discovered".to_owned(), text: manifest.to_string() };
    let applied = control.apply(&Control::local_caller(), vec![source], false).await?;
    let applied = applied.into_iter().next().context("nothing was applied")?;
    Ok(applied.manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::catalogue::providers;
    use gantry_model::manifest::parse;

    /// A value that a field of this name takes.
    fn value(field: &str) -> &'static str {
        match field {
            "region" => "eu-west-1",
            "api_version" => "2024-10-21",
            "model_id" => "gpt-4o",
            _ => "https://upstream.example",
        }
    }

    #[test]
    fn every_provider_that_variables_describe_makes_an_account_that_is_accepted() {
        let mut seen = 0;
        for row in providers() {
            let Some(env) = &row.env else { continue };
            let fields = env.account.iter().chain(&env.model);
            let mut set: BTreeMap<&str, &str> =
                fields.flat_map(|(f, names)| names.iter().map(|n| (&**n, value(f)))).collect();
            for key in &env.key {
                set.insert(key, "k");
                let found = discover::from_environment(&|name| set.get(name).map(|&v| v.into()));
                set.remove(key.as_str());
                assert_eq!(found.len(), 1, "{key}");
                let text = manifest(&found[0]).to_string();
                let checked = parse("discovered", &text).unwrap().remove(0).check();
                let checked = checked.unwrap_or_else(|problems| panic!("{key}: {problems:?}"));
                assert_eq!((checked.kind(), checked.name()), (&*row.kind(), &*row.name));
                seen += 1;
            }
        }
        assert!(seen > 15, "the catalogue was read");
    }

    #[test]
    fn further_servers_are_addresses() {
        let named = addresses("http://127.0.0.1:9000, http://h:1/v1,").unwrap();
        assert_eq!(named, ["http://127.0.0.1:9000", "http://h:1/v1"]);
        for wrong in ["nonsense", "http://", "127.0.0.1:8000"] {
            let error = format!("{:#}", addresses(wrong).unwrap_err());
            assert!(error.contains(LOCAL_SERVERS) && error.contains(wrong), "{error}");
            assert!(error.contains("http://127.0.0.1:8000"), "an example: {error}");
        }
    }
}
