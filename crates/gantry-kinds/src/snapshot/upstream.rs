//! Where a model of an account is served: address, paths and headers, by the catalogue's row.

use crate::catalogue::{self, AuthScheme, Provider, UrlStyle};
use crate::kinds::ProviderAccount;
use crate::kinds::common::AuthData;
use crate::kinds::provider_account::ModelIntegration;
use gantry_model::facts::{Claude, Quirks};
use gantry_model::snapshot::{HeaderEntry, HeaderText, TlsEntry, UpstreamEntry, is_own_header};

/// The dialect of which the catalogue knows what each generation of models takes.
const MESSAGES: &str = "anthropic";

/// Why a model's manifest gives no upstream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("find the provider `{0}` in the catalogue")]
    Provider(String),
    #[error("find an address: `{0}` is missing")]
    Address(&'static str),
}

/// Compiles one model of an account whose secrets are references.
pub(super) fn compile(
    account: &ProviderAccount,
    model: &ModelIntegration,
) -> Result<UpstreamEntry, Error> {
    let name = account.provider();
    let provider = catalogue::provider(name).ok_or_else(|| Error::Provider(name.to_owned()))?;
    let url = address(provider, account, model)?;
    let (prefix, query) = match provider.url_style {
        UrlStyle::Plain => (plain_prefix(provider, path(&url)), String::new()),
        UrlStyle::Azure => azure_prefix(model, path(&url)),
    };
    let upstream_name = model.upstream_name();
    Ok(UpstreamEntry {
        provider: provider.name.clone(),
        dialect: provider.dialect.as_str().to_owned(),
        prefix,
        query,
        tls: model.tls_settings.as_ref().map(|tls| TlsEntry {
            reject_unauthorized: tls.reject_unauthorized,
            ca_cert: tls.ca_cert.clone(),
        }),
        headers: headers(provider, account, model),
        model: upstream_name.to_owned(),
        traits: provider.quirks.model(upstream_name).cloned(),
        // What is known of other models stays here.
        quirks: Quirks { models: Vec::new(), ..provider.quirks.clone() },
        claude: match provider.dialect.as_str() {
            MESSAGES => catalogue::claude(upstream_name).clone(),
            _ => Claude::default(),
        },
        url,
    })
}

/// The credential's header, then the manifest's own, which win.
fn headers(
    provider: &Provider,
    account: &ProviderAccount,
    model: &ModelIntegration,
) -> Vec<HeaderEntry> {
    let auth = model.auth_data.as_ref().or(account.auth_data.as_ref());
    let own = model.headers.iter().filter(|(name, _)| !is_own_header(name.as_bytes()));
    let own = own.map(|(name, value)| HeaderEntry {
        name: name.clone(),
        value: HeaderText::Plain { secret: value.expose().to_owned() },
    });
    auth.and_then(|auth| credential(provider.auth_scheme, auth)).into_iter().chain(own).collect()
}

fn credential(scheme: AuthScheme, auth: &AuthData) -> Option<HeaderEntry> {
    let (name, value) = match auth {
        AuthData::BasicAuth { username, password } => {
            let (user, secret) = (username.clone(), password.expose().to_owned());
            ("authorization", HeaderText::Basic { user, secret })
        }
        AuthData::BearerAuth { bearer_token } => {
            ("authorization", HeaderText::Bearer { secret: bearer_token.expose().to_owned() })
        }
        AuthData::ApiKey { api_key } => {
            let secret = api_key.expose().to_owned();
            match scheme {
                AuthScheme::Bearer => ("authorization", HeaderText::Bearer { secret }),
                AuthScheme::ApiKey => ("api-key", HeaderText::Plain { secret }),
                AuthScheme::XApiKey => ("x-api-key", HeaderText::Plain { secret }),
                AuthScheme::None => return None,
            }
        }
    };
    Some(HeaderEntry { name: name.to_owned(), value })
}

fn address(
    provider: &Provider,
    account: &ProviderAccount,
    model: &ModelIntegration,
) -> Result<String, Error> {
    let missing = match provider.url_style {
        UrlStyle::Azure => "azure_endpoint",
        UrlStyle::Plain => "base_url",
    };
    let given = account.given_address(model, provider.url_style);
    let url = given.or(provider.base_url.as_deref()).ok_or(Error::Address(missing))?;
    Ok(match &account.region {
        Some(region) => url.replace("{region}", region),
        None => url.to_owned(),
    })
}

/// The path of an address, without a slash at its end.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().trim_end_matches('/')
}

/// An address without a path means the provider's usual one: `/v1` for servers of one's own.
fn plain_prefix(provider: &Provider, given: &str) -> String {
    let usual = provider.base_url.as_deref().map_or("/v1", path);
    let base = if given.is_empty() { usual } else { given };
    let version = provider.version_path.as_str();
    let missing = if base.ends_with(version) { "" } else { version };
    format!("{base}{missing}/")
}

/// Azure's two URL styles: dated versions name the deployment in the path, `/openai/v1` in the
/// body.
fn azure_prefix(model: &ModelIntegration, given: &str) -> (String, String) {
    let base = given.trim_end_matches("/v1").trim_end_matches("/openai");
    match model.api_version.as_deref() {
        None | Some("" | "v1") => (format!("{base}/openai/v1/"), String::new()),
        Some("preview" | "latest") => {
            (format!("{base}/openai/v1/"), "?api-version=preview".to_owned())
        }
        Some(version) => (
            format!("{base}/openai/deployments/{}/", segment(model.upstream_name())),
            format!("?api-version={}", segment(version)),
        ),
    }
}

/// A text as one segment of a path, or one value of a query (RFC 3986, section 2.3).
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployments_name_is_one_segment_of_the_path() {
        let cases = [
            ("gpt-4o_1.~", "gpt-4o_1.~"),
            ("gpt?x", "gpt%3Fx"),
            ("../gpt#x y", "..%2Fgpt%23x%20y"),
            ("a%2Fb", "a%252Fb"),
        ];
        for (name, segment) in cases {
            let manifest = format!(
                r#"{{"type": "x", "name": "x", "model_id": "{name}", "api_version": "1&x"}}"#
            );
            let model = serde_json::from_str(&manifest).unwrap();
            let (prefix, query) = azure_prefix(&model, "");
            assert_eq!(prefix, format!("/openai/deployments/{segment}/"));
            assert_eq!(query, "?api-version=1%26x");
        }
    }

    #[test]
    fn the_path_of_an_address_is_what_follows_its_host() {
        for (url, expected) in [
            ("https://x.example", ""),
            ("https://x.example/", ""),
            ("https://x.example/v1/", "/v1"),
            ("https://x.example:8/a/b?c=/d", "/a/b"),
            ("http://[::1]:8000/v1#x", "/v1"),
        ] {
            assert_eq!(path(url), expected, "{url}");
        }
    }
}
