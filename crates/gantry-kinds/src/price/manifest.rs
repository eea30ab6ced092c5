//! Prices that an operator writes into a manifest. Called when a snapshot is compiled and by
//! validation of manifests; this is the one place where a price is an `f64`.

use super::decimal;
use crate::kinds::common::CostMetric;
use gantry_model::money::PicoUsd;
use gantry_model::price::{Discount, Price, Rates};

/// Why a price of a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Negative, not a number, or beyond 18 million dollars a token.
    #[error("read `{field}`: found {found}, expected dollars for 1000 tokens, zero or more")]
    NotAPrice { field: &'static str, found: String },
    #[error("read `discount_percent`: found {found}, expected a number from 0 to 100")]
    NotADiscount { found: String },
}

/// The version that records show for such a price.
const VERSION: &str = "manifest";

/// The price in a manifest's `cost`; `None` for `public_cost`, which means the catalogue's.
///
/// Dollars for 1000 tokens become trillionths of a dollar for one token: 0.00015 becomes
/// 150_000. The decimal digits of the shortest text that names the `f64` count, so that what
/// the operator wrote is taken exactly; what is finer than a trillionth rounds half up.
///
/// # Errors
/// [`Error::NotAPrice`] with the field for negative numbers, NaN and the like.
pub fn of_cost(metric: &CostMetric) -> Result<Option<Price>, Error> {
    let rates = match metric {
        CostMetric::PublicCost => return Ok(None),
        CostMetric::Per1000Tokens { input, output, cache_read, cache_write, .. } => Rates {
            input: per_token("input", *input)?,
            output: per_token("output", *output)?,
            cache_read: cache_read.map(|rate| per_token("cache_read", rate)).transpose()?,
            cache_write: cache_write.map(|rate| per_token("cache_write", rate)).transpose()?,
            ..Rates::default()
        },
        CostMetric::Per1000EmbeddingTokens { input, .. } => {
            Rates { input: per_token("input", *input)?, ..Rates::default() }
        }
    };
    Ok(Some(Price {
        version: VERSION.to_owned(),
        effective_from_ms: 0,
        daily: None,
        rates,
        tiers: Vec::new(),
        per_request: PicoUsd(0),
    }))
}

/// Reads `discount_percent` of a provider account, to the nearest ten-thousandth of a percent.
///
/// # Errors
/// [`Error::NotADiscount`] outside 0 to 100.
pub fn discount(percent: f64) -> Result<Discount, Error> {
    let wrong = || Error::NotADiscount { found: percent.to_string() };
    let millionths = decimal::units(&percent.to_string(), 4).ok_or_else(wrong)?;
    let millionths = u32::try_from(millionths).map_err(|_| wrong())?;
    if millionths > 1_000_000 {
        return Err(wrong());
    }
    Ok(Discount::of_millionths(millionths))
}

/// A thousandth of a dollar is 10^9 pico-dollars, hence nine decimals. Rust prints an `f64` without
/// exponent and with the fewest digits that name it.
fn per_token(field: &'static str, dollars_per_1000: f64) -> Result<PicoUsd, Error> {
    let text = dollars_per_1000.to_string();
    // A zero that a calculation made negative is still zero.
    let text = if dollars_per_1000 == 0.0 { "0" } else { &text };
    decimal::units(text, 9)
        .map(PicoUsd)
        .ok_or_else(|| Error::NotAPrice { field, found: text.to_owned() })
}
