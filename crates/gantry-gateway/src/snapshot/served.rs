//! Prices of models that answer in place of another: behind a router, `auto` or an alias, which
//! have no price themselves. Filled when a snapshot is compiled, asked when a request settles.

use gantry_model::price::{Discount, ModelPrice};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The version of prices that an operator has written for one account.
const OWN: &str = "manifest";

/// Shared by all models without a price; empty until the last model of a snapshot is there.
#[derive(Clone, Debug, Default)]
pub struct ServedPrices(Arc<OnceLock<Prices>>);

/// By account or provider, and by the upstream's name of the model in lower case.
#[derive(Debug, Default)]
struct Prices {
    accounts: Names,
    /// The catalogue's alone: an operator's own price holds for its account.
    providers: Names,
}

type Names = BTreeMap<String, BTreeMap<String, ModelPrice>>;

impl ServedPrices {
    /// Takes the prices of models, unless nobody will ask for them.
    pub(super) fn fill<'a>(&self, models: impl Iterator<Item = Priced<'a>>) {
        if Arc::strong_count(&self.0) == 1 {
            return;
        }
        let mut prices = Prices::default();
        for Priced { id, provider, upstream_model, price } in models {
            let name = upstream_model.to_ascii_lowercase();
            if price.schedule.prices.iter().all(|price| price.version != OWN) {
                let known = prices.providers.entry(provider.to_owned()).or_default();
                // What an account gets off is its own.
                let listed = ModelPrice { discount: Discount::NONE, ..price.clone() };
                known.insert(name.clone(), listed);
            }
            let known = prices.accounts.entry(account(id).to_owned()).or_default();
            known.insert(name, price.clone());
        }
        // Filled once; a second time changes nothing.
        let _ = self.0.set(prices);
    }

    /// The price of the model `served` where `id` of the provider was asked: as another model of
    /// the account, or as the provider's.
    pub(super) fn get(&self, (id, provider): (&str, &str), served: &str) -> Option<&ModelPrice> {
        let prices = self.0.get()?;
        let served = served.to_ascii_lowercase();
        let here = prices.accounts.get(account(id)).and_then(|names| find(names, &served));
        here.or_else(|| find(prices.providers.get(provider)?, &served))
    }
}

/// A model that has a price.
pub(super) struct Priced<'a> {
    pub(super) id: &'a str,
    pub(super) provider: &'a str,
    pub(super) upstream_model: &'a str,
    pub(super) price: &'a ModelPrice,
}

fn account(id: &str) -> &str {
    id.split_once('/').map_or(id, |(account, _)| account)
}

/// A name, or one with a date behind it.
fn find<'a>(names: &'a BTreeMap<String, ModelPrice>, served: &str) -> Option<&'a ModelPrice> {
    names.get(served).or_else(|| {
        let dated = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        let name = served.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(dated));
        let date = served.get(name.len()..)?;
        (date.len() >= "-20250101".len()).then(|| names.get(name))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::money::PicoUsd;
    use gantry_model::price::{Price, Rates};

    #[test]
    fn a_dated_name_has_the_price_of_its_model() {
        let price = Price {
            version: "v".to_owned(),
            effective_from_ms: 0,
            daily: None,
            rates: Rates { input: PicoUsd(1), ..Rates::default() },
            tiers: Vec::new(),
            per_request: PicoUsd(0),
        };
        let price = ModelPrice { schedule: price.into(), discount: Discount::NONE };
        let names = [("gpt-4o".to_owned(), price)].into();
        for (served, expected) in [
            ("gpt-4o", true),
            ("gpt-4o-2024-08-06", true),
            ("gpt-4o-20240806", true),
            ("gpt-4o-mini", false),
            ("gpt-4o-mini-2024-07-18", false),
            ("gpt-4o-1", false),
            ("", false),
        ] {
            assert_eq!(find(&names, served).is_some(), expected, "{served}");
        }
    }
}
