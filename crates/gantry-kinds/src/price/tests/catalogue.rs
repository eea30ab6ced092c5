//! The catalogue: the compiled-in file whole, known public prices, and look-ups.

use super::super::*;
use gantry_model::ids::UnixMs;
use gantry_model::money::PicoUsd;
use gantry_model::price::Price;

/// Midnight UTC, 2026-11-01 (20,758 days after the epoch).
const NOVEMBER_2026: UnixMs = 20_758 * 86_400_000;

fn find(provider: &str, model: &str, at_ms: UnixMs) -> Option<Price> {
    PriceCatalogue::embedded().find(provider, model, at_ms)
}

/// Input, output and cache-read rates in pico-dollars a token.
fn rates(price: &Price) -> (u64, u64, Option<u64>) {
    let rates = &price.rates;
    (rates.input.0, rates.output.0, rates.cache_read.map(|rate| rate.0))
}

#[test]
fn the_compiled_in_catalogue_parses_wholly_and_is_sorted() {
    let text = include_str!("../../../data/prices.tsv");
    let catalogue = PriceCatalogue::new(text).unwrap();
    assert!(catalogue.models() > 1_500, "{} models", catalogue.models());
    assert!(catalogue.release().starts_with("genai-prices-"), "{}", catalogue.release());
    for (ours, theirs) in provider_map() {
        assert!(text.contains(&format!("\n{theirs}\t")), "no prices for {ours}");
    }
}

#[test]
fn knows_public_prices() {
    // Dollars for a million tokens times 10^6 are pico-dollars a token.
    let cases = [
        // $2.50, $10, cached $1.25; a dated snapshot has the same
        ("openai", "gpt-4o", (2_500_000, 10_000_000, Some(1_250_000))),
        ("openai", "gpt-4o-2024-08-06", (2_500_000, 10_000_000, Some(1_250_000))),
        // the first snapshot was $5 and $15
        ("openai", "gpt-4o-2024-05-13", (5_000_000, 15_000_000, None)),
        // $0.15, $0.60, cached $0.075
        ("openai", "gpt-4o-mini", (150_000, 600_000, Some(75_000))),
        // $0.25, $2, cached $0.025
        ("openai", "gpt-5-mini-2025-08-07", (250_000, 2_000_000, Some(25_000))),
        // $0.02 and $0.13, no output
        ("openai", "text-embedding-3-small", (20_000, 0, None)),
        ("azure-openai", "text-embedding-3-large", (130_000, 0, None)),
        // $0.80, $4, reads $0.08
        ("anthropic", "claude-3-5-haiku-20241022", (800_000, 4_000_000, Some(80_000))),
        // $3, $15, reads $0.30
        ("anthropic", "claude-sonnet-4-5-20250929", (3_000_000, 15_000_000, Some(300_000))),
        // a regional profile of Bedrock costs a tenth more
        (
            "aws-bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            (3_300_000, 16_500_000, Some(330_000)),
        ),
        // $1.25, $10, cached $0.125
        ("google-gemini", "gemini-2.5-pro", (1_250_000, 10_000_000, Some(125_000))),
        // $0.59 and $0.79
        ("groq", "llama-3.3-70b-versatile", (590_000, 790_000, None)),
        // $0.88 each; names are found in any case
        ("together-ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", (880_000, 880_000, None)),
    ];
    for (provider, model, expected) in cases {
        let price = find(provider, model, NOVEMBER_2026).expect(model);
        assert_eq!(rates(&price), expected, "{provider} {model}");
    }
}

#[test]
fn prices_follow_their_dates() {
    // o3 fell from $10 and $40 to $2 and $8 on 2025-06-10, which is 20,249 days after the epoch.
    let june_10 = 20_249 * 86_400_000;
    let before = find("openai", "o3", june_10 - 1).unwrap();
    assert_eq!((before.rates.input.0, before.rates.output.0), (10_000_000, 40_000_000));
    assert_eq!(before.version, format!("openai/o3@{}", PriceCatalogue::embedded().release()));
    let after = find("openai", "o3", june_10).unwrap();
    assert_eq!((after.rates.input.0, after.rates.output.0), (2_000_000, 8_000_000));
    assert_eq!(after.version, "openai/o3@2025-06-10");
    assert_eq!(after.effective_from_ms, june_10);
}

#[test]
fn large_prompts_and_long_cache_lifetimes_have_their_rates() {
    // Sonnet 4.5 above 200,000 tokens: $6, $22.50; one-hour writes $6 below and $12 above.
    let price = find("anthropic", "claude-sonnet-4-5", NOVEMBER_2026).unwrap();
    let [tier] = price.tiers.as_slice() else { panic!("expected one tier") };
    assert_eq!(tier.above_input_tokens, 200_000);
    assert_eq!((tier.rates.input.0, tier.rates.output.0), (6_000_000, 22_500_000));
    assert_eq!(price.rates.cache_write_1h, Some(PicoUsd(6_000_000)));
    assert_eq!(tier.rates.cache_write_1h, Some(PicoUsd(12_000_000)));
    // $12 for 1000 requests beside $1 for a million tokens
    let price = find("perplexity-ai", "sonar", NOVEMBER_2026).unwrap();
    assert_eq!(price.per_request, PicoUsd(12_000_000_000));
}

#[test]
fn resold_models_have_the_price_of_their_maker() {
    let price = find("azure-openai", "gpt-4o", NOVEMBER_2026).unwrap();
    assert!(price.version.starts_with("openai/gpt-4o@"), "{}", price.version);
    let price = find("azure-foundry", "claude-sonnet-4-5", NOVEMBER_2026).unwrap();
    assert!(price.version.starts_with("anthropic/claude-sonnet-4-5@"), "{}", price.version);
}

#[test]
fn what_is_not_known_has_no_price() {
    let cases = [
        ("openai", "gpt-of-my-own"),
        ("anthropic", "gpt-4o"),
        ("self-hosted-model", "gpt-4o"),
        ("openai", ""),
        // speech is priced by the minute, which usage does not count
        ("openai", "whisper-1"),
    ];
    for (provider, model) in cases {
        assert_eq!(find(provider, model, NOVEMBER_2026), None, "{provider} {model}");
    }
}

/// A small catalogue with what the large one may lose with a new release of its source.
const SMALL: &str = "# comment\n%release src-1\n%fallback azure openai\n\
    azure\town\town\tinput=1 output=2\n\
    deepseek\tnight\tnight*\tinput=4 ; ~16:30-00:30 input=1\n\
    openai\ta\ta-####-##-##\tinput=0.000001\n\
    openai\tb\tb*!*-tts\tinput=1 >10 input=2 cache_read=0.5 >20 output=9\n";

#[test]
fn finds_by_pattern_fallback_and_hour() {
    let catalogue = PriceCatalogue::new(SMALL).unwrap();
    let version = |provider, model, at| catalogue.find(provider, model, at).map(|p| p.version);
    let cases = [
        ("azure-openai", "own", 0, Some("azure/own@src-1")),
        ("azure-openai", "b-x", 0, Some("openai/b@src-1")),
        ("openai", "own", 0, None),
        ("openai", "b-tts", 0, None),
        ("openai", "B-X", 0, Some("openai/b@src-1")),
        ("openai", "a-2026-02-28", 0, Some("openai/a@src-1")),
        // a compact date is the dashed one, when there is such a day
        ("openai", "a-20260228", 0, Some("openai/a@src-1")),
        ("openai", "a-20260230", 0, None),
        ("openai", "a-202602281", 0, None),
        ("deepseek", "night-1", 59_399_999, Some("deepseek/night@src-1")),
        // 16:30 is 59,400 seconds after midnight, 00:30 the next day 1,800
        ("deepseek", "night-1", 59_400_000, Some("deepseek/night@src-1~16:30-00:30")),
        ("deepseek", "night-1", 86_400_000, Some("deepseek/night@src-1~16:30-00:30")),
        ("deepseek", "night-1", 88_200_000, Some("deepseek/night@src-1")),
    ];
    for (provider, model, at, expected) in cases {
        let expected = expected.map(str::to_owned);
        assert_eq!(version(provider, model, at), expected, "{provider} {model} at {at}");
    }
}

#[test]
fn tiers_keep_the_rates_below_that_they_do_not_name() {
    let price = PriceCatalogue::new(SMALL).unwrap().find("openai", "b", 0).unwrap();
    let at = |tokens| {
        let rates = price.rates_for(tokens);
        (rates.input.0, rates.output.0, rates.cache_read.map(|rate| rate.0))
    };
    assert_eq!(at(10), (1_000_000, 0, None));
    assert_eq!(at(11), (2_000_000, 0, Some(500_000)));
    assert_eq!(at(21), (2_000_000, 9_000_000, Some(500_000)));
}

#[test]
fn names_the_line_of_a_broken_catalogue() {
    let top = "%release src-1\n";
    let cases = [
        ("a\tb\tb\tinput=1\n", 1, "release"),
        ("%release src-1\na\tb\tinput=1\n", 2, "four columns"),
        ("%release src-1\na\tb\tb\tinput=1\n# late\n", 3, "four columns"),
        ("%release src-1\na\tb\tb\tinput=1\na\tb\tb\tinput=1\n", 3, "sorted"),
        ("%release src-1\nb\tb\tb\tinput=1\na\tc\tc\tinput=1\n", 3, "sorted"),
        ("%release src-1\na\tb\tb\tinput=-1\n", 2, "not a price"),
        ("%release src-1\na\tb\tb\tinput\n", 2, "key=dollars"),
        ("%release src-1\na\tb\tb\tthroughput=1\n", 2, "unknown key"),
        ("%release src-1\na\tb\tb\t@2026-02-30 input=1\n", 2, "no date"),
        ("%release src-1\na\tb\tb\t~24:00-01:00 input=1\n", 2, "no hours"),
        ("%release src-1\na\tb\tb\tinput=1 >x input=2\n", 2, "token count"),
        ("%release src-1\na\tb\tb\tinput=1 >9 input=2 >9 input=3\n", 2, "ascending"),
    ];
    for (text, line, what) in cases {
        let error = PriceCatalogue::new(text).unwrap_err();
        assert_eq!(error.line, line, "{text}");
        assert!(error.to_string().contains(what), "{error} for {text}");
    }
    assert_eq!(PriceCatalogue::new(top).unwrap().models(), 0);
}

#[test]
fn the_overlay_wins_is_sorted_and_names_its_source() {
    let text = include_str!("../../../data/prices-overlay.tsv");
    let overlay = PriceCatalogue::new(text).unwrap();
    assert!(text.contains("# Source: litellm") && overlay.release().starts_with("litellm-"));
    let base = PriceCatalogue::new("%release a-1\nopenai\tx\tx*\tinput=1\n").unwrap();
    let both = base.below("%release b-2\nopenai\tx-1\tx-1\tinput=2\n").unwrap();
    let found = |name: &str| both.find("openai", name, 0).map(|price| price.version);
    assert_eq!(found("x-1").as_deref(), Some("openai/x-1@b-2"));
    assert_eq!(found("x-2").as_deref(), Some("openai/x@a-1"));
}

#[test]
fn stale_and_absent_prices_of_the_source_are_mended() {
    let cases = [
        ("mistral-ai", "mistral-large-latest", (500_000, 1_500_000, Some(50_000))),
        ("mistral-ai", "codestral-latest", (300_000, 900_000, Some(30_000))),
        ("openai", "ft:gpt-4o-2024-08-06:org::x", (3_750_000, 15_000_000, Some(1_875_000))),
        ("openai", "ft:gpt-4o-mini-2024-07-18:org::x", (300_000, 1_200_000, Some(150_000))),
        ("openai", "ft:gpt-4.1-2025-04-14:org::x", (3_000_000, 12_000_000, Some(750_000))),
        ("openai", "ft:gpt-4.1-mini-2025-04-14:org::x", (800_000, 3_200_000, Some(200_000))),
        ("openai", "ft:gpt-4.1-nano-2025-04-14:org::x", (200_000, 800_000, Some(50_000))),
        ("aws-bedrock-mantle", "openai.gpt-oss-120b", (150_000, 600_000, None)),
        ("microsoft-foundry", "gpt-oss-120b", (150_000, 600_000, None)),
        ("azure-openai", "DeepSeek-R1", (1_350_000, 5_400_000, None)),
    ];
    for (provider, model, expected) in cases {
        let price = find(provider, model, NOVEMBER_2026).expect(model);
        assert_eq!(rates(&price), expected, "{provider} {model}");
    }
}

#[test]
fn azure_has_other_vendors_prices_only_where_they_are_the_same() {
    for model in
        ["gpt-oss-20b", "DeepSeek-R1-0528", "grok-2", "Kimi-K9", "Llama-9", "deepseek-chat"]
    {
        for provider in ["azure-openai", "microsoft-foundry"] {
            assert_eq!(find(provider, model, NOVEMBER_2026), None, "{provider} {model}");
        }
    }
    let same = find("microsoft-foundry", "claude-sonnet-4-5", NOVEMBER_2026).unwrap();
    assert_eq!(rates(&same), (3_000_000, 15_000_000, Some(300_000)));
}

#[test]
fn every_model_that_discovery_takes_has_a_price() {
    let mut without = Vec::new();
    for row in crate::catalogue::providers() {
        let known = provider_map().any(|(ours, _)| ours == row.name);
        for model in row.default_models.iter().filter(|_| known) {
            if find(&row.name, model, NOVEMBER_2026).is_none() {
                without.push(format!("{} {model}", row.name));
            }
        }
    }
    assert_eq!(without, [""; 0]);
}
