//! The price of one model of one provider account. Called when a snapshot is compiled.

use super::PriceCatalogue;
use super::manifest::{Error, discount, of_cost};
use crate::kinds::provider_account::{ModelIntegration, ProviderAccount};
use gantry_model::price::{Discount, ModelPrice};

/// Finds the price: the manifest's own `cost`, else the catalogue's for the foundation model
/// (which Azure deployments name) or the upstream's model name, less the account's discount.
/// `None` when neither knows one, as for models hosted by the operator.
///
/// The discount is off the catalogue's prices only; the operator's own are taken as written.
///
/// # Errors
/// [`Error`] for a price or discount that is not one.
pub fn model_price(
    account: &ProviderAccount,
    model: &ModelIntegration,
) -> Result<Option<ModelPrice>, Error> {
    let discount = account.discount_percent.map_or(Ok(Discount::NONE), discount)?;
    let own = model.cost.as_ref().map(|cost| of_cost(&cost.metric));
    if let Some(price) = own.transpose()?.flatten() {
        return Ok(Some(ModelPrice { schedule: price.into(), discount: Discount::NONE }));
    }
    let name = model.foundation_model.as_deref().unwrap_or_else(|| model.upstream_name());
    let schedule = PriceCatalogue::embedded().schedule(account.provider(), name);
    Ok(schedule.map(|schedule| ModelPrice { schedule, discount }))
}
