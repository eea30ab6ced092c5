//! Turns the providers of the price package into lines of the catalogue. Called by the command.
//!
//! Kept: prices for text tokens and for requests, dates and hours, tiers by prompt size. Left out,
//! because Gantry's usage does not count them: audio, images, searches, pages, and the variants for
//! batches and service tiers.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use gantry_kinds::price::decimal_units;

use super::patterns;
use super::python::Value;

/// The package's keys with the catalogue's, in the order of the catalogue's lines.
const KEYS: [(&str, &str); 7] = [
    ("input_mtok", "input"),
    ("output_mtok", "output"),
    ("cache_read_mtok", "cache_read"),
    ("cache_write_mtok", "cache_write"),
    ("cache_write_1h_mtok", "cache_write_1h"),
    ("output_reasoning_mtok", "reasoning"),
    ("requests_kcount", "request"),
];

/// The body of the catalogue and what was noticed on the way.
pub(super) struct Imported {
    pub(super) text: String,
    /// Models kept without a price for tokens.
    pub(super) unpriced: usize,
    /// Rates finer than a millionth of a dollar for a million tokens.
    pub(super) rounded: usize,
}

/// Imports the wanted providers and those that they resell.
pub(super) fn run(providers: &Value, wanted: &BTreeSet<&str>) -> anyhow::Result<Imported> {
    let mut by_id = BTreeMap::new();
    for provider in providers.list()? {
        by_id.insert(provider.text("id")?, provider);
    }
    let mut kept = wanted.clone();
    let mut imported = Imported { text: String::new(), unpriced: 0, rounded: 0 };
    for id in wanted {
        let provider = by_id.get(id).with_context(|| format!("no provider `{id}`"))?;
        let resold = fallbacks(provider)?;
        if !resold.is_empty() {
            imported.text.push_str(&format!("%fallback {id} {}\n", resold.join(" ")));
        }
        kept.extend(resold);
    }
    for id in kept {
        let provider = by_id.get(id).with_context(|| format!("no provider `{id}`"))?;
        imported.provider(id, provider).with_context(|| format!("failed to import `{id}`"))?;
    }
    Ok(imported)
}

fn fallbacks(provider: &Value) -> anyhow::Result<Vec<&str>> {
    let Some(Value::List(ids)) = provider.get("fallback_model_providers") else {
        return Ok(Vec::new());
    };
    ids.iter()
        .map(|id| match id {
            Value::Text(id) => Ok(id.as_str()),
            other => bail!("expected a provider id, found {other:?}"),
        })
        .collect()
}

impl Imported {
    /// Adds a provider's models. Their order decides which of two matching models wins; the package
    /// sorts them as the catalogue is sorted, which reading the catalogue back verifies.
    fn provider(&mut self, provider: &str, value: &Value) -> anyhow::Result<()> {
        let models = value.get("models").context("no models")?.list()?;
        for model in models {
            let id = model.text("id")?;
            let line = self.model(id, model).with_context(|| format!("failed to import `{id}`"))?;
            self.text.push_str(&format!("{provider}\t{id}\t{line}\n"));
        }
        Ok(())
    }

    fn model(&mut self, id: &str, model: &Value) -> anyhow::Result<String> {
        ensure!(!id.contains(char::is_whitespace), "white space in a model's id");
        let patterns = patterns::from_rule(model.get("match").context("no match rule")?)?;
        let prices = match model.get("prices").context("no prices")? {
            Value::List(entries) => {
                let entries: anyhow::Result<Vec<_>> =
                    entries.iter().map(|entry| self.conditional(entry)).collect();
                entries?
            }
            single => vec![(String::new(), self.rates(single)?)],
        };
        let patterns = patterns.join(" ");
        if prices.iter().all(|(_, rates)| rates.is_none()) {
            let free = id.ends_with(":free");
            self.unpriced += usize::from(!free);
            let prices = if free { "input=0 output=0" } else { "none" };
            return Ok(format!("{patterns}\t{prices}"));
        }
        let mut texts = Vec::new();
        for (condition, rates) in prices {
            let rates = rates.context("tokens have a price at some times only")?;
            texts.push(format!("{condition}{rates}"));
        }
        Ok(format!("{patterns}\t{}", texts.join(" ; ")))
    }

    /// A price with the words for its first day or its hours of the day, or none of them.
    fn conditional(&mut self, entry: &Value) -> anyhow::Result<(String, Option<String>)> {
        let rates = self.rates(entry.get("prices").context("no prices")?)?;
        let condition = match entry.get("constraint") {
            None => String::new(),
            Some(constraint) => condition(constraint)? + " ",
        };
        Ok((condition, rates))
    }

    /// `input=1.25 output=10 >200000 input=2.5 output=15`; `None` without a rate that counts.
    fn rates(&mut self, prices: &Value) -> anyhow::Result<Option<String>> {
        let mut words = Vec::new();
        let mut tiers: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (theirs, ours) in KEYS {
            let Some(value) = prices.get(theirs) else { continue };
            let call = value.call()?;
            if call.name == "Decimal" {
                words.push(format!("{ours}={}", self.decimal(value)?));
                continue;
            }
            ensure!(
                call.name == "TieredPrices" && ours != "request",
                "unknown price of `{theirs}`"
            );
            words.push(format!("{ours}={}", self.decimal(value.get("base").context("no base")?)?));
            for tier in value.get("tiers").context("no tiers")?.list()? {
                let rate = self.decimal(tier.get("price").context("no price")?)?;
                tiers.entry(tier_start(tier)?).or_default().push(format!("{ours}={rate}"));
            }
        }
        for (start, rates) in tiers {
            words.push(format!(">{start}"));
            words.extend(rates);
        }
        Ok((!words.is_empty()).then(|| words.join(" ")))
    }

    /// The text of `Decimal('0.15')`, cut to six decimals.
    fn decimal(&mut self, value: &Value) -> anyhow::Result<String> {
        let [Value::Text(text)] = value.call()?.positional.as_slice() else {
            bail!("expected a decimal, found {value:?}");
        };
        let units = decimal_units(text, 6).with_context(|| format!("{text:?} is not a price"))?;
        if text.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 6) {
            return Ok(text.clone());
        }
        self.rounded += 1;
        let rounded = format!("{}.{:06}", units / 1_000_000, units % 1_000_000);
        Ok(rounded.trim_end_matches('0').trim_end_matches('.').to_owned())
    }
}

fn tier_start(tier: &Value) -> anyhow::Result<u64> {
    match tier.get("start") {
        Some(Value::Number(start)) => Ok(start.replace('_', "").parse()?),
        other => bail!("expected the start of a tier, found {other:?}"),
    }
}

/// `@2026-03-01` or `~16:30-00:30`.
fn condition(constraint: &Value) -> anyhow::Result<String> {
    match constraint.call()?.name.as_str() {
        "StartDateConstraint" => {
            let date = constraint.get("start_date").context("no date")?;
            let [year, month, day] = numbers(date, "datetime.date")?;
            Ok(format!("@{year:04}-{month:02}-{day:02}"))
        }
        "TimeOfDateConstraint" => {
            let start = time_of_day(constraint.get("start_time").context("no start")?)?;
            let end = time_of_day(constraint.get("end_time").context("no end")?)?;
            Ok(format!("~{start}-{end}"))
        }
        other => bail!("unknown constraint `{other}`"),
    }
}

/// `datetime.time(16, 30, tzinfo=datetime.UTC)` as `16:30`.
fn time_of_day(value: &Value) -> anyhow::Result<String> {
    let utc = Value::Name("datetime.UTC".to_owned());
    ensure!(value.get("tzinfo") == Some(&utc), "found {value:?}, expected a time in UTC");
    let [hours, minutes] = numbers(value, "datetime.time")?;
    Ok(format!("{hours:02}:{minutes:02}"))
}

fn numbers<const N: usize>(value: &Value, name: &str) -> anyhow::Result<[u32; N]> {
    let call = value.call()?;
    ensure!(call.name == name, "found `{}`, expected `{name}`", call.name);
    let numbers: anyhow::Result<Vec<u32>> = call.positional.iter().map(number).collect();
    let numbers = numbers?;
    numbers.try_into().map_err(|found| anyhow::anyhow!("unexpected numbers {found:?} in `{name}`"))
}

fn number(value: &Value) -> anyhow::Result<u32> {
    match value {
        Value::Number(text) => Ok(text.parse()?),
        other => bail!("expected a number, found {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::python::assigned;

    fn imported(models: &str) -> anyhow::Result<String> {
        let module = format!("\nx: P = [Provider(id='p', models=[{models}])]\n");
        Ok(run(&assigned(&module, "x")?, &BTreeSet::from(["p"]))?.text)
    }

    fn model(prices: &str) -> String {
        format!("ModelInfo(id='m', match=ClauseEquals(equals='m'), prices={prices})")
    }

    #[test]
    fn writes_one_line_for_each_model() {
        let cases = [
            (
                "ModelPrice(output_mtok=Decimal('10'), input_mtok=Decimal('2.50'), \
                 web_searches_kcount=Decimal('10'))",
                "input=2.50 output=10",
            ),
            (
                "ModelPrice(input_mtok=TieredPrices(base=Decimal('1'), \
                 tiers=[Tier(start=200000, price=Decimal('2'))]), output_mtok=Decimal('3'))",
                "input=1 output=3 >200000 input=2",
            ),
            (
                "[ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('2'))), ConditionalPrice(\
                 constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 1)), \
                 prices=ModelPrice(input_mtok=Decimal('1')))]",
                "input=2 ; @2026-03-01 input=1",
            ),
            (
                "[ConditionalPrice(constraint=TimeOfDateConstraint(\
                 start_time=datetime.time(16, 30, tzinfo=datetime.UTC), \
                 end_time=datetime.time(0, 30, tzinfo=datetime.UTC)), \
                 prices=ModelPrice(input_mtok=Decimal('0.0416666666666667')))]",
                "~16:30-00:30 input=0.041667",
            ),
            ("ModelPrice(audio_hours=Decimal('1'))", "none"),
            ("ModelPrice()", "none"),
        ];
        for (prices, expected) in cases {
            let text = imported(&model(prices)).unwrap();
            assert_eq!(text, format!("p\tm\tm\t{expected}\n"), "{prices}");
        }
    }

    #[test]
    fn refuses_prices_that_it_does_not_understand() {
        let cases = [
            "ModelPrice(input_mtok=Decimal('-1'))",
            "ModelPrice(input_mtok=Decimal('1E-7'))",
            "ModelPrice(input_mtok=Lookup(1))",
            "[ConditionalPrice(constraint=Weekday(1), prices=ModelPrice())]",
        ];
        for prices in cases {
            assert!(imported(&model(prices)).is_err(), "{prices}");
        }
    }
}
