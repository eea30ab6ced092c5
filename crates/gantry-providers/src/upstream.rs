//! A model's upstream, compiled from its entry in a snapshot: address, paths, headers, dialect.

use crate::auth::{self, Resolve};
use gantry_cloud::sign::percent_encoded;
use gantry_http::endpoint::{self, Endpoint};
use gantry_http::http1::FieldLines;
use gantry_http::tls::TlsSettings;
use gantry_llm::dialect::Dialect;
use gantry_llm::operation::{Apis, Exchange, Meaning, Operation};
use gantry_model::snapshot::{UpstreamEntry, is_own_header};
use http::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

/// Everything that stays the same from call to call.
#[derive(Debug)]
pub struct Upstream {
    /// The provider's name, for records.
    pub provider: String,
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

/// Why a model's entry gives no upstream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("speak `{0}`: this release does not know that dialect; a newer one may")]
    Dialect(String),
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
    /// Compiles one model's entry.
    ///
    /// # Errors
    /// When `apis` lacks its dialect, or address, header or credential are unusable.
    pub fn compile(
        entry: &UpstreamEntry,
        resolve: &Resolve<'_>,
        apis: &Apis,
    ) -> Result<Self, Error> {
        let dialect = apis.dialects.by_name(&entry.dialect);
        let dialect = dialect.ok_or_else(|| Error::Dialect(entry.dialect.clone()))?;
        let tls = entry.tls.as_ref().map(|tls| TlsSettings {
            reject_unauthorized: tls.reject_unauthorized,
            ca_cert: tls.ca_cert.clone(),
        });
        let endpoint = Endpoint::parse(&entry.url, tls.as_ref())?;
        let mut headers = HeaderMap::new();
        for header in &entry.headers {
            let name = &header.name;
            if is_own_header(name.as_bytes()) {
                tracing::warn!(header = %name, "a header that Gantry writes itself, left out");
                continue;
            }
            let value = auth::header(&header.value, resolve)?;
            let name = name.parse::<HeaderName>().map_err(|_| Error::Header(name.clone()))?;
            headers.insert(name, value);
        }
        let offers = offers(apis, dialect, &|path: &str| address(&endpoint, entry, path))?;
        // Replies are read, and not unpacked (RFC 9110, section 12.5.3: unsaid, any will do).
        let plain = HeaderValue::from_static("identity");
        headers.insert(ACCEPT_ENCODING, plain);
        let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        let lines = headers.iter().collect();
        let provider = entry.provider.clone();
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

/// The address of a path, in which `{model}` becomes one segment.
fn address(endpoint: &Endpoint, entry: &UpstreamEntry, path: &str) -> Result<Address, http::Error> {
    let path = path.replace("{model}", &percent_encoded(&entry.model, ""));
    let query = match path.contains('?') {
        true => entry.query.replacen('?', "&", 1),
        false => entry.query.clone(),
    };
    let path = PathAndQuery::try_from(format!("{}{path}{query}", entry.prefix))?;
    let url = format!("{}{}", endpoint.origin(), path.path());
    Ok(Address { path, url })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_llm::dialect::Dialects;
    use gantry_llm::operation::Operations;
    use serde_json::json;

    fn entry(model: &str, query: &str) -> UpstreamEntry {
        let entry = json!({
            "provider": "x", "dialect": "openai", "url": "https://x", "prefix": "/v1/",
            "query": query, "model": model,
        });
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn a_model_in_the_path_is_one_segment_and_queries_are_joined() {
        let endpoint = Endpoint::parse("https://x", None).unwrap();
        let template = "models/{model}:streamGenerateContent?alt=sse";
        for (query, expected) in [
            ("", "/v1/models/a%2Fb:streamGenerateContent?alt=sse"),
            ("?v=1", "/v1/models/a%2Fb:streamGenerateContent?alt=sse&v=1"),
        ] {
            let address = address(&endpoint, &entry("a/b", query), template).unwrap();
            assert_eq!(address.path, expected);
            assert_eq!(address.url, "https://x/v1/models/a%2Fb:streamGenerateContent");
        }
    }

    #[test]
    fn an_entry_whose_dialect_is_not_known_gives_no_upstream() {
        let (dialects, operations) = (Dialects::default(), Operations::standard());
        let apis = Apis { dialects, operations };
        let error = Upstream::compile(&entry("m", ""), &|_| None, &apis).unwrap_err();
        assert!(matches!(error, Error::Dialect(name) if name == "openai"));
    }
}
