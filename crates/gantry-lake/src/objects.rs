//! Object stores: S3 and what speaks its language, and Azure Blob Storage.
//!
//! [`crate::store`] opens one by the lake's address; ingestion, merging and DataFusion reach it as
//! an [`object_store::ObjectStore`]. It has what the lake uses and refuses the rest: objects are
//! written whole, read whole or in ranges, listed and deleted. It keeps no state but connections
//! and lent keys, and never prints a secret.

mod address;
mod azure;
mod error;
mod remote;
mod s3;
#[cfg(test)]
mod tests;

pub use address::check_address;
pub(crate) use address::{Address, Location, locate, shown};
pub use error::Error;
pub(crate) use remote::Remote;

use gantry_http::client::Answer;
use gantry_http::endpoint::Endpoint;
use gantry_runtime::errors::sentence;
use http::{HeaderMap, Method};

/// One request to a store, not yet signed.
#[derive(Clone, Debug)]
struct Ask {
    method: Method,
    /// Path of the object in the bucket, not encoded; empty for the bucket itself.
    key: String,
    /// Not encoded.
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Ask {
    fn new(method: Method, key: &str) -> Self {
        let (query, headers) = Default::default();
        Self { method, key: key.to_owned(), query, headers, body: bytes::Bytes::new() }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

/// A request as it goes out. It carries secrets, in the URL too, and so it is never printed.
struct Signed {
    url: String,
    headers: HeaderMap,
}

/// Part of a listing.
#[derive(Debug, Default)]
struct Page {
    objects: Vec<Listed>,
    /// What asks for the next part; none after the last.
    next: Option<String>,
}

/// One object of a listing, as the store spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    key: String,
    bytes: u64,
    e_tag: Option<String>,
    /// When it was last written, by the store's clock.
    modified: time::OffsetDateTime,
}

/// What a listing begins with, after which key, and where its last part ended.
#[derive(Clone, Debug, Default)]
struct Span {
    prefix: String,
    after: Option<String>,
    next: Option<String>,
}

/// What differs between the stores.
#[derive(Debug)]
enum Service {
    S3(s3::S3),
    Azure(azure::Azure),
}

impl Service {
    /// The store in messages.
    fn name(&self) -> &str {
        match self {
            Self::S3(s3) => s3.name(),
            Self::Azure(azure) => azure.name(),
        }
    }

    async fn signed(&self, ask: &Ask, now_ms: u64) -> Result<Signed, Error> {
        match self {
            Self::S3(s3) => s3.signed(ask, now_ms).await,
            Self::Azure(azure) => azure.signed(ask, now_ms).await,
        }
    }

    /// The request for a part of a listing.
    fn list(&self, span: &Span) -> Ask {
        match self {
            Self::S3(_) => s3::list(span),
            Self::Azure(_) => azure::list(span),
        }
    }

    /// Reads a part of a listing; `None` for what is none.
    fn page(&self, answer: &Answer) -> Option<Page> {
        match self {
            Self::S3(_) => s3::page(&answer.body),
            Self::Azure(_) => azure::page(&answer.body),
        }
    }

    /// The request that stores an object whole.
    fn put(&self, key: &str, body: bytes::Bytes) -> Ask {
        let mut ask = Ask { body, ..Ask::new(Method::PUT, key) };
        if let Self::Azure(_) = self {
            azure::as_block_blob(&mut ask.headers);
        }
        ask
    }

    /// What to do about a refusal with this code.
    fn advice(&self, code: &str, headers: &HeaderMap) -> String {
        match self {
            Self::S3(s3) => s3.advice(code, headers),
            Self::Azure(azure) => azure.advice(code),
        }
    }
}

/// The address that a store's keys are below.
fn base(store: &str, url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url, None)
        .map_err(|error| Error::Unusable { store: store.to_owned(), why: sentence(&error) })
}
