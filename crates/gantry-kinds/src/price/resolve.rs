//! The price of one model of one provider account. Called when a snapshot is compiled, then on
//! each settlement; it never looks into the catalogue on the request path.

use super::{Discount, Error, Price, PriceCatalogue, PriceSchedule, cost};
use crate::kinds::provider_account::{ModelIntegration, ProviderAccount};
use gantry_model::ids::UnixMs;
use gantry_model::money::NanoUsd;
use gantry_model::usage::TokenUsage;

/// What one model of an account costs, now and at the dates that are already known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    schedule: PriceSchedule,
    discount: Discount,
}

/// The cost of one call and the price that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    pub cost: NanoUsd,
    /// [`Price::version`].
    pub version: &'a str,
}

impl ModelPrice {
    /// Finds the price: the manifest's own `cost`, else the catalogue's for the foundation model
    /// (which Azure deployments name) or the upstream's model name, less the account's discount.
    /// `None` when neither knows one, as for models hosted by the operator.
    ///
    /// The discount is off the catalogue's prices only; the operator's own are taken as written.
    ///
    /// # Errors
    /// [`Error`] for a price or discount that is not one.
    pub fn of(account: &ProviderAccount, model: &ModelIntegration) -> Result<Option<Self>, Error> {
        let discount =
            account.discount_percent.map_or(Ok(Discount::NONE), Discount::from_percent)?;
        let own = model.cost.as_ref().map(|cost| Price::from_manifest(&cost.metric));
        if let Some(price) = own.transpose()?.flatten() {
            return Ok(Some(Self { schedule: price.into(), discount: Discount::NONE }));
        }
        let name = model.foundation_model.as_deref().unwrap_or_else(|| model.upstream_name());
        let schedule = PriceCatalogue::embedded().schedule(account.provider(), name);
        Ok(schedule.map(|schedule| Self { schedule, discount }))
    }

    /// What a call costs that was received at `at_ms`, or `None` when no price applied then.
    ///
    /// Cancelled streams are charged by the usage that the caller estimated.
    #[must_use]
    pub fn charge(&self, usage: &TokenUsage, at_ms: UnixMs) -> Option<Charge<'_>> {
        let price = self.schedule.at(at_ms)?;
        Some(Charge { cost: cost(price, usage, self.discount), version: &price.version })
    }
}
