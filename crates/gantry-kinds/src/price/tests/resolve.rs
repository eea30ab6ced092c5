//! Which price a model of an account has.

use super::super::*;
use super::usage;
use crate::kinds::provider_account::ProviderAccount;
use serde_json::{Value, json};

/// 1000 input and 200 output tokens on 2026-11-01, of one model of an account with a discount of
/// ten percent.
fn charge(provider: &str, model: Value) -> Result<Option<(i64, String)>, Error> {
    let account: ProviderAccount = serde_json::from_value(json!({
        "type": format!("provider-account/{provider}"),
        "name": "main",
        "discount_percent": 10.0,
        "integrations": [model],
    }))
    .unwrap();
    let price = model_price(&account, &account.integrations[0])?;
    let used = usage([1_000, 0, 0, 0, 200, 0]);
    let charge = price.as_ref().and_then(|price| price.charge(&used, 20_758 * 86_400_000));
    Ok(charge.map(|charge| (charge.cost.0, charge.version.to_owned())))
}

#[test]
fn the_operators_price_wins_over_the_catalogue() {
    let public = format!("openai/gpt-4o@{}", PriceCatalogue::embedded().release());
    let own = json!({"metric": "per_1000_tokens", "value": {"input": 0.001, "output": 0.002}});
    let integration = |name: &str| json!({"type": "integration/model/x", "name": name});
    let with = |name: &str, key: &str, value: Value| {
        let mut model = integration(name);
        model[key] = value;
        model
    };
    let cases = [
        // (1000 * 2500 + 200 * 10000) * 0.9
        ("openai", integration("gpt-4o"), Some((4_050_000, public.as_str()))),
        ("openai", with("mine", "model_id", json!("gpt-4o")), Some((4_050_000, &public))),
        (
            "azure-openai",
            with("d1", "foundation_model", json!("gpt-4o")),
            Some((4_050_000, &public)),
        ),
        (
            "openai",
            with("gpt-4o", "cost", json!({"metric": "public_cost"})),
            Some((4_050_000, &public)),
        ),
        // 1000 * 1000 + 200 * 2000, without the discount
        ("openai", with("gpt-4o", "cost", own.clone()), Some((1_400_000, "manifest"))),
        ("self-hosted-model", with("gpt-4o", "cost", own), Some((1_400_000, "manifest"))),
        ("self-hosted-model", integration("gpt-4o"), None),
    ];
    for (provider, model, expected) in cases {
        let expected = expected.map(|(nano, version)| (nano, version.to_owned()));
        assert_eq!(charge(provider, model.clone()), Ok(expected), "{provider} {model}");
    }
}

#[test]
fn a_price_that_is_none_names_its_field() {
    let cost = json!({"metric": "per_1000_tokens", "value": {"input": 0.001, "output": -1.0}});
    let model = json!({"type": "integration/model/x", "name": "m", "cost": cost});
    let refused = charge("openai", model).unwrap_err();
    assert_eq!(refused, Error::NotAPrice { field: "output", found: "-1".to_owned() });
}
