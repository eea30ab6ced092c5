//! Metadata keys whose values label the metrics that tell callers apart.
//!
//! The boot configuration names the keys; `series` asks for the value of each record. Values come
//! from callers, so only the first [`VALUES_MAX`] of each key are kept apart: it never lets a
//! caller make as many time series as it likes.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Stands for all label values beyond the limit.
pub(super) const OTHER: &str = "other";

/// Most metadata keys that may be labels.
///
/// Each multiplies the number of series; a page has at most `label_sets_max` sets in any case.
pub(super) const KEYS_MAX: usize = 8;

/// Most values of one key that are kept apart; the ones after them are counted as `other`.
const VALUES_MAX: usize = 100;

/// Begins the name of each such label, as in TrueFoundry's gateway.
const PREFIX: &str = "llm_gateway_metadata_";

/// The keys that are labels, each with the name of its label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct MetadataLabels(Vec<(String, String)>);

/// Why a list of metadata keys cannot be one of labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLabels {
    #[error("an empty text is no metadata key: expected such as `environment`")]
    Empty,
    #[error("{0} metadata keys are too many for labels: expected at most {KEYS_MAX}")]
    TooMany(usize),
    #[error("`{first}` and `{second}` would both be the label `{label}`: expected one of them")]
    Same { first: String, second: String, label: String },
}

impl TryFrom<Vec<String>> for MetadataLabels {
    type Error = BadLabels;

    fn try_from(keys: Vec<String>) -> Result<Self, BadLabels> {
        if keys.len() > KEYS_MAX {
            return Err(BadLabels::TooMany(keys.len()));
        }
        let mut labels = BTreeMap::new();
        let mut pairs = Vec::with_capacity(keys.len());
        for key in keys {
            if key.is_empty() {
                return Err(BadLabels::Empty);
            }
            let label = label(&key);
            if let Some(first) = labels.insert(label.clone(), key.clone()) {
                return Err(BadLabels::Same { first, second: key, label });
            }
            pairs.push((key, label));
        }
        Ok(Self(pairs))
    }
}

impl MetadataLabels {
    /// Whether no key is a label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, label)| label.as_str())
    }

    /// For each key the values seen, none yet.
    pub(super) fn values(&self) -> Vec<Values> {
        let none = |key: &String| Values { key: key.clone(), seen: Vec::new() };
        self.0.iter().map(|(key, _)| none(key)).collect()
    }
}

/// The values of one key that are kept apart, sorted.
#[derive(Debug)]
pub(super) struct Values {
    key: String,
    seen: Vec<String>,
}

impl Values {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The value itself, or `other` when there are too many before it.
    pub(super) fn bounded<'a>(&mut self, value: &'a str) -> &'a str {
        match self.seen.binary_search_by(|seen| seen.as_str().cmp(value)) {
            Ok(_) => value,
            Err(_) if self.seen.len() >= VALUES_MAX => OTHER,
            Err(at) => {
                self.seen.insert(at, value.to_owned());
                value
            }
        }
    }
}

/// A label's name may hold ASCII letters, digits and `_`; each other character becomes `_`.
fn label(key: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    PREFIX.chars().chain(key.chars().map(fits)).collect()
}
