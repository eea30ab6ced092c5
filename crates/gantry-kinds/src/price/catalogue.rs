//! The catalogue of public prices: `data/prices.tsv`, compiled in as text, and over it
//! `data/prices-overlay.tsv`, whose lines win.
//!
//! Called when a snapshot is compiled, once for each model. The text is searched where it lies and
//! only the line of the model asked for is parsed, so that a gateway which serves three models
//! does not hold the prices of a thousand. `cargo xtask prices` writes the file and checks it here.

use super::line::{self, Line};
use gantry_model::ids::UnixMs;
use gantry_model::price::{Price, PriceSchedule};
use std::str::SplitAsciiWhitespace;

static PRICES: &str = include_str!("../../data/prices.tsv");
static OVERLAY: &str = include_str!("../../data/prices-overlay.tsv");
static PROVIDERS: &str = include_str!("../../data/prices-providers.tsv");

/// Gantry's provider names with the name of the same provider in the catalogue's source.
pub fn provider_map() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = PROVIDERS.lines().filter(|row| !row.starts_with('#'));
    rows.filter_map(|row| row.split_once('\t'))
}

/// What is wrong with a line of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read line {line} of the price catalogue: {what}")]
pub struct DataError {
    /// Counted from 1.
    pub line: usize,
    pub what: &'static str,
}

/// Public prices by provider and model.
#[derive(Clone, Copy, Debug)]
pub struct PriceCatalogue<'a> {
    text: &'a str,
    /// A text in the same format whose lines and settings win; empty when there is none.
    overlay: &'a str,
}

impl PriceCatalogue<'static> {
    /// The catalogue compiled into this binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self { text: PRICES, overlay: OVERLAY }
    }
}

impl<'a> PriceCatalogue<'a> {
    /// A catalogue over another text in the same format.
    ///
    /// # Errors
    /// [`DataError`] names the first line that does not parse or is out of order.
    pub fn new(text: &'a str) -> Result<Self, DataError> {
        let catalogue = Self { text, overlay: "" };
        catalogue.check()?;
        Ok(catalogue)
    }

    /// This catalogue below another text in the same format, whose lines win.
    ///
    /// # Errors
    /// As [`PriceCatalogue::new`].
    pub fn below(self, overlay: &'a str) -> Result<Self, DataError> {
        Self::new(overlay)?;
        Ok(Self { overlay, ..self })
    }

    /// Package and version of the source, such as `genai-prices-0.2.3`.
    #[must_use]
    pub fn release(&self) -> &'a str {
        self.setting("release").unwrap_or_default()
    }

    /// Count of models, those without a price for tokens included.
    #[must_use]
    pub fn models(&self) -> usize {
        self.text.lines().filter(|text| Line::split(text).is_some()).count()
    }

    /// All prices of a model over time, or `None` when the catalogue has none for tokens.
    ///
    /// `provider` is Gantry's name (`azure-openai`), `model` the upstream's, in any case; dated
    /// snapshots of a model are found by the source's patterns.
    #[must_use]
    pub fn schedule(&self, provider: &str, model: &str) -> Option<PriceSchedule> {
        let (_, source) = provider_map().find(|(ours, _)| *ours == provider)?;
        let name = model.to_ascii_lowercase();
        let (found, release) = self.search(source, &name).or_else(|| {
            let dashed = line::dashed_date(&name)?;
            self.search(source, &dashed)
        })?;
        found.schedule(release).ok().flatten()
    }

    /// The price of a model at a time.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at_ms: UnixMs) -> Option<Price> {
        self.schedule(provider, model)?.at(at_ms).cloned()
    }

    /// Looks at the provider's own models, then at those of the providers whose models it sells at
    /// their prices; the overlay's before the source's. With the line comes its release.
    fn search(&self, source: &str, name: &str) -> Option<(Line<'a>, &'a str)> {
        let overlay = Self { text: self.overlay, overlay: "" };
        let resold = overlay.setting_list("fallback", source);
        let resold = resold.or_else(|| self.setting_list("fallback", source));
        let layers = [overlay, *self];
        std::iter::once(source).chain(resold.into_iter().flatten()).find_map(|provider| {
            layers.iter().find_map(|layer| {
                let line = layer.section(provider).find(|line| line.matches(name))?;
                Some((line, layer.release()))
            })
        })
    }

    /// The lines of one provider; they lie together.
    fn section(&self, provider: &str) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let start = self.text.find(&format!("\n{provider}\t")).map_or(self.text.len(), |at| at + 1);
        let provider = provider.to_owned();
        let rest = self.text.get(start..).unwrap_or_default();
        rest.lines().map_while(Line::split).take_while(move |line| line.provider == provider)
    }

    fn setting(&self, key: &str) -> Option<&'a str> {
        self.settings().find_map(|(found, value)| (found == key).then_some(value))
    }

    /// The words after `%key head`, if there is such a line.
    fn setting_list(&self, key: &str, head: &str) -> Option<SplitAsciiWhitespace<'a>> {
        let values = self.settings().filter(|(found, _)| *found == key).map(|(_, value)| value);
        let mut lists = values.map(str::split_ascii_whitespace);
        lists.find_map(|mut words| (words.next() == Some(head)).then_some(words))
    }

    /// Lines `%key value` at the top of the file.
    fn settings(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let top = self.text.lines().take_while(|text| text.starts_with(['#', '%']));
        top.filter_map(|text| text.strip_prefix('%')?.split_once(' '))
    }

    fn check(&self) -> Result<(), DataError> {
        let mut previous = ("", "");
        let release = self.release();
        if release.is_empty() {
            return Err(DataError { line: 1, what: "no `%release` line" });
        }
        for (index, text) in self.text.lines().enumerate() {
            let wrong = |what| DataError { line: index + 1, what };
            if text.starts_with(['#', '%']) && previous.0.is_empty() {
                continue;
            }
            let line = Line::split(text).ok_or_else(|| wrong("expected four columns"))?;
            if (line.provider, line.model) <= previous {
                return Err(wrong("not sorted by provider and model"));
            }
            previous = (line.provider, line.model);
            line.schedule(release).map_err(wrong)?;
        }
        Ok(())
    }
}
