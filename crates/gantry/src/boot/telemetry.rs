//! `[telemetry]` of the boot configuration, and the variables of other tools that stand for it.
//!
//! `boot` reads it once; it never looks at a variable after the start.

use super::http_url;
use anyhow::{Context, anyhow};
use gantry_model::secret::Secret;
use gantry_telemetry::metrics::MetadataLabels;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Begins an error about one.
const VARIABLE: &str = "environment variable";

/// The metadata keys that are labels, as TrueFoundry's gateway takes them.
const LABELS_VARIABLE: &str = "LLM_GATEWAY_METADATA_LOGGING_KEYS";

/// OpenTelemetry's own variables: a receiver of everything, and one of traces alone.
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Metrics, and traces to an OpenTelemetry collector, besides the records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Base address of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. Default: the
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT`, else no traces leave.
    #[serde(deserialize_with = "optional_url")]
    pub otlp_endpoint: Option<String>,
    /// The whole address for traces, from `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, which wins.
    #[serde(skip)]
    pub traces_url: Option<String>,
    /// Metadata keys whose values are labels in `/metrics`. Default: the variable
    /// `LLM_GATEWAY_METADATA_LOGGING_KEYS`, a JSON list, else none.
    pub metadata_labels: MetadataLabels,
    /// Whoever sends it as a bearer token gets metrics and tasks on the data port too. Default:
    /// none, and there only administrators of a control plane in the process get them.
    pub metrics_token: Option<Secret>,
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
        let url = |name: &str| {
            variable(name)
                .map(|text| http_url(&text).map_err(|error| anyhow!("{VARIABLE} {name}: {error}")))
                .transpose()
        };
        self.traces_url = url(TRACES_VARIABLE)?;
        if self.otlp_endpoint.is_none() {
            self.otlp_endpoint = url(OTLP_VARIABLE)?;
        }
        if self.metadata_labels.is_empty()
            && let Some(keys) = variable(LABELS_VARIABLE)
        {
            self.metadata_labels = serde_json::from_str(&keys).with_context(|| {
                format!(
                    "{VARIABLE} {LABELS_VARIABLE}: expected a JSON list such as \
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
        named.complete(|name| (name == LABELS_VARIABLE).then(|| "[]".to_owned())).unwrap();
        assert_eq!(named.metadata_labels, keys(&["own"]));
    }

    #[test]
    fn a_receiver_in_the_configuration_wins_over_the_variable_and_one_for_traces_over_both() {
        let taken = completed(OTLP_VARIABLE, "http://otel:4318").unwrap();
        assert_eq!(taken.otlp_endpoint.as_deref(), Some("http://otel:4318"));
        let own = Some("http://own:4318".to_owned());
        let mut named = Telemetry { otlp_endpoint: own.clone(), ..Telemetry::default() };
        let set =
            |name: &str| (name != LABELS_VARIABLE).then(|| "http://otel/v1/traces".to_owned());
        named.complete(set).unwrap();
        assert_eq!(named.otlp_endpoint, own);
        assert_eq!(named.traces_url.as_deref(), Some("http://otel/v1/traces"));
    }

    #[test]
    fn variables_that_cannot_work_are_named_with_what_was_expected() {
        let cases = [
            (OTLP_VARIABLE, "nonsense", "is no URL: expected such as http://"),
            (TRACES_VARIABLE, "otel:4318", "is no URL: expected such as http://"),
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
