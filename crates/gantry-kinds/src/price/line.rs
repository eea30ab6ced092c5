//! One line of the price catalogue: provider, model, patterns of names, prices over time.
//!
//! Called by the catalogue only. `docs/prices.md` describes the format for people:
//!
//! ```text
//! openai  gpt-x  gpt-x gpt-x-####-##-##  input=2.5 output=10 ; @2026-03-01 input=2 output=8
//! ```

use super::decimal::units;
use gantry_model::glob;
use gantry_model::ids::UnixMs;
use gantry_model::money::PicoUsd;
use gantry_model::price::{DailyWindow, Price, PriceSchedule, Rates, Tier};

/// The last column of a model that is not priced by the token, such as speech by the hour.
const NO_TOKEN_PRICE: &str = "none";

#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    patterns: &'a str,
    prices: &'a str,
}

impl<'a> Line<'a> {
    /// Cuts a line at its tabs, and reads nothing yet.
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let mut columns = text.split('\t');
        let line = Self {
            provider: columns.next()?,
            model: columns.next()?,
            patterns: columns.next()?,
            prices: columns.next()?,
        };
        columns.next().is_none().then_some(line)
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.patterns.split(' ').any(|pattern| glob::matches(pattern, name))
    }

    /// Reads the prices; `None` when there is no price for tokens.
    pub(super) fn schedule(&self, release: &str) -> Result<Option<PriceSchedule>, &'static str> {
        if self.prices == NO_TOKEN_PRICE {
            return Ok(None);
        }
        let prices = self.prices.split(" ; ").map(|text| self.price(text, release));
        Ok(Some(PriceSchedule { prices: prices.collect::<Result<_, _>>()? }))
    }

    fn price(&self, text: &str, release: &str) -> Result<Price, &'static str> {
        let mut since = release;
        let mut hours = String::new();
        let mut price = Price {
            version: String::new(),
            effective_from_ms: 0,
            daily: None,
            rates: Rates::default(),
            tiers: Vec::new(),
            per_request: PicoUsd(0),
        };
        for word in text.split(' ') {
            if let Some(date) = word.strip_prefix('@') {
                since = date;
                price.effective_from_ms = midnight_ms(date).ok_or("no date after `@`")?;
            } else if let Some(window) = word.strip_prefix('~') {
                hours = format!("~{window}");
                price.daily = Some(daily_window(window).ok_or("no hours after `~`")?);
            } else if let Some(tokens) = word.strip_prefix('>') {
                open_tier(&mut price, tokens)?;
            } else {
                set_rate(&mut price, word)?;
            }
        }
        price.version = format!("{}/{}@{since}{hours}", self.provider, self.model);
        Ok(price)
    }
}

/// Begins a tier with the rates of the one below, which the words that follow replace one by one.
fn open_tier(price: &mut Price, tokens: &str) -> Result<(), &'static str> {
    let above_input_tokens = tokens.parse().map_err(|_| "no token count after `>`")?;
    if price.tiers.last().is_some_and(|tier| tier.above_input_tokens >= above_input_tokens) {
        return Err("tiers are not in ascending order");
    }
    let rates = price.tiers.last().map_or(price.rates, |tier| tier.rates);
    price.tiers.push(Tier { above_input_tokens, rates });
    Ok(())
}

fn set_rate(price: &mut Price, word: &str) -> Result<(), &'static str> {
    let (key, dollars) = word.split_once('=').ok_or("expected `key=dollars`")?;
    if key == "request" {
        // A thousandth of a dollar for a request: dollars for 1000 requests are 10^9 pico-dollars.
        price.per_request = PicoUsd(units(dollars, 9).ok_or("not a price")?);
        return Ok(());
    }
    // Dollars for a million tokens are millionths of a dollar, 10^6 pico-dollars, for a token.
    let rate = PicoUsd(units(dollars, 6).ok_or("not a price")?);
    let rates = price.tiers.last_mut().map_or(&mut price.rates, |tier| &mut tier.rates);
    match key {
        "input" => rates.input = rate,
        "output" => rates.output = rate,
        "cache_read" => rates.cache_read = Some(rate),
        "cache_write" => rates.cache_write = Some(rate),
        "cache_write_1h" => rates.cache_write_1h = Some(rate),
        "reasoning" => rates.reasoning = Some(rate),
        _ => return Err("unknown key of a price"),
    }
    Ok(())
}

/// Midnight UTC at the start of `2026-03-01`.
fn midnight_ms(date: &str) -> Option<UnixMs> {
    let mut parts = date.split('-');
    let year = parts.next()?.parse().ok()?;
    let month = time::Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    let day = parts.next()?.parse().ok()?;
    let date = time::Date::from_calendar_date(year, month, day).ok()?;
    let seconds = u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?;
    parts.next().is_none().then_some(seconds * 1_000)
}

/// `16:30-00:30`, UTC.
fn daily_window(text: &str) -> Option<DailyWindow> {
    let (from, until) = text.split_once('-')?;
    Some(DailyWindow { from_ms: of_day_ms(from)?, until_ms: of_day_ms(until)? })
}

fn of_day_ms(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let hours = hours.parse::<u64>().ok().filter(|hours| *hours < 24)?;
    let minutes = minutes.parse::<u64>().ok().filter(|minutes| *minutes < 60)?;
    Some((hours * 60 + minutes) * 60_000)
}

/// `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`, the spelling of the patterns; OpenRouter and
/// LiteLLM write the former. `None` when there is no such date.
pub(super) fn dashed_date(name: &str) -> Option<String> {
    let at = name.match_indices("-20").find_map(|(at, _)| is_date(name, at).then_some(at + 1))?;
    let (year, month, day) =
        (name.get(at..at + 4)?, name.get(at + 4..at + 6)?, name.get(at + 6..at + 8)?);
    Some(format!("{}{year}-{month}-{day}{}", name.get(..at)?, name.get(at + 8..)?))
}

/// Whether `-20251211` stands at `at`, followed by nothing, `-` or `:`.
fn is_date(name: &str, at: usize) -> bool {
    let date = name.get(at + 1..at + 9);
    let ends = name.as_bytes().get(at + 9).is_none_or(|byte| matches!(byte, b'-' | b':'));
    ends && date.is_some_and(|date| {
        let dashed = [date.get(..4), date.get(4..6), date.get(6..)].map(Option::unwrap_or_default);
        date.bytes().all(|byte| byte.is_ascii_digit()) && midnight_ms(&dashed.join("-")).is_some()
    })
}
