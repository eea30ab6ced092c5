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
use gantry_llm::dialect::Dialect;
use gantry_llm::operation::{Apis, Exchange, Meaning, Operation};
use http::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

/// Everything that stays the same from call to call.
#[derive(Debug)]
pub struct Upstream {
    pub provider: &'static Provider,
    pub dialect: &'static dyn Dialect,
    pub endpoint: Endpoint,
    /// `host`, credential and the manifest's own headers.
    pub headers: HeaderMap,
    /// The same as they go out.
    pub lines: FieldLines,
    /// What it can be asked: the operations of its dialect. They are few.
    offers: Vec<Offer>,
}

/// Where one operation is found.
#[derive(Debug)]
struct Offer {
    operation: &'static Operation,
    exchange: &'static Exchange,
    whole: Address,
    stream: Address,
}

/// An address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub path: PathAndQuery,
    /// Scheme, host and path, for people.
    pub url: String,
}

/// What stands around an operation's path.
#[derive(Debug, PartialEq, Eq)]
struct Around {
    /// Begins and ends with a slash.
    prefix: String,
    /// With its question mark; may be empty.
    query: String,
}

/// Why a model's manifest gives no upstream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("find the provider `{0}` in the catalogue")]
    Provider(String),
    #[error("find the dialect `{0}`: this version of Gantry does not know it")]
    Dialect(String),
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
    /// When address, header or credential are missing or unusable, or when `apis` lacks the
    /// provider's dialect.
    pub fn compile(
        account: &ProviderAccount,
        model: &ModelIntegration,
        resolve: &Resolve<'_>,
        apis: &Apis,
    ) -> Result<Self, Error> {
        let name = account.provider();
        let provider = catalogue::provider(name).ok_or_else(|| Error::Provider(name.to_owned()))?;
        let dialect = apis.dialects.by_name(provider.dialect.as_str());
        let dialect =
            dialect.ok_or_else(|| Error::Dialect(provider.dialect.as_str().to_owned()))?;
        let url = address(provider, account, model)?;
        let tls = model.tls_settings.as_ref().map(|tls| TlsSettings {
            reject_unauthorized: tls.reject_unauthorized,
            ca_cert: tls.ca_cert.clone(),
        });
        let endpoint = Endpoint::parse(&url, tls.as_ref())?;
        let around = match provider.url_style {
            UrlStyle::Plain => plain(provider, dialect, &endpoint),
            UrlStyle::Azure => azure(model, &endpoint),
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
        let offers = offers(apis, dialect, &|path: &str| around.address(&endpoint, model, path))?;
        // Replies are read, and not unpacked (RFC 9110, section 12.5.3: unsaid, any will do).
        let plain = HeaderValue::from_static("identity");
        headers.insert(ACCEPT_ENCODING, plain);
        let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        let lines = headers.iter().collect();
        Ok(Self { provider, dialect, endpoint, headers, lines, offers })
    }

    /// Whether it sets this header itself, in any case of letters. It sets few, so that looking at
    /// each is the quickest.
    #[must_use]
    pub fn sets(&self, name: &[u8]) -> bool {
        self.headers.keys().any(|own| name.eq_ignore_ascii_case(own.as_str().as_bytes()))
    }

    /// Where an operation is found; `None` when the upstream has none such.
    #[must_use]
    pub fn address(&self, operation: &Operation, stream: bool) -> Option<&Address> {
        let offer = self.offers.iter().find(|offer| std::ptr::eq(offer.operation, operation))?;
        Some(if stream { &offer.stream } else { &offer.whole })
    }

    /// Its operation of a meaning that operations of other dialects have too.
    #[must_use]
    pub fn operation_for(
        &self,
        meaning: Meaning,
    ) -> Option<(&'static Operation, &'static Exchange)> {
        let means = |offer: &&Offer| offer.exchange.elsewhere.meaning() == Some(meaning);
        let offer = self.offers.iter().find(means)?;
        Some((offer.operation, offer.exchange))
    }
}

fn offers(
    apis: &Apis,
    dialect: &dyn Dialect,
    address: &dyn Fn(&str) -> Result<Address, http::Error>,
) -> Result<Vec<Offer>, Error> {
    let offer = |(operation, exchange): (&'static Operation, &'static Exchange)| {
        let whole = address(exchange.address.whole)?;
        let stream = address(exchange.address.stream)?;
        Ok(Offer { operation, exchange, whole, stream })
    };
    apis.operations.of_dialect(dialect.name()).map(offer).collect()
}

impl Around {
    /// The address of a path, in which `{model}` becomes one segment.
    fn address(
        &self,
        endpoint: &Endpoint,
        model: &ModelIntegration,
        path: &str,
    ) -> Result<Address, http::Error> {
        let path = path.replace("{model}", &percent_encoded(model.upstream_name(), ""));
        let query = match path.contains('?') {
            true => self.query.replacen('?', "&", 1),
            false => self.query.clone(),
        };
        let path = PathAndQuery::try_from(format!("{}{path}{query}", self.prefix))?;
        let url = format!("{}{}", endpoint.origin(), path.path());
        Ok(Address { path, url })
    }
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
fn plain(provider: &Provider, dialect: &dyn Dialect, endpoint: &Endpoint) -> Around {
    let usual = match &provider.base_url {
        Some(url) => url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(_, path)| format!("/{}", path.trim_end_matches('/')))
            .unwrap_or_default(),
        None => "/v1".to_owned(),
    };
    let base = if endpoint.base_path.is_empty() { usual } else { endpoint.base_path.clone() };
    let version = dialect.version_path();
    let missing = if base.ends_with(version) { "" } else { version };
    Around { prefix: format!("{base}{missing}/"), query: String::new() }
}

/// Azure's two URL styles: dated versions name the deployment in the path, `/openai/v1` in the
/// body.
fn azure(model: &ModelIntegration, endpoint: &Endpoint) -> Around {
    let base = endpoint.base_path.trim_end_matches("/v1").trim_end_matches("/openai");
    let (below, query) = match model.api_version.as_deref() {
        None | Some("" | "v1") => ("v1".to_owned(), String::new()),
        Some("preview" | "latest") => ("v1".to_owned(), "?api-version=preview".to_owned()),
        Some(version) => (
            format!("deployments/{}", percent_encoded(model.upstream_name(), "")),
            format!("?api-version={}", percent_encoded(version, "")),
        ),
    };
    Around { prefix: format!("{base}/openai/{below}/"), query }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_llm::dialect::Dialects;
    use gantry_llm::operation::Operations;

    fn model(name: &str) -> ModelIntegration {
        let manifest =
            format!(r#"{{"type": "x", "name": "x", "model_id": "{name}", "api_version": "1&x"}}"#);
        serde_json::from_str(&manifest).unwrap()
    }

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
            let model = model(name);
            let around = azure(&model, &endpoint);
            let address = around.address(&endpoint, &model, "chat/completions").unwrap();
            let prefix = format!("/openai/deployments/{segment}/");
            let expected = format!("{prefix}chat/completions?api-version=1%26x");
            assert_eq!(address.path, expected);
            assert_eq!(around, Around { prefix, query: "?api-version=1%26x".to_owned() });
        }
    }

    #[test]
    fn a_model_in_the_path_is_one_segment_and_queries_are_joined() {
        let endpoint = Endpoint::parse("https://x", None).unwrap();
        let around = |query: &str| Around { prefix: "/v1/".to_owned(), query: query.to_owned() };
        let template = "models/{model}:streamGenerateContent?alt=sse";
        for (query, expected) in [
            ("", "/v1/models/a%2Fb:streamGenerateContent?alt=sse"),
            ("?v=1", "/v1/models/a%2Fb:streamGenerateContent?alt=sse&v=1"),
        ] {
            let address = around(query).address(&endpoint, &model("a/b"), template).unwrap();
            assert_eq!(address.path, expected);
            assert_eq!(address.url, "https://x/v1/models/a%2Fb:streamGenerateContent");
        }
    }

    #[test]
    fn a_provider_whose_dialect_is_not_known_gives_no_upstream() {
        let manifest = r#"{"type": "provider-account/openai", "name": "a", "integrations": []}"#;
        let account = serde_json::from_str(manifest).unwrap();
        let (dialects, operations) = (Dialects::default(), Operations::standard());
        let apis = Apis { dialects, operations };
        let error = Upstream::compile(&account, &model("m"), &|_| None, &apis).unwrap_err();
        assert!(matches!(error, Error::Dialect(name) if name == "openai"));
    }
}
