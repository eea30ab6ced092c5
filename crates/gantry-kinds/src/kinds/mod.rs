//! The kinds of manifest: one file each, one line here.
//!
//! A kind says its spelling, its fields and what it refers to. Store, REST, CLI, schemas and docs
//! are generic over [`Manifest`].

pub mod common;
pub mod global_settings;
pub mod provider_account;
pub mod virtual_account;
pub mod virtual_model;

pub use common::{Collaborator, OwnedBy};
pub use global_settings::GlobalSettings;
pub use provider_account::ProviderAccount;
pub use virtual_account::VirtualAccount;
pub use virtual_model::VirtualModelAccount;

use crate::catalogue;
use serde::{Deserialize, Serialize};

/// A validated manifest of any kind, as stored and published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manifest {
    ProviderAccount(Box<ProviderAccount>),
    VirtualModel(Box<VirtualModelAccount>),
    VirtualAccount(Box<VirtualAccount>),
    GlobalSettings(Box<GlobalSettings>),
}

impl Manifest {
    /// The manifest's `type`, such as `provider-account/openai`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::ProviderAccount(m) => &m.kind,
            Self::VirtualModel(_) => virtual_model::KIND,
            Self::VirtualAccount(_) => virtual_account::KIND,
            Self::GlobalSettings(_) => global_settings::KIND,
        }
    }

    /// The manifest's `name`, unique among its family within a tenant.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ProviderAccount(m) => &m.name,
            Self::VirtualModel(m) => &m.name,
            Self::VirtualAccount(m) => &m.name,
            Self::GlobalSettings(m) => &m.name,
        }
    }
}

impl Manifest {
    /// The family within which a name is unique: all `provider-account/…` kinds, virtual models
    /// among them, share one; every other kind is its own.
    #[must_use]
    pub fn family(&self) -> &str {
        family(self.kind())
    }
}

/// The family of a kind: its part before the slash.
#[must_use]
pub fn family(kind: &str) -> &str {
    kind.split_once('/').map_or(kind, |(family, _)| family)
}

/// Spellings of all kinds, in the order of the catalogue.
#[must_use]
pub fn all() -> Vec<String> {
    let accounts = crate::catalogue::providers().iter().map(crate::catalogue::Provider::kind);
    let others = [virtual_model::KIND, virtual_account::KIND, global_settings::KIND];
    accounts.chain(others.map(str::to_owned)).collect()
}

/// A manifest of a kind as YAML, for docs and tests; `None` for an unknown kind.
#[must_use]
pub fn example(kind: &str) -> Option<String> {
    match kind {
        virtual_model::KIND => Some(virtual_model::EXAMPLE.to_owned()),
        virtual_account::KIND => Some(virtual_account::EXAMPLE.to_owned()),
        global_settings::KIND => Some(global_settings::EXAMPLE.to_owned()),
        account => {
            let name = account.strip_prefix(catalogue::KIND_PREFIX)?;
            crate::catalogue::provider(name).map(provider_account::example)
        }
    }
}
