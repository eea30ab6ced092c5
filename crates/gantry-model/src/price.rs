//! Typed prices and the cost of one model call.
//!
//! The control plane finds a [`ModelPrice`] for each model, a snapshot carries it, and the gateway
//! asks it for a [`Charge`] when a request settles. All sums are integers, and a cost is rounded
//! once. Nothing here guesses: a model without a known price has none, and its record says so by
//! an empty price version.

use crate::ids::UnixMs;
use crate::money::{NanoUsd, PicoUsd};
use crate::usage::TokenUsage;
use serde::{Deserialize, Serialize};

/// What each kind of token costs, in trillionths of a dollar for one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    pub input: PicoUsd,
    pub output: PicoUsd,
    /// Prompt tokens read from the provider's cache. Absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PicoUsd>,
    /// Prompt tokens written to the provider's cache. Absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PicoUsd>,
    /// Cache writes with the one-hour lifetime. Absent: as `cache_write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PicoUsd>,
    /// Reasoning tokens. Absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PicoUsd>,
}

/// Other rates for large prompts.
///
/// They replace the base rates for the whole request, not for the part above the threshold: this
/// is how OpenAI, Anthropic, Google, xAI and the rest of the catalogue bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The tier applies to requests whose prompt, cached part included, has more tokens than this.
    pub above_input_tokens: u64,
    pub rates: Rates,
}

/// Hours of the day, UTC, in which a price applies; may run over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyWindow {
    /// Milliseconds after midnight, inclusive.
    pub from_ms: u64,
    /// Milliseconds after midnight, exclusive.
    pub until_ms: u64,
}

impl DailyWindow {
    fn contains(self, at_ms: UnixMs) -> bool {
        let of_day = at_ms % 86_400_000;
        if self.until_ms < self.from_ms {
            return of_day >= self.from_ms || of_day < self.until_ms;
        }
        (self.from_ms..self.until_ms).contains(&of_day)
    }
}

/// One price of one model, for the time in which it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Names the price in records: `openai/gpt-5-mini@2026-03-01` when the catalogue knows since
    /// when it holds, `openai/gpt-4o@genai-prices-0.2.3` (the catalogue's release) when it does
    /// not, `manifest` for prices of the operator's own.
    pub version: String,
    /// Zero when it has always applied, as far as is known.
    #[serde(default)]
    pub effective_from_ms: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<DailyWindow>,
    pub rates: Rates,
    /// In ascending order of `above_input_tokens`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// Added once for each request, in trillionths of a dollar.
    #[serde(default)]
    pub per_request: PicoUsd,
}

impl Price {
    /// Whether the price applies at a time.
    #[must_use]
    pub fn applies_at(&self, at_ms: UnixMs) -> bool {
        at_ms >= self.effective_from_ms && self.daily.is_none_or(|window| window.contains(at_ms))
    }

    /// The rates for a prompt of this many tokens.
    #[must_use]
    pub fn rates_for(&self, input_tokens: u64) -> &Rates {
        let tier = self.tiers.iter().rev().find(|tier| input_tokens > tier.above_input_tokens);
        tier.map_or(&self.rates, |tier| &tier.rates)
    }
}

/// All prices of one model over time, in the catalogue's order: the last that applies counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceSchedule {
    pub prices: Vec<Price>,
}

impl PriceSchedule {
    /// The price at a time, normally the moment the request was received.
    #[must_use]
    pub fn at(&self, at_ms: UnixMs) -> Option<&Price> {
        self.prices.iter().rev().find(|price| price.applies_at(at_ms))
    }
}

impl From<Price> for PriceSchedule {
    fn from(price: Price) -> Self {
        Self { prices: vec![price] }
    }
}

/// A share taken off a price, in millionths of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Discount {
    millionths: u32,
}

impl Discount {
    pub const NONE: Self = Self { millionths: 0 };

    /// A share in millionths; more than all of it counts as all.
    #[must_use]
    pub fn of_millionths(millionths: u32) -> Self {
        Self { millionths: millionths.min(1_000_000) }
    }

    /// Whether it takes nothing off.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.millionths == 0
    }

    /// Millionths of the price that remain to be paid.
    fn kept(self) -> u128 {
        u128::from(1_000_000 - self.millionths.min(1_000_000))
    }
}

/// What one model of an account costs, now and at the dates that are already known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    pub schedule: PriceSchedule,
    /// Off every price of the schedule.
    #[serde(default, skip_serializing_if = "Discount::is_none")]
    pub discount: Discount,
}

/// The cost of one call and the price that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    pub cost: NanoUsd,
    /// [`Price::version`].
    pub version: &'a str,
}

impl ModelPrice {
    /// What a call costs that was received at `at_ms`, or `None` when no price applied then.
    ///
    /// Cancelled streams are charged by the usage that the caller estimated.
    #[must_use]
    pub fn charge(&self, usage: &TokenUsage, at_ms: UnixMs) -> Option<Charge<'_>> {
        let price = self.schedule.at(at_ms)?;
        Some(Charge { cost: cost(price, usage, self.discount), version: &price.version })
    }
}

/// What a call costs, rounded once, half up, to a billionth of a dollar.
///
/// `(input - cache_read - cache_write) * input rate + cache_read * its rate + the five-minute
/// writes * their rate + the one-hour writes * their rate + (output - reasoning) * output rate +
/// reasoning * its rate + the request's own price`, less the discount. Usage that contradicts
/// itself (more cached tokens than prompt tokens) is cut to what is possible: reads count before
/// writes, and no part becomes negative. Sums beyond the range stop at its end.
#[must_use]
pub fn cost(price: &Price, usage: &TokenUsage, discount: Discount) -> NanoUsd {
    let rates = price.rates_for(usage.input);
    let cache_read = usage.cache_read.min(usage.input);
    let cache_write = usage.cache_write.min(usage.input - cache_read);
    let long_write = usage.cache_write_1h.min(cache_write);
    let reasoning = usage.reasoning.min(usage.output);
    let write_rate = rates.cache_write.unwrap_or(rates.input);
    let parts = [
        (usage.input - cache_read - cache_write, rates.input),
        (cache_read, rates.cache_read.unwrap_or(rates.input)),
        (cache_write - long_write, write_rate),
        (long_write, rates.cache_write_1h.unwrap_or(write_rate)),
        (usage.output - reasoning, rates.output),
        (reasoning, rates.reasoning.unwrap_or(rates.output)),
    ];
    let pico = parts.iter().fold(u128::from(price.per_request.0), |sum, (tokens, rate)| {
        sum.saturating_add(u128::from(*tokens) * u128::from(rate.0))
    });
    // A thousand pico-dollars are a nano-dollar, and the discount is in millionths.
    let scale = 1_000 * 1_000_000;
    let nano = pico.saturating_mul(discount.kept()).saturating_add(scale / 2) / scale;
    NanoUsd(i64::try_from(nano).unwrap_or(i64::MAX))
}
