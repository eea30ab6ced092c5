//! A model's upstream, compiled from its manifest: address, paths, headers, dialect.

use crate::auth::{self, Resolve};
use gantry_cloud::sign::percent_encoded;
use gantry_http::endpoint::{self, Endpoint};
use gantry_http::http1::FieldLines;
use gantry_http::tls::TlsSettings;
use gantry_kinds::catalogue::{self, Provider, UrlStyle};
use gantry_kinds::kinds::ProviderAccount;
use gantry_kinds::kinds::common::is_own_header;
use gantry_kinds::kinds::provider_account::ModelIntegration;
use gantry_model::facts::Dialect;
use http::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

/// What an upstream can be asked, by its own dialect's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    Completion,
    Embedding,
    Messages,
    CountTokens,
}

impl Operation {
    /// All of them, in the order of their definition.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Completion, Self::Embedding, Self::Messages, Self::CountTokens];

    /// Path below the dialect's base.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completion => "completions",
            Self::Embedding => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "messages/count_tokens",
        }
    }
}

/// Everything that stays the same from call to call.
#[derive(Debug)]
pub struct Upstream {
    pub provider: &'static Provider,
    pub dialect: Dialect,
    pub endpoint: Endpoint,
    /// `host`, credential and the manifest's own headers.
    pub headers: HeaderMap,
    /// The same as they go out.
    pub lines: FieldLines,
    /// By operation, in the order of [`Operation::ALL`].
    addresses: [Address; Operation::ALL.len()],
}

/// Where one operation is found.
#[derive(Debug)]
struct Address {
    path: PathAndQuery,
    /// Scheme, host and path, for people.
    url: String,
}

/// Why a model's manifest gives no upstream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("find the provider `{0}` in the catalogue")]
    Provider(String),
    #[error("find an address: `{0}` is missing")]
    Address(&'static str),
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    #[error(transparent)]
    Auth(#[from] auth::Error),
    #[error("use the header `{0}`")]
    Header(String),
    #[error("build the path of a call")]
    Path(#[from] http::Error),
}

impl Upstream {
    /// Compiles one model of an account.
    ///
    /// # Errors
    /// When address, header or credential are missing or unusable.
    pub fn compile(
        account: &ProviderAccount,
        model: &ModelIntegration,
        resolve: &Resolve<'_>,
    ) -> Result<Self, Error> {
        let name = account.provider();
        let provider = catalogue::provider(name).ok_or_else(|| Error::Provider(name.to_owned()))?;
        let url = address(provider, account, model)?;
        let tls = model.tls_settings.as_ref().map(|tls| TlsSettings {
            reject_unauthorized: tls.reject_unauthorized,
            ca_cert: tls.ca_cert.clone(),
        });
        let endpoint = Endpoint::parse(&url, tls.as_ref())?;
        let (prefix, query) = match provider.url_style {
            UrlStyle::Plain => (plain_prefix(provider, &endpoint), String::new()),
            UrlStyle::Azure => azure_prefix(model, &endpoint),
        };
        let mut headers = HeaderMap::new();
        if let Some(auth) = model.auth_data.as_ref().or(account.auth_data.as_ref())
            && let Some((name, value)) = auth::header(provider.auth_scheme, auth, resolve)?
        {
            headers.insert(name, value);
        }
        for (name, value) in &model.headers {
            if is_own_header(name.as_bytes()) {
                tracing::warn!(header = %name, "a header that Gantry writes itself, left out");
                continue;
            }
            let value = auth::clear(value, resolve)?;
            let value = auth::sensitive(value.expose())?;
            let name = name.parse::<HeaderName>().map_err(|_| Error::Header(name.clone()))?;
            headers.insert(name, value);
        }
        let addresses = addresses(&endpoint, &prefix, &query)?;
        // Replies are read, and not unpacked (RFC 9110, section 12.5.3: unsaid, any will do).
        let plain = HeaderValue::from_static("identity");
        headers.insert(ACCEPT_ENCODING, plain);
        let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        let lines = headers.iter().collect();
        Ok(Self { provider, dialect: provider.dialect, endpoint, headers, lines, addresses })
    }

    /// Whether it sets this header itself, in any case of letters. It sets few, so that looking at
    /// each is the quickest.
    #[must_use]
    pub fn sets(&self, name: &[u8]) -> bool {
        self.headers.keys().any(|own| name.eq_ignore_ascii_case(own.as_str().as_bytes()))
    }

    /// Path and query of an operation.
    #[must_use]
    pub fn path(&self, operation: Operation) -> &PathAndQuery {
        &self.address(operation).path
    }

    /// Scheme, host and path of an operation, for people.
    #[must_use]
    pub fn url(&self, operation: Operation) -> &str {
        &self.address(operation).url
    }

    fn address(&self, operation: Operation) -> &Address {
        let [chat, completion, embedding, messages, count_tokens] = &self.addresses;
        match operation {
            Operation::Chat => chat,
            Operation::Completion => completion,
            Operation::Embedding => embedding,
            Operation::Messages => messages,
            Operation::CountTokens => count_tokens,
        }
    }
}

fn addresses(
    endpoint: &Endpoint,
    prefix: &str,
    query: &str,
) -> Result<[Address; Operation::ALL.len()], http::Error> {
    let address = |operation: Operation| {
        let path = PathAndQuery::try_from(format!("{prefix}{}{query}", operation.path()))?;
        let url = format!("{}{}", endpoint.origin(), path.path());
        Ok::<_, http::Error>(Address { path, url })
    };
    let [chat, completion, embedding, messages, count_tokens] = Operation::ALL;
    Ok([
        address(chat)?,
        address(completion)?,
        address(embedding)?,
        address(messages)?,
        address(count_tokens)?,
    ])
}

fn address(
    provider: &Provider,
    account: &ProviderAccount,
    model: &ModelIntegration,
) -> Result<String, Error> {
    let given = match provider.url_style {
        UrlStyle::Azure => model
            .azure_endpoint
            .as_ref()
            .or(account.azure_endpoint.as_ref())
            .or(account.openai_endpoint.as_ref()),
        UrlStyle::Plain => model.url.as_ref(),
    };
    let missing = match provider.url_style {
        UrlStyle::Azure => "azure_endpoint",
        UrlStyle::Plain => "base_url",
    };
    let url = given.or(account.base_url.as_ref()).or(provider.base_url.as_ref());
    let url = url.ok_or(Error::Address(missing))?;
    Ok(match &account.region {
        Some(region) => url.replace("{region}", region),
        None => url.clone(),
    })
}

/// An address without a path means the provider's usual one: `/v1` for servers of one's own.
fn plain_prefix(provider: &Provider, endpoint: &Endpoint) -> String {
    let usual = match &provider.base_url {
        Some(url) => url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(_, path)| format!("/{}", path.trim_end_matches('/')))
            .unwrap_or_default(),
        None => "/v1".to_owned(),
    };
    let base = if endpoint.base_path.is_empty() { usual } else { endpoint.base_path.clone() };
    match provider.dialect {
        Dialect::Anthropic if !base.ends_with("/v1") => format!("{base}/v1/"),
        Dialect::Anthropic | Dialect::OpenAi => format!("{base}/"),
    }
}

/// Azure's two URL styles: dated versions name the deployment in the path, `/openai/v1` in the
/// body.
fn azure_prefix(model: &ModelIntegration, endpoint: &Endpoint) -> (String, String) {
    let base = endpoint.base_path.trim_end_matches("/v1").trim_end_matches("/openai");
    match model.api_version.as_deref() {
        None | Some("" | "v1") => (format!("{base}/openai/v1/"), String::new()),
        Some("preview" | "latest") => {
            (format!("{base}/openai/v1/"), "?api-version=preview".to_owned())
        }
        Some(version) => (
            format!("{base}/openai/deployments/{}/", percent_encoded(model.upstream_name(), "")),
            format!("?api-version={}", percent_encoded(version, "")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployments_name_is_one_segment_of_the_path() {
        let endpoint = Endpoint::parse("https://x.openai.azure.com", None).unwrap();
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
            let (prefix, query) = azure_prefix(&model, &endpoint);
            assert_eq!(prefix, format!("/openai/deployments/{segment}/"));
            assert_eq!(query, "?api-version=1%26x");
            assert!(addresses(&endpoint, &prefix, &query).is_ok());
        }
    }
}
