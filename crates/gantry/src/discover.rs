//! Finding providers: by the usual environment variables, and by asking servers on this machine.
//!
//! `gantry up` calls it on each start. It only finds; what becomes of a find is the caller's.

use bytes::Bytes;
use gantry_http::client::{Call, call};
use gantry_kinds::catalogue::{Discovery, Provider, providers};
use http::{HeaderMap, Method};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A local server has so long to list its models.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);

/// A provider that can be used right away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The catalogue's row.
    pub(crate) provider: &'static str,
    /// Name for the account.
    pub(crate) account: String,
    /// How it was found, for people: `OPENAI_API_KEY`, `http://127.0.0.1:11434`.
    pub(crate) by: String,
    /// Reference of its credential.
    pub(crate) credential: Option<String>,
    /// Account fields: `base_url`, `azure_endpoint`, `region`.
    pub(crate) fields: Vec<(String, String)>,
    /// Fields of each of its models, such as `api_version`.
    pub(crate) model_fields: Vec<(String, String)>,
    /// Model names at the upstream.
    pub(crate) models: Vec<String>,
    /// Address of a server on this machine, up to `/v1`.
    pub(crate) local_url: Option<String>,
}

/// Looks up a variable; empty counts as absent.
pub(crate) type Variable<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Providers whose variables are set.
#[must_use]
pub(crate) fn from_environment(variable: &Variable<'_>) -> Vec<Found> {
    providers().iter().filter_map(|provider| by_variables(provider, variable)).collect()
}

fn by_variables(provider: &'static Provider, variable: &Variable<'_>) -> Option<Found> {
    let env = provider.env.as_ref()?;
    let key = first_set(&env.key, variable)?;
    if absent(provider, env, variable).next().is_some() {
        return None;
    }
    let values = |fields: &BTreeMap<String, Vec<String>>| -> Vec<(String, String)> {
        let value = |(field, names): (&String, &Vec<String>)| {
            let value = variable(first_set(names, variable)?)?;
            Some((field.clone(), field_value(field, &value)))
        };
        fields.iter().filter_map(value).collect()
    };
    let mut model_fields = values(&env.model);
    let named = model_fields.iter().position(|(field, _)| field == "model_id");
    let models = match named {
        Some(at) => vec![model_fields.swap_remove(at).1],
        None => provider.default_models.clone(),
    };
    Some(Found {
        provider: &provider.name,
        account: provider.name.clone(),
        by: key.clone(),
        credential: Some(format!("env://{key}")),
        fields: values(&env.account),
        model_fields,
        models,
        local_url: None,
    })
}

/// Sentences about providers that are set up by half and therefore not found, for people.
#[must_use]
pub(crate) fn half_set(variable: &Variable<'_>) -> Vec<String> {
    providers().iter().filter_map(|provider| hint(provider, variable)).collect()
}

fn hint(provider: &Provider, variable: &Variable<'_>) -> Option<String> {
    let env = provider.env.as_ref()?;
    let title = &provider.title;
    let wanted = |names: &[String]| names.join(" or ");
    if let Some(key) = first_set(&env.key, variable) {
        let absent: Vec<String> = absent(provider, env, variable).map(|n| wanted(n)).collect();
        let more = absent.join(" and ");
        let text = format!("{key} is set; {title} also needs {more}");
        return (!absent.is_empty()).then_some(text);
    }
    let key = wanted(&env.key);
    if let Some(name) = first_set(&env.later, variable) {
        return Some(format!("{name} is set, which is not supported yet; {title} needs {key}"));
    }
    // A region alone may be meant for anything.
    let endpoints = env.account.iter().filter(|(field, _)| field.ends_with("_endpoint"));
    let name = endpoints.filter_map(|(_, names)| first_set(names, variable)).next()?;
    Some(format!("{name} is set; {title} also needs {key}"))
}

/// The variables of those required fields that have no value.
fn absent<'a>(
    provider: &'a Provider,
    env: &'a Discovery,
    variable: &'a Variable<'_>,
) -> impl Iterator<Item = &'a Vec<String>> {
    let names = provider.account_required.iter().filter_map(|field| env.account.get(field));
    names.filter(|names| first_set(names, variable).is_none())
}

fn first_set<'a>(names: &'a [String], variable: &Variable<'_>) -> Option<&'a String> {
    names.iter().find(|name| variable(name).is_some())
}

/// Azure's variables may name the path of one API below the resource's address.
fn field_value(field: &str, value: &str) -> String {
    let value = value.trim_end_matches('/');
    if !field.ends_with("_endpoint") {
        return value.to_owned();
    }
    let apis = ["/openai/v1", "/models"];
    apis.iter().find_map(|api| value.strip_suffix(api)).unwrap_or(value).to_owned()
}

/// Addresses of servers that usually run on this machine.
pub(crate) fn usual_addresses() -> impl Iterator<Item = String> {
    providers()
        .iter()
        .flat_map(|provider| &provider.local_servers)
        .map(|server| format!("http://127.0.0.1:{}", server.port))
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    owned_by: String,
}

/// Asks the server at `address` (with or without `/v1`) for its models; `None` when it has none.
pub(crate) async fn probe(address: &str) -> Option<Found> {
    let base = address.trim_end_matches('/').trim_end_matches("/v1");
    let url = format!("{base}/v1/models");
    let headers = HeaderMap::new();
    let (method, body, timeout) = (Method::GET, Bytes::new(), PROBE_TIMEOUT);
    let answer = call(Call { method, url: &url, headers, body, timeout }).await.ok()?;
    let listing: Listing = serde_json::from_slice(&answer.body).ok()?;
    let first = listing.data.first().filter(|_| answer.status.is_success())?;
    let (provider, account) = kind(&first.owned_by);
    Some(Found {
        provider,
        account: account.to_owned(),
        by: base.to_owned(),
        credential: None,
        fields: Vec::new(),
        model_fields: Vec::new(),
        models: listing.data.into_iter().map(|model| model.id).collect(),
        local_url: Some(format!("{base}/v1")),
    })
}

/// Provider and account name by what a server calls the owner of its models.
fn kind(owned_by: &str) -> (&'static str, &'static str) {
    match owned_by {
        "llamacpp" => ("self-hosted-model", "llama-cpp"),
        "vllm" => ("self-hosted-model", "vllm"),
        "library" => ("ollama", "ollama"),
        _ => ("self-hosted-model", "local"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables of a process, spelled `NAME=value`.
    fn lookup<'a>(set: &'a [&'a str]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let pairs = set.iter().filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        }
    }

    #[test]
    fn what_is_set_by_half_is_not_found_and_says_what_is_missing() {
        let azure = "https://x.openai.azure.com";
        let cases: [(&[&str], &str); 7] = [
            (
                &["AZURE_OPENAI_API_KEY=k"],
                "AZURE_OPENAI_API_KEY is set; Azure OpenAI also needs AZURE_OPENAI_ENDPOINT",
            ),
            (
                &[&format!("AZURE_OPENAI_ENDPOINT={azure}")],
                "AZURE_OPENAI_ENDPOINT is set; Azure OpenAI also needs AZURE_OPENAI_API_KEY",
            ),
            (
                &["AZURE_INFERENCE_CREDENTIAL=k"],
                "AZURE_INFERENCE_CREDENTIAL is set; Microsoft Foundry also needs \
                 AZURE_AI_ENDPOINT or AZURE_INFERENCE_ENDPOINT",
            ),
            (
                &["AWS_BEARER_TOKEN_BEDROCK=k"],
                "AWS_BEARER_TOKEN_BEDROCK is set; AWS Bedrock also needs AWS_REGION or \
                 AWS_DEFAULT_REGION",
            ),
            (
                &["AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=s", "AWS_REGION=eu-west-1"],
                "AWS_ACCESS_KEY_ID is set, which is not supported yet; AWS Bedrock needs \
                 AWS_BEARER_TOKEN_BEDROCK",
            ),
            (&["AWS_REGION=eu-west-1"], ""),
            (&["OPENAI_BASE_URL=http://127.0.0.1:1/v1"], ""),
        ];
        for (set, expected) in cases {
            let variable = lookup(set);
            assert_eq!(from_environment(&variable), [], "{set:?}");
            assert_eq!(half_set(&variable).join("; "), expected, "{set:?}");
        }
    }

    #[test]
    fn azure_and_bedrock_are_found_under_each_of_their_names() {
        let foundry = "https://x.services.ai.azure.com";
        let cases: [(&[&str], &str, &str); 4] = [
            (
                &["AZURE_AI_API_KEY=k", &format!("AZURE_AI_ENDPOINT={foundry}/openai/v1/")],
                "microsoft-foundry",
                foundry,
            ),
            (
                &[
                    "AZURE_INFERENCE_CREDENTIAL=k",
                    &format!("AZURE_INFERENCE_ENDPOINT={foundry}/models"),
                ],
                "microsoft-foundry",
                foundry,
            ),
            (
                &["AZURE_OPENAI_API_KEY=k", &format!("AZURE_OPENAI_ENDPOINT={foundry}")],
                "azure-openai",
                foundry,
            ),
            (
                &["AWS_BEARER_TOKEN_BEDROCK=k", "AWS_DEFAULT_REGION=eu-west-1"],
                "aws-bedrock",
                "eu-west-1",
            ),
        ];
        for (set, provider, value) in cases {
            let variable = lookup(set);
            let found = from_environment(&variable);
            assert_eq!(found.len(), 1, "{set:?}");
            assert_eq!((found[0].provider, found[0].fields[0].1.as_str()), (provider, value));
            assert_eq!(half_set(&variable), [""; 0], "{set:?}");
        }
    }
}
