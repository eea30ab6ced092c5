//! Costs by hand-worked cases: the arithmetic stands beside each.

mod catalogue;
mod resolve;

use super::*;
use crate::kinds::common::CostMetric;
use gantry_model::money::{NanoUsd, PicoUsd};
use gantry_model::price::{Discount, Price, Rates, Tier, cost};
use gantry_model::usage::TokenUsage;

/// Dollars for a million tokens are pico-dollars for a token times 10^6.
fn per_million(micro_dollars: u64) -> PicoUsd {
    PicoUsd(micro_dollars)
}

fn price(rates: Rates) -> Price {
    Price {
        version: "test".to_owned(),
        effective_from_ms: 0,
        daily: None,
        rates,
        tiers: Vec::new(),
        per_request: PicoUsd(0),
    }
}

/// $2.50 input, $1.25 cached input, $10 output for a million tokens.
fn openai_style() -> Price {
    price(Rates {
        input: per_million(2_500_000),
        output: per_million(10_000_000),
        cache_read: Some(per_million(1_250_000)),
        ..Rates::default()
    })
}

/// $3 input, $0.30 reads, $3.75 writes of five minutes, $6 of an hour, $15 output; above 200,000
/// prompt tokens $6, $0.60, $7.50, $12, $22.50.
fn anthropic_style() -> Price {
    let base = Rates {
        input: per_million(3_000_000),
        output: per_million(15_000_000),
        cache_read: Some(per_million(300_000)),
        cache_write: Some(per_million(3_750_000)),
        cache_write_1h: Some(per_million(6_000_000)),
        reasoning: None,
    };
    let large = Rates {
        input: per_million(6_000_000),
        output: per_million(22_500_000),
        cache_read: Some(per_million(600_000)),
        cache_write: Some(per_million(7_500_000)),
        cache_write_1h: Some(per_million(12_000_000)),
        reasoning: None,
    };
    let tier = Tier { above_input_tokens: 200_000, rates: large };
    Price { tiers: vec![tier], ..price(base) }
}

/// Tokens in the order input, cache_read, cache_write, cache_write_1h, output, reasoning.
fn usage(tokens: [u64; 6]) -> TokenUsage {
    let [input, cache_read, cache_write, cache_write_1h, output, reasoning] = tokens;
    TokenUsage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
}

#[test]
fn costs_what_the_provider_would_bill() {
    // 1 dollar for a million tokens is 1000 nano-dollars a token.
    let cases = [
        // 1000 * 2500 + 200 * 10000
        ("plain", openai_style(), [1_000, 0, 0, 0, 200, 0], 4_500_000),
        // (1000 - 600) * 2500 + 600 * 1250 + 200 * 10000
        ("cached input", openai_style(), [1_000, 600, 0, 0, 200, 0], 3_750_000),
        // no write rate: writes cost as input, (1000 - 600 - 300 + 300) * 2500 + 600 * 1250
        ("free cache writes", openai_style(), [1_000, 600, 300, 0, 0, 0], 1_750_000),
        // reasoning without a rate of its own is output: 100 * 2500 + 500 * 10000
        ("reasoning in output", openai_style(), [100, 0, 0, 0, 500, 400], 5_250_000),
        // (10000 - 6000 - 3000) * 3000 + 6000 * 300 + 3000 * 3750 + 500 * 15000
        //   = 3000000 + 1800000 + 11250000 + 7500000
        ("five-minute writes", anthropic_style(), [10_000, 6_000, 3_000, 0, 500, 0], 23_550_000),
        // as above with 1000 of the writes at 6000: 3000000 + 1800000 + 2000 * 3750 + 6000000
        //   + 7500000
        ("one-hour writes", anthropic_style(), [10_000, 6_000, 3_000, 1_000, 500, 0], 25_800_000),
        // the threshold itself is still the base price: 200000 * 3000 + 1000 * 15000
        ("at the tier", anthropic_style(), [200_000, 0, 0, 0, 1_000, 0], 615_000_000),
        // one more token and the whole request costs more: 200001 * 6000 + 1000 * 22500
        ("above the tier", anthropic_style(), [200_001, 0, 0, 0, 1_000, 0], 1_222_506_000),
        // cached tokens count towards the threshold: 1 * 6000 + 200000 * 600
        ("cached above the tier", anthropic_style(), [200_001, 200_000, 0, 0, 0, 0], 120_006_000),
        ("nothing", anthropic_style(), [0, 0, 0, 0, 0, 0], 0),
    ];
    for (name, price, tokens, nano) in cases {
        assert_eq!(cost(&price, &usage(tokens), Discount::NONE), NanoUsd(nano), "{name}");
    }
}

#[test]
fn reasoning_and_requests_have_prices_of_their_own() {
    let mut price = price(Rates {
        input: per_million(2_000_000),
        output: per_million(8_000_000),
        reasoning: Some(per_million(3_000_000)),
        ..Rates::default()
    });
    // 100 * 2000 + (500 - 400) * 8000 + 400 * 3000
    let used = usage([100, 0, 0, 0, 500, 400]);
    assert_eq!(cost(&price, &used, Discount::NONE), NanoUsd(2_200_000));
    // $12 for 1000 requests are 12 million nano-dollars for one
    price.per_request = PicoUsd(12_000_000_000);
    assert_eq!(cost(&price, &used, Discount::NONE), NanoUsd(14_200_000));
}

#[test]
fn rounds_once_and_half_up() {
    // An embedding model at $0.02 for a million tokens: 20 nano-dollars a token.
    let embedding = |pico| price(Rates { input: PicoUsd(pico), ..Rates::default() });
    let cases = [
        (20_000, 8, 160),
        (20_000, 1, 20),
        // below one nano-dollar: 499 pico are none, 500 are one
        (499, 1, 0),
        (500, 1, 1),
        // rounded as a whole, not token by token: 3 * 499 = 1497 pico
        (499, 3, 1),
        (1, 2_499, 2),
    ];
    for (pico, tokens, nano) in cases {
        let used = usage([tokens, 0, 0, 0, 0, 0]);
        let found = cost(&embedding(pico), &used, Discount::NONE);
        assert_eq!(found, NanoUsd(nano), "{tokens} tokens at {pico} pico-dollars");
    }
}

#[test]
fn discounts_are_taken_before_rounding() {
    // The plain call above costs 4500000.
    let cases = [
        (0.0, 4_500_000),
        (10.0, 4_050_000),
        (12.5, 3_937_500),
        // 4500000 * 0.666667 = 3000001.5
        (33.3333, 3_000_002),
        (100.0, 0),
    ];
    for (percent, nano) in cases {
        let share = discount(percent).unwrap();
        let found = cost(&openai_style(), &usage([1_000, 0, 0, 0, 200, 0]), share);
        assert_eq!(found, NanoUsd(nano), "{percent} percent");
    }
    for percent in [-0.1, 100.1, f64::NAN, f64::INFINITY, 1e300] {
        let refused = discount(percent).unwrap_err();
        assert!(refused.to_string().contains("from 0 to 100"), "{percent}");
    }
}

#[test]
fn usage_that_contradicts_itself_never_costs_less_than_nothing() {
    let cases = [
        // all 100 tokens are reads: 100 * 300
        ("reads above input", [100, 900, 0, 0, 0, 0], 30_000),
        // 60 reads leave room for 40 writes: 60 * 300 + 40 * 3750
        ("reads and writes above input", [100, 60, 90, 0, 0, 0], 168_000),
        // of 40 writes at most 40 are long: 60 * 300 + 40 * 6000
        ("long writes above writes", [100, 60, 40, 90, 0, 0], 258_000),
        // no more reasoning than output: 10 * 15000
        ("reasoning above output", [0, 0, 0, 0, 10, 99], 150_000),
    ];
    for (name, tokens, nano) in cases {
        let found = cost(&anthropic_style(), &usage(tokens), Discount::NONE);
        assert_eq!(found, NanoUsd(nano), "{name}");
    }
    let absurd = cost(&anthropic_style(), &usage([u64::MAX; 6]), Discount::NONE);
    assert_eq!(absurd, NanoUsd(i64::MAX));
}

#[test]
fn cancelled_streams_cost_their_estimated_usage() {
    // 4000 bytes of prompt and 801 of answer at four bytes a token are 1000 and 201 tokens:
    // 1000 * 2500 + 201 * 10000
    let used = TokenUsage {
        input: gantry_model::estimate::tokens_from_text_bytes(4_000),
        output: gantry_model::estimate::tokens_from_text_bytes(801),
        ..TokenUsage::default()
    };
    assert_eq!(cost(&openai_style(), &used, Discount::NONE), NanoUsd(4_510_000));
}

#[test]
fn reads_the_prices_of_a_manifest_exactly() {
    let chat = |input, output, cache_read| {
        let text = serde_json::json!({
            "type": "per_1000_tokens", "input": input, "output": output, "cache_read": cache_read,
        });
        serde_json::from_value::<CostMetric>(text).unwrap()
    };
    // $0.00015 for 1000 tokens: 0.00015 * 10^12 / 1000 pico-dollars a token
    let found = of_cost(&chat(0.000_15, 0.1, 0.000_075)).unwrap().unwrap();
    assert_eq!(found.version, "manifest");
    assert_eq!(found.rates.input, PicoUsd(150_000));
    assert_eq!(found.rates.output, PicoUsd(100_000_000));
    assert_eq!(found.rates.cache_read, Some(PicoUsd(75_000)));
    assert_eq!(found.rates.cache_write, None);
    // 0.1 + 0.2 is 0.30000000000000004 as an f64 and rounds to what was meant
    let found = of_cost(&chat(0.1 + 0.2, -0.0, 0.0)).unwrap().unwrap();
    assert_eq!((found.rates.input, found.rates.output), (PicoUsd(300_000_000), PicoUsd(0)));

    let embedding: CostMetric =
        serde_json::from_str(r#"{"type": "per_1000_embedding_tokens", "input": 0.00002}"#).unwrap();
    let found = of_cost(&embedding).unwrap().unwrap();
    // 5 tokens at 20 nano-dollars
    let used = usage([5, 0, 0, 0, 0, 0]);
    assert_eq!(cost(&found, &used, Discount::NONE), NanoUsd(100));

    assert_eq!(of_cost(&CostMetric::PublicCost), Ok(None));
}

#[test]
fn refuses_prices_of_a_manifest_that_are_none() {
    for input in [-0.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e20] {
        let refused = of_cost(&CostMetric::Per1000EmbeddingTokens { input }).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("`input`") && text.contains(&input.to_string()), "{text}");
    }
}
