//! What is known of models by name: the rows of `data/models.toml`.
//!
//! The catalogue joins them to the quirks of their providers, which the printers of requests are
//! given. Nothing here is needed to call a model: one that is not known gets what the caller sent.

use super::Provider;
use gantry_model::facts::ModelTraits;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<ModelTraits>,
}

/// Adds the rows of `text` to the quirks of their providers.
pub(super) fn join(providers: &mut [Provider], text: &str) -> Result<(), toml::de::Error> {
    for row in toml::from_str::<File>(text)?.model {
        for provider in providers.iter_mut().filter(|each| row.providers.contains(&each.name)) {
            provider.quirks.models.push(row.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{File, ModelTraits};
    use crate::catalogue::provider;

    fn traits(at: &str, name: &str) -> Option<&'static ModelTraits> {
        provider(at).unwrap().quirks.model(name)
    }

    #[test]
    fn rows_are_found_by_provider_and_name() {
        for (at, name, output) in [
            ("openai", "gpt-4o-mini", 16384),
            ("openai", "GPT-4o-2024-08-06", 16384),
            ("openai", "gpt-4o-2024-05-13", 4096),
            ("openai", "gpt-4-1106-preview", 4096),
            ("openai", "ft:gpt-4.1-mini-2025-04-14:acme::x", 32768),
            ("azure-openai", "gpt-5-mini", 128_000),
            ("openai", "gpt-5-chat-latest", 16384),
            ("openai", "gpt-5.2-chat-latest", 16384),
            ("openai", "o4-mini-2025-04-16", 100_000),
            ("groq", "openai/gpt-oss-20b", 65536),
        ] {
            let found = traits(at, name).and_then(|found| found.output_tokens_max);
            assert_eq!(found, Some(output), "{at} {name}");
        }
        for (at, name) in [
            ("openai", "gpt-7"),
            ("openai", "gpt-5-pro"),
            ("openai", "o4-mini-deep-research"),
            ("azure-openai", "my-deployment"),
            ("self-hosted-model", "gpt-4o"),
        ] {
            assert_eq!(traits(at, name), None, "{at} {name}");
        }
    }

    #[test]
    fn what_is_said_of_efforts_fits_together() {
        let order = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
        let rows: File = toml::from_str(include_str!("../../data/models.toml")).unwrap();
        for traits in rows.model {
            let names = &traits.names;
            assert!(!names.is_empty());
            assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()), "{names:?}");
            for at in &traits.providers {
                assert!(provider(at).is_some(), "{at}");
            }
            let efforts = traits.efforts.unwrap_or_default();
            let ranks: Vec<_> = efforts.iter().map(|e| order.iter().position(|o| o == e)).collect();
            assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted(), "{efforts:?}");
            for effort in [traits.default_effort, traits.tools_effort].into_iter().flatten() {
                assert!(efforts.contains(&effort), "{names:?}: {effort}");
            }
        }
    }
}
