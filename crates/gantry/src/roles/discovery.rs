//! What `gantry up` makes of the providers that it finds: accounts, until somebody edits them.

use crate::boot::{self, variable};
use crate::discover::{self, Found};
use anyhow::Context;
use gantry_control::Control;
use gantry_kinds::catalogue::Provider;
use gantry_model::rest::Source;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Further servers to ask, separated by commas.
const LOCAL_SERVERS: &str = "GANTRY_LOCAL_SERVERS";

/// Remembers what discovery applied, so that an edited account is left alone.
const FILE: &str = "discovered.json";

/// Manifests of accounts by name.
type Accounts = BTreeMap<String, Value>;

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

/// Applies an account for each find, but for those whose account somebody edited or deleted.
///
/// What an earlier start remembered does not count on the `first` one of a database.
///
/// # Errors
/// When the control plane cannot be read; a single account that is refused is logged.
pub(super) async fn apply(
    control: &Control,
    data_dir: &Path,
    found: Vec<Found>,
    first: bool,
) -> anyhow::Result<Search> {
    let path = data_dir.join(FILE);
    let mut remembered: Accounts = std::fs::read(&path)
        .ok()
        .filter(|_| !first)
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let stored = stored(control).await?;
    let mut lines = Vec::new();
    for one in renamed(found, &remembered, &stored) {
        let manifest = manifest(&one);
        let ours = match (remembered.get(&one.account), stored.get(&one.account)) {
            (None, None) => true,
            // Somebody deleted it.
            (Some(_), None) => continue,
            (applied, existing) => applied == existing,
        };
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

/// Finds providers, the `named` servers among them.
pub(super) async fn find(named: Vec<String>) -> Vec<Found> {
    let mut found = discover::from_environment(&variable);
    let addresses: Vec<String> = named.into_iter().chain(discover::usual_addresses()).collect();
    let probes = addresses.iter().map(|address| discover::probe(address));
    for server in futures_util::future::join_all(probes).await.into_iter().flatten() {
        if !found.iter().any(|other| other.local_url == server.local_url) {
            found.push(server);
        }
    }
    found
}

/// Gives each server the name of the account that has its address, or a name that no other has: a
/// name never moves from one server to another.
fn renamed(mut found: Vec<Found>, remembered: &Accounts, stored: &Accounts) -> Vec<Found> {
    let known = |url: &str| {
        let all = stored.iter().chain(remembered);
        all.filter(|(_, manifest)| address_of(manifest) == Some(url)).map(|(name, _)| name).next()
    };
    let mut taken: BTreeSet<String> = stored.keys().chain(remembered.keys()).cloned().collect();
    taken.extend(found.iter().filter(|one| one.local_url.is_none()).map(|one| one.account.clone()));
    for server in &mut found {
        let Some(url) = &server.local_url else { continue };
        server.account = match known(url) {
            Some(name) => name.clone(),
            None => unused(&server.account, &taken),
        };
        taken.insert(server.account.clone());
    }
    found
}

/// The name, or the first of `name-2`, `name-3` and so on that is not taken.
fn unused(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: usize| format!("{name:.58}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// The address of an account's server, as [`manifest`] writes it.
fn address_of(account: &Value) -> Option<&str> {
    let model = || account.get("integrations")?.get(0)?.get("url");
    account.get("base_url").or_else(model)?.as_str()
}

fn manifest(found: &Found) -> Value {
    let row = gantry_kinds::catalogue::provider(found.provider);
    let kind = row.map(|row| row.model_kind.clone()).unwrap_or_default();
    let models: Vec<Value> = named_models(&found.models)
        .into_iter()
        .map(|(name, model)| {
            let mut integration = Map::new();
            integration.insert("type".to_owned(), json!(kind));
            integration.insert("name".to_owned(), json!(name));
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

/// Models with names of their own; those of which nothing makes a name are left out.
fn named_models(models: &[String]) -> Vec<(String, &String)> {
    let mut taken = BTreeSet::new();
    let mut named = Vec::new();
    for model in models {
        let name = model_name(model);
        if name.is_empty() {
            continue;
        }
        let name = unused(&name, &taken);
        taken.insert(name.clone());
        named.push((name, model));
    }
    named
}

/// A name that manifests take: what they do not becomes a hyphen.
fn model_name(model: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let base = model.rsplit('/').next().unwrap_or(model).trim_end_matches(".gguf");
    let name: String = base.chars().map(|c| if kept(c) { c } else { '-' }).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    name.chars().take(62).collect()
}

/// The accounts that the control plane has.
async fn stored(control: &Control) -> anyhow::Result<Accounts> {
    let all = control.get(Some("provider-account"), None).await?;
    Ok(all.into_iter().map(|stored| (stored.name, stored.manifest)).collect())
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
    use gantry_kinds::catalogue::providers;
    use gantry_kinds::manifest::parse;

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

    fn server(port: u16, models: &[&str]) -> Found {
        let url = format!("http://127.0.0.1:{port}");
        Found {
            provider: "self-hosted-model",
            account: "local".to_owned(),
            by: url.clone(),
            credential: None,
            fields: Vec::new(),
            model_fields: Vec::new(),
            models: models.iter().map(|&model| model.to_owned()).collect(),
            local_url: Some(format!("{url}/v1")),
        }
    }

    /// Accounts and addresses that a start shows.
    async fn start(control: &Control, dir: &Path, ports: &[u16]) -> Vec<String> {
        let found = ports.iter().map(|port| server(*port, &["m"])).collect();
        let search = apply(control, dir, found, false).await.unwrap();
        search.lines.into_iter().map(|line| format!("{} {}", line.account, line.by)).collect()
    }

    async fn control(dir: &Path) -> Control {
        Control::open(gantry_control::ControlConfig::new(dir)).await.unwrap().0
    }

    #[tokio::test]
    async fn an_account_stays_with_its_server_whichever_of_them_run() {
        let dir = tempfile::tempdir().unwrap();
        let control = control(dir.path()).await;
        let (a, b) = ("local http://127.0.0.1:1", "local-2 http://127.0.0.1:2");
        assert_eq!(start(&control, dir.path(), &[1, 2]).await, [a, b]);
        assert_eq!(start(&control, dir.path(), &[2]).await, [b]);
        let all = stored(&control).await.unwrap();
        assert_eq!(address_of(&all["local"]), Some("http://127.0.0.1:1/v1"));
        assert_eq!(address_of(&all["local-2"]), Some("http://127.0.0.1:2/v1"));
        let third = "local-3 http://127.0.0.1:3";
        assert_eq!(start(&control, dir.path(), &[3, 2, 1]).await, [third, b, a]);
    }

    #[tokio::test]
    async fn an_account_that_was_deleted_does_not_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let control = control(dir.path()).await;
        assert_eq!(start(&control, dir.path(), &[1]).await.len(), 1);
        let kind = "provider-account/self-hosted-model".to_owned();
        let gone = gantry_model::rest::ManifestRef { kind, name: Some("local".to_owned()) };
        control.delete(&Control::local_caller(), vec![gone], false).await.unwrap();
        assert_eq!(start(&control, dir.path(), &[1]).await, [""; 0]);
        assert!(stored(&control).await.unwrap().is_empty());
        let found = vec![server(1, &["m"])];
        let search = apply(&control, dir.path(), found, true).await.unwrap();
        assert_eq!(search.lines.len(), 1, "a new database has none that were deleted");
    }

    #[test]
    fn models_of_one_name_are_numbered_and_those_without_a_name_are_left_out() {
        let long = "a".repeat(80);
        let found = server(1, &["org1/m", "org2/m", "//", "m-2", "日本", &long, &long]);
        let manifest = manifest(&found);
        let models = manifest["integrations"].as_array().unwrap();
        let names: Vec<&str> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
        let (first, second) = ("a".repeat(62), format!("{}-2", "a".repeat(58)));
        assert_eq!(names, ["m", "m-2", "m-2-2", &first, &second]);
        assert_eq!(models[1]["hosted_model_name"], "org2/m");
        parse("discovered", &manifest.to_string()).unwrap().remove(0).check().unwrap();
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
