//! `[telemetry]` of the boot configuration, and the variables of other tools that stand for it.
//!
//! `boot` reads it once; it never looks at a variable after the start.

use super::http_url;
use anyhow::Context;
use gantry_telemetry::metrics::MetadataLabels;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The metadata keys that are labels, as TrueFoundry's gateway takes them.
const LABELS_VARIABLE: &str = "LLM_GATEWAY_METADATA_LOGGING_KEYS";

/// Metrics, and traces to an OpenTelemetry collector, besides the records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Base address of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. Default: the
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT`, else no traces leave.
    #[serde(deserialize_with = "optional_url")]
    pub otlp_endpoint: Option<String>,
    /// Metadata keys whose values are labels in `/metrics`. Default: the variable
    /// `LLM_GATEWAY_METADATA_LOGGING_KEYS`, a JSON list, else none.
    pub metadata_labels: MetadataLabels,
}

impl Telemetry {
    /// Takes from variables what the configuration leaves open.
    ///
    /// # Errors
    /// When a variable cannot work; the message names it.
    pub(super) fn complete(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<()> {
        if self.metadata_labels.is_empty()
            && let Some(keys) = variable(LABELS_VARIABLE)
        {
            self.metadata_labels = serde_json::from_str(&keys).with_context(|| {
                format!(
                    "environment variable {LABELS_VARIABLE}: expected a JSON list such as \
                     [\"environment\"], found `{keys}`"
                )
            })?;
        }
        Ok(())
    }
}

fn optional_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| http_url(&text)).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(name: &str, value: &str) -> Result<Telemetry, String> {
        let mut telemetry = Telemetry::default();
        let variable = |asked: &str| (asked == name).then(|| value.to_owned());
        let done = telemetry.complete(variable);
        done.map(|()| telemetry).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn metadata_labels_come_from_the_variable_unless_the_configuration_names_some() {
        let keys = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            MetadataLabels::try_from(keys).unwrap()
        };
        let taken = completed(LABELS_VARIABLE, r#"["team", "app"]"#).unwrap();
        assert_eq!(taken.metadata_labels, keys(&["team", "app"]));
        let mut named = Telemetry { metadata_labels: keys(&["own"]), ..Telemetry::default() };
        named.complete(|_| Some(r#"["team"]"#.to_owned())).unwrap();
        assert_eq!(named.metadata_labels, keys(&["own"]));
    }

    #[test]
    fn variables_that_cannot_work_are_named_with_what_was_expected() {
        let cases = [
            (LABELS_VARIABLE, "team", "expected a JSON list such as [\"environment\"]"),
            (LABELS_VARIABLE, "[\"\"]", "an empty text is no metadata key"),
        ];
        for (name, value, expected) in cases {
            let error = completed(name, value).unwrap_err();
            assert!(error.starts_with(&format!("environment variable {name}: ")), "{error}");
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(value), "{error}");
        }
    }
}
