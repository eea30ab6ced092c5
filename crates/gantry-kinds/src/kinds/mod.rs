//! The kinds of manifest: one file each, one line here.
//!
//! A kind says its spelling, its fields and what it refers to, by [`Kind`]. Store, REST, CLI and
//! schemas are generic over [`Manifest`] and over [`KINDS`]; code that needs the fields of one kind
//! asks a manifest with [`Manifest::as_`].

mod access;
pub mod common;
pub mod global_settings;
pub mod provider_account;
pub mod virtual_account;
pub mod virtual_model;

pub use crate::kind::{Kind, Manifest, Row};
pub use common::{Collaborator, OwnedBy};
pub use global_settings::GlobalSettings;
pub use provider_account::ProviderAccount;
pub use virtual_account::VirtualAccount;
pub use virtual_model::VirtualModelAccount;

/// All kinds, in the order of docs and lists.
pub(crate) const KINDS: &[Row] = &[
    Row::of::<ProviderAccount>(),
    Row::of::<VirtualModelAccount>(),
    Row::of::<VirtualAccount>(),
    Row::of::<GlobalSettings>(),
];

/// The family of a kind: its part before the slash.
#[must_use]
pub fn family(kind: &str) -> &str {
    kind.split_once('/').map_or(kind, |(family, _)| family)
}
