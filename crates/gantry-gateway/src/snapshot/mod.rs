//! The compiled snapshot: everything a decision on the request path needs, immutable, in memory.
//!
//! [`compile`] makes it from what the control plane published; a request keeps the one it began
//! with.

mod access;
mod compile;
mod entries;
mod served;

pub use access::Access;
pub use compile::compile;
pub use served::ServedPrices;

use crate::route::health::Health;
use gantry_llm::dialect::Dialect;
use gantry_model::facts::{Claude, ModelTraits, Quirks};
use gantry_model::ids::{Generation, UnixMs};
use gantry_model::price::ModelPrice;
pub use gantry_model::snapshot::Strategy;
use gantry_model::snapshot::{Caller, Digests, LoggingSettings, ModelType, RetryConfig, SlaCutoff};
use gantry_providers::upstream::Upstream;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::sync::Arc;

/// One tenant's state, compiled.
#[derive(Debug)]
pub struct Snapshot {
    pub generation: Generation,
    pub tenant: String,
    pub keys: Arc<Keys>,
    /// By every name a caller may use: `account/model`, slugs, aliases and short names.
    pub models: Arc<Models>,
    pub retry: Option<RetryConfig>,
    pub logging: Option<LoggingSettings>,
    /// Of the sections that it was compiled of.
    pub digests: Digests,
}

/// Tokens by their SHA-256 digest.
///
/// Callers look up and never insert, so that a quick hash is safe here, as in [`Models`].
pub type Keys = HashMap<[u8; 32], Key, foldhash::fast::RandomState>;

/// Entries by name.
pub type Models = HashMap<String, Entry, foldhash::fast::RandomState>;

/// A live token.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: Arc<str>,
    pub caller: Arc<Caller>,
    pub expires_at_ms: Option<UnixMs>,
}

/// What a model name stands for.
#[derive(Clone, Debug)]
pub enum Entry {
    Real(Arc<Model>),
    Virtual(Arc<Virtual>),
    /// Defined, but without a usable upstream; says why.
    Broken(Arc<Broken>),
}

impl Entry {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Real(model) => &model.id,
            Self::Virtual(model) => &model.id,
            Self::Broken(model) => &model.id,
        }
    }

    #[must_use]
    pub fn access(&self) -> &Access {
        match self {
            Self::Real(model) => &model.access,
            Self::Virtual(model) => &model.access,
            Self::Broken(model) => &model.access,
        }
    }

    #[must_use]
    pub fn types(&self) -> &[ModelType] {
        match self {
            Self::Real(model) => &model.types,
            Self::Virtual(model) => &model.types,
            Self::Broken(_) => &[],
        }
    }
}

/// A model served by one upstream.
#[derive(Debug)]
pub struct Model {
    /// `account/model`.
    pub id: String,
    /// The same as a header's value; `None` when it cannot stand in one.
    pub id_header: Option<HeaderValue>,
    pub upstream: Upstream,
    /// The name sent upstream.
    pub upstream_model: String,
    /// The same as a JSON string, ready to be spliced in.
    pub upstream_model_json: Vec<u8>,
    /// Where the upstream differs from its dialect's reference.
    pub quirks: Quirks,
    /// What is known of the model.
    pub traits: Option<ModelTraits>,
    /// The same for an upstream that speaks Messages.
    pub claude: Claude,
    /// Empty: not restricted.
    pub types: Vec<ModelType>,
    pub price: Option<ModelPrice>,
    /// Where it has no price itself, those of the models that may answer in its place.
    pub served_prices: Option<ServedPrices>,
    pub access: Access,
    /// What lists show of it.
    pub listing: Listing,
    pub health: Arc<Health>,
}

/// What lists show of a model beside its name.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub title: Option<String>,
    /// Of its release by the vendor.
    pub released_ms: Option<UnixMs>,
}

impl Model {
    #[must_use]
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.upstream.dialect
    }

    #[must_use]
    pub fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    /// Its own price, else that of the model which the upstream says has answered.
    #[must_use]
    pub fn price_of(&self, served: Option<&str>) -> Option<&ModelPrice> {
        let asked = (self.id.as_str(), self.upstream.provider.as_str());
        let other = || self.served_prices.as_ref()?.get(asked, served?);
        self.price.as_ref().or_else(other)
    }
}

/// A model name that stands for several targets.
#[derive(Debug)]
pub struct Virtual {
    pub id: String,
    /// The rule as JSON for a header of the reply.
    pub applied: Option<HeaderValue>,
    /// Why its targets are considered, for the record of a request.
    pub reason: String,
    pub types: Vec<ModelType>,
    pub access: Access,
    pub strategy: Strategy,
    pub targets: Vec<Target>,
}

/// One choice of a virtual model.
#[derive(Debug)]
pub struct Target {
    pub entry: Entry,
    /// What tells it from every other choice of any virtual model in draws.
    pub lot: u64,
    pub weight: u32,
    pub priority: u32,
    pub policy: Arc<Policy>,
}

/// What a target's manifest changes about a call and its failures.
#[derive(Debug, Default)]
pub struct Policy {
    /// `None`: the tenant's setting, else the default.
    pub retry: Option<RetryConfig>,
    pub fallback_codes: Option<Vec<u16>>,
    pub fallback_candidate: bool,
    /// Top-level fields with their JSON text.
    pub override_params: Vec<(String, Vec<u8>)>,
    pub set_headers: HeaderMap,
    pub remove_headers: Vec<HeaderName>,
    pub metadata_match: Vec<(String, String)>,
    pub sla: Option<SlaCutoff>,
    pub strict: bool,
}

impl Policy {
    /// Whether it sets or removes this header, in any case of letters.
    pub(crate) fn rules(&self, name: &[u8]) -> bool {
        let mut own = self.set_headers.keys().chain(&self.remove_headers);
        own.any(|own| name.eq_ignore_ascii_case(own.as_str().as_bytes()))
    }
}

/// A model that cannot be called, with the reason for whoever runs the gateway.
#[derive(Debug)]
pub struct Broken {
    pub id: String,
    pub reason: String,
    pub access: Access,
}
