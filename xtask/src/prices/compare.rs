//! `cargo xtask prices --compare`: holds the price catalogue against others that install as
//! packages.
//!
//! It writes nothing: what differs is looked at by a person, who puts it into the overlay when the
//! other is right. Called by the command only.

use anyhow::Context;
use gantry_kinds::price::{PriceCatalogue, decimal_units};
use gantry_model::ids::UnixMs;
use gantry_model::price::Price;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Files of prices that packages of PyPI carry, all of one format.
const FILES: [(&str, &str); 2] = [
    ("litellm", "litellm/model_prices_and_context_window_backup.json"),
    ("tokencost", "tokencost/model_prices.json"),
];

/// Providers as the files call them, and as Gantry does.
const PROVIDERS: [(&str, &str); 17] = [
    ("anthropic", "anthropic"),
    ("azure", "azure-openai"),
    ("azure_ai", "microsoft-foundry"),
    ("bedrock", "aws-bedrock"),
    ("bedrock_converse", "aws-bedrock"),
    ("bedrock_mantle", "aws-bedrock-mantle"),
    ("cerebras", "cerebras"),
    ("cohere_chat", "cohere"),
    ("deepseek", "deepseek"),
    ("gemini", "google-gemini"),
    ("groq", "groq"),
    ("mistral", "mistral-ai"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity-ai"),
    ("together_ai", "together-ai"),
    ("xai", "xai"),
];

/// Kinds of calls that are priced by the token here.
const MODES: [&str; 4] = ["chat", "completion", "embedding", "responses"];

/// A model as the files have it, in dollars for a token; this is the one place beside manifests
/// where a price is an `f64`, and nothing is billed by it.
#[derive(Debug, Deserialize)]
struct Model {
    litellm_provider: Option<String>,
    mode: Option<String>,
    input_cost_per_token: Option<f64>,
    output_cost_per_token: Option<f64>,
    cache_read_input_token_cost: Option<f64>,
}

/// What the comparison of one file came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    same: usize,
    different: Vec<String>,
    missing: Vec<String>,
}

/// The end of the year 9999: of prices over time, all catalogues tell the last.
const LATEST_MS: UnixMs = 253_402_300_799_000;

/// Compares with each of the files that is in the folder, by the latest prices.
///
/// # Errors
/// When none is there, or one is not of the format.
pub(super) fn run(folder: &Path) -> anyhow::Result<()> {
    let mut seen = 0;
    for (package, file) in FILES {
        let path = folder.join(file);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        seen += 1;
        let models: BTreeMap<String, Model> = serde_json::from_str(&text)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let found = compare(&models, &PriceCatalogue::embedded());
        for line in found.different.iter().chain(&found.missing) {
            println!("{package}\t{line}");
        }
        let (different, missing) = (found.different.len(), found.missing.len());
        println!("{package}: {} same, {different} different, {missing} missing", found.same);
    }
    let names = FILES.map(|(package, _)| package).join(" and ");
    anyhow::ensure!(seen > 0, "{} holds none of {names}: install them there", folder.display());
    Ok(())
}

fn compare(models: &BTreeMap<String, Model>, ours: &PriceCatalogue<'_>) -> Found {
    let mut found = Found::default();
    for (name, model) in models {
        let Some((provider, own, theirs)) = priced(name, model) else { continue };
        match ours.find(provider, own, LATEST_MS) {
            None => found.missing.push(format!("missing\t{provider}\t{own}\t{}", shown(theirs))),
            Some(price) if of(&price) == theirs => found.same += 1,
            Some(price) => found.different.push(format!(
                "different\t{provider}\t{own}\tours {}\ttheirs {}",
                shown(of(&price)),
                shown(theirs)
            )),
        }
    }
    found
}

/// Prices of input, output and cached input in millionths of a dollar for a million tokens.
type Rates = [u64; 3];

/// Provider, the vendor's own name and prices, if the entry is one that Gantry could price.
fn priced<'a>(name: &'a str, model: &Model) -> Option<(&'static str, &'a str, Rates)> {
    let named = model.litellm_provider.as_deref()?;
    let (theirs, provider) = PROVIDERS.iter().find(|(theirs, _)| *theirs == named)?;
    if !MODES.contains(&model.mode.as_deref()?) {
        return None;
    }
    let own = name.strip_prefix(&format!("{theirs}/")).unwrap_or(name);
    // What has a region, a size or a tier before its name is no name that is called.
    let plain = own == name || !own.contains('/') || ["openrouter", "together_ai"].contains(theirs);
    let input = model.input_cost_per_token.and_then(rate)?;
    let output = model.output_cost_per_token.and_then(rate).unwrap_or_default();
    let cached = model.cache_read_input_token_cost.and_then(rate).unwrap_or(input);
    plain.then_some((provider, own, [input, output, cached]))
}

/// Trillionths of a dollar.
fn rate(dollars: f64) -> Option<u64> {
    decimal_units(&format!("{dollars:.12}"), 12)
}

fn of(price: &Price) -> Rates {
    let rates = &price.rates;
    [rates.input.0, rates.output.0, rates.cache_read.unwrap_or(rates.input).0]
}

fn shown(rates: Rates) -> String {
    let dollars = |rate: u64| format!("{}.{:06}", rate / 1_000_000, rate % 1_000_000);
    let [input, output, cached] =
        rates.map(|rate| dollars(rate).trim_end_matches('0').trim_end_matches('.').to_owned());
    format!("input={input} output={output} cache_read={cached}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_price_is_the_same_different_or_missing() {
        let text = "%release r-1\nopenai\tgpt-x\tgpt-x\tinput=2.5 output=10 cache_read=1.25\n\
                    openai\tgpt-y\tgpt-y\tinput=1\n";
        let ours = PriceCatalogue::new(text).unwrap();
        let model = |provider: &str, mode: &str, input: f64, output: f64| {
            json!({
                "litellm_provider": provider, "mode": mode, "input_cost_per_token": input,
                "output_cost_per_token": output, "cache_read_input_token_cost": input / 2.0,
            })
        };
        let theirs = json!({
            "sample_spec": {"mode": "one of"},
            "openai/gpt-x": model("openai", "chat", 2.5e-6, 1e-5),
            "gpt-y": model("openai", "chat", 1e-6, 4e-6),
            "gpt-z": model("openai", "responses", 3e-7, 0.0),
            "gpt-image": model("openai", "image_generation", 1e-6, 1e-6),
            "other": model("unheard-of", "chat", 1e-6, 1e-6),
        });
        let theirs = serde_json::from_value(theirs).unwrap();
        let found = compare(&theirs, &ours);
        let expected = Found {
            same: 1,
            different: vec![
                "different\topenai\tgpt-y\tours input=1 output=0 cache_read=1\ttheirs input=1 \
                 output=4 cache_read=0.5"
                    .to_owned(),
            ],
            missing: vec!["missing\topenai\tgpt-z\tinput=0.3 output=0 cache_read=0.15".to_owned()],
        };
        assert_eq!(found, expected);
    }
}
