//! `[store]` of the boot configuration: where the control plane keeps what it knows.
//!
//! `boot` reads it once. It never shows the address, which may hold a password.

use gantry_model::secret::Secret;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Where resources, tokens, users and the audit log are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, for several control planes on one database.
    /// Default: SQLite, the file `gantry.db` in the data directory.
    #[serde(deserialize_with = "address")]
    pub url: Option<Secret>,
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    #[cfg(feature = "control-plane")]
    if let Some(text) = &text {
        gantry_store::check_address(text).map_err(|problem| {
            D::Error::custom(format!("not the address of a store: {problem}"))
        })?;
    }
    #[cfg(not(feature = "control-plane"))]
    if text.is_some() {
        return Err(D::Error::custom(crate::build::NO_STORE));
    }
    Ok(text.map(Secret::new))
}
