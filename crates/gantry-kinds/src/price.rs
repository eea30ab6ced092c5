//! Prices: the catalogue, those of manifests, and which of them a model has.
//!
//! Called when a snapshot is compiled and by validation of manifests. What a call costs is reckoned
//! by [`gantry_model::price`]. `f64` appears only where a manifest is read.

mod catalogue;
mod decimal;
mod line;
mod manifest;
mod resolve;
#[cfg(test)]
mod tests;

pub use catalogue::{DataError, PriceCatalogue, provider_map};
pub use decimal::units as decimal_units;
pub use manifest::{Error, discount, of_cost};
pub use resolve::model_price;
