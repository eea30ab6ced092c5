//! Clear values of secret references, apart from the entries that use them.

use super::section::Digest;
use crate::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values by whole reference, `env://NAME` or `tfy-secret://…`. Clones share them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// As of a section. Whoever publishes it over a network mixes something unknown in, so that
    /// nobody can try out values against it.
    pub digest: String,
    /// `None`: the receiver has the values with this digest.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write",
        deserialize_with = "read"
    )]
    values: Option<Arc<BTreeMap<String, Secret>>>,
}

impl Secrets {
    #[must_use]
    pub fn new(values: BTreeMap<String, Secret>, digest: &Digest<'_>) -> Self {
        let mut text = Vec::new();
        for (reference, value) in &values {
            // Neither holds a NUL, so that no two sets have one text.
            for part in [reference.as_str(), value.expose()] {
                text.extend_from_slice(part.as_bytes());
                text.push(0);
            }
        }
        let digest = digest(&text);
        zeroize::Zeroize::zeroize(&mut text);
        Self { digest, values: Some(Arc::new(values)) }
    }

    #[must_use]
    pub fn get(&self, reference: &str) -> Option<&Secret> {
        self.values.as_ref()?.get(reference)
    }

    /// References with their values, in the references' order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let values = self.values.iter().flat_map(|values| values.iter());
        values.map(|(reference, value)| (reference.as_str(), value))
    }

    pub(super) fn is_sent(&self) -> bool {
        self.values.is_some()
    }

    pub(super) fn unsent(&self) -> Self {
        Self { digest: self.digest.clone(), values: None }
    }
}

fn write<S: Serializer>(
    values: &Option<Arc<BTreeMap<String, Secret>>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    values.as_deref().serialize(serializer)
}

fn read<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Arc<BTreeMap<String, Secret>>>, D::Error> {
    Ok(Some(Arc::new(BTreeMap::deserialize(from)?)))
}
