//! The contract between control plane and gateways: everything that a gateway serves from.
//!
//! The control plane compiles manifests into it (`gantry-kinds`), a gateway compiles it into what
//! its request path reads. It is made of named sections with a digest each, so that a change ships
//! and recompiles the sections that it touches. The envelope (generation, tenant, sections with
//! version, digest and entries; secrets) stays as it is for good; entries grow. What a gateway does
//! not know makes that entry unusable, never the snapshot: a key that cannot be read is no key, a
//! model that cannot be read keeps its name and is refused. Hence two rules for whoever writes
//! entries: a field with its usual value is left out, and a new field may not change what the
//! fields beside it mean.

mod access;
mod keys;
mod listings;
mod models;
mod routes;
mod section;
mod settings;
mod sparse;
#[cfg(test)]
mod tests;
mod values;

pub use access::{AccessEntry, AccessList, AccessLookup, granted_all};
pub use keys::{Caller, JwtKey, KeyEntry};
pub use listings::ListingEntry;
pub use models::{
    HeaderEntry, HeaderText, ModelEntry, ModelType, TlsEntry, UpstreamEntry, is_own_header,
};
pub use routes::{
    Param, RouteEntry, SessionIdentifier, SessionSource, SlaCutoff, StickyRouting, Strategy,
    TargetEntry,
};
pub use section::{Digest, Section, Unread, VERSION};
pub use settings::{LoggingSettings, RetryConfig, Setting};
pub use values::Secrets;

use crate::ids::{Generation, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Section of [`KeyEntry`]s: live tokens.
pub const KEYS: &str = "keys";
/// Section of [`AccessList`]s, which models and routes name.
pub const ACCESS: &str = "access";
/// Section of [`ModelEntry`]s: models with an upstream.
pub const MODELS: &str = "models";
/// Section of [`RouteEntry`]s: models that stand for others.
pub const ROUTES: &str = "routes";
/// Section of [`ListingEntry`]s: titles, days of release and short names of models.
pub const LISTINGS: &str = "listings";
/// Section of [`Setting`]s of the whole tenant.
pub const SETTINGS: &str = "settings";
/// Section of [`JwtKey`]s, which verify tokens that the control plane signed.
pub const JWT_KEYS: &str = "jwt_keys";
/// How [`SnapshotSource::digests`] calls the secrets.
pub const SECRETS: &str = "secrets";

/// The whole desired state of one tenant's gateways: newest wins.
///
/// It holds secrets in clear, so it may be written to disk only sealed. Clones share the sections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotSource {
    pub generation: Generation,
    pub tenant: String,
    pub published_at_ms: UnixMs,
    /// By name, unknown ones included: a gateway keeps on disk what a later release may know.
    pub sections: BTreeMap<String, Section>,
    /// Clear values of the references that entries hold.
    pub secrets: Secrets,
}

/// Digests by the names of sections: which state somebody has.
pub type Digests = BTreeMap<String, String>;

/// A section that was left out, although the receiver has another or none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("complete the snapshot: its section `{0}` was not sent")]
pub struct Incomplete(pub String);

impl SnapshotSource {
    /// Digests of all sections, the secrets under [`SECRETS`].
    #[must_use]
    pub fn digests(&self) -> Digests {
        let secrets = (SECRETS.to_owned(), self.secrets.digest.clone());
        let sections = self.sections.iter();
        sections.map(|(name, one)| (name.clone(), one.digest.clone())).chain([secrets]).collect()
    }

    /// A section by its name, as far as there is one.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    /// What a receiver lacks that has the sections with these digests.
    #[must_use]
    pub fn news(&self, have: &Digests) -> News {
        let has = |name: &str, digest: &str| have.get(name).is_some_and(|known| known == digest);
        let mut news = self.clone();
        for (name, section) in &mut news.sections {
            if has(name, &section.digest) {
                *section = section.unsent();
            }
        }
        if has(SECRETS, &news.secrets.digest) {
            news.secrets = news.secrets.unsent();
        }
        News(news)
    }
}

/// A snapshot without the sections that its receiver has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct News(SnapshotSource);

impl News {
    /// The whole snapshot, with what was left out from `old`.
    ///
    /// # Errors
    /// [`Incomplete`] when `old` does not have it; then everything has to be asked for.
    pub fn complete(self, old: &SnapshotSource) -> Result<SnapshotSource, Incomplete> {
        let mut whole = self.0;
        for (name, section) in &mut whole.sections {
            if section.is_sent() {
                continue;
            }
            let kept = old.section(name).filter(|kept| kept.digest == section.digest);
            *section = kept.cloned().ok_or_else(|| Incomplete(name.clone()))?;
        }
        if !whole.secrets.is_sent() {
            if old.secrets.digest != whole.secrets.digest {
                return Err(Incomplete(SECRETS.to_owned()));
            }
            whole.secrets = old.secrets.clone();
        }
        Ok(whole)
    }
}
