//! A model's upstream, compiled from its entry in a snapshot: address, paths, headers, dialect.

use crate::auth::{self, Resolve};
use gantry_http::endpoint::{self, Endpoint};
use gantry_http::http1::FieldLines;
use gantry_http::tls::TlsSettings;
use gantry_model::facts::Dialect;
use gantry_model::snapshot::{UpstreamEntry, is_own_header};
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
    /// The provider's name, for records.
    pub provider: String,
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

/// The dialect with a name.
fn dialect(name: &str) -> Result<Dialect, Error> {
    match name {
        "openai" => Ok(Dialect::OpenAi),
        "anthropic" => Ok(Dialect::Anthropic),
        _ => Err(Error::Dialect(name.to_owned())),
    }
}

impl Upstream {
    /// Compiles one model's entry.
    ///
    /// # Errors
    /// When its dialect is not known, or address, header or credential are unusable.
    pub fn compile(entry: &UpstreamEntry, resolve: &Resolve<'_>) -> Result<Self, Error> {
        let dialect = dialect(&entry.dialect)?;
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
        let addresses = addresses(&endpoint, &entry.prefix, &entry.query)?;
        // Replies are read, and not unpacked (RFC 9110, section 12.5.3: unsaid, any will do).
        let plain = HeaderValue::from_static("identity");
        headers.insert(ACCEPT_ENCODING, plain);
        let host = HeaderValue::from_str(&endpoint.authority).map_err(http::Error::from)?;
        headers.insert(HOST, host);
        let lines = headers.iter().collect();
        let provider = entry.provider.clone();
        Ok(Self { provider, dialect, endpoint, headers, lines, addresses })
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
