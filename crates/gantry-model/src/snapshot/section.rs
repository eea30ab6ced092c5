//! One section: entries as JSON text, which are read one by one.
//!
//! The control plane makes them, the gateway reads them. Nothing here knows what an entry means.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The version of every section's entries that this release writes and reads.
pub const VERSION: u32 = 1;

/// Makes a digest of bytes, as text that may stand in a URL.
pub type Digest<'a> = dyn Fn(&[u8]) -> String + 'a;

/// Entries of one kind. Clones share them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Section {
    /// Of the entries' meaning. A reader that knows only earlier ones can use no entry.
    pub version: u32,
    /// Differs whenever the entries do. Receivers compare it and do not compute it; an empty one
    /// equals nothing.
    pub digest: String,
    /// A JSON array. `None`: the receiver has the section with this digest.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_entries",
        deserialize_with = "read_entries"
    )]
    entries: Option<Arc<RawValue>>,
}

/// An entry that this release cannot use, with what can be told of it all the same.
#[derive(Debug)]
pub struct Unread {
    /// A lower-case fragment that fits after "failed to".
    pub reason: String,
    text: Box<str>,
}

impl Unread {
    /// A field that can be read by itself, such as the entry's name.
    #[must_use]
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&self.text).ok()?;
        serde_json::from_str(fields.get(name)?.get()).ok()
    }
}

impl Section {
    /// # Errors
    /// When an entry cannot be written as JSON, which no value of the contract's types causes.
    pub fn new<T: Serialize>(
        entries: &[T],
        digest: &Digest<'_>,
    ) -> Result<Self, serde_json::Error> {
        let entries: Arc<RawValue> = to_raw_value(entries)?.into();
        let digest = digest(entries.get().as_bytes());
        Ok(Self { version: VERSION, digest, entries: Some(entries) })
    }

    /// The entries, each by itself.
    ///
    /// A section of a later version, or whose entries are no list, has none that can be used.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Vec<Result<T, Unread>> {
        let text = self.entries.as_ref().map_or("[]", |entries| entries.get());
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(text) else {
            let reason = "read the section: it is no list of entries".to_owned();
            return vec![Err(Unread { reason, text: "{}".into() })];
        };
        entries.into_iter().map(|entry| self.entry(entry.get())).collect()
    }

    fn entry<T: DeserializeOwned>(&self, text: &str) -> Result<T, Unread> {
        let unread = |reason: String| Unread { reason, text: text.into() };
        if self.version > VERSION {
            return Err(unread(format!(
                "read the entry: it is of version {}, and this release knows {VERSION}",
                self.version
            )));
        }
        serde_json::from_str(text).map_err(|error| unread(format!("read the entry: {error}")))
    }

    pub(super) fn is_sent(&self) -> bool {
        self.entries.is_some()
    }

    /// Stands for the section to somebody who has it.
    pub(super) fn unsent(&self) -> Self {
        Self { entries: None, ..self.clone() }
    }
}

/// Entries may name hosts and people: debug output shows none.
impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.entries.as_ref().map(|entries| entries.get().len());
        f.debug_struct("Section")
            .field("version", &self.version)
            .field("digest", &self.digest)
            .field("bytes", &bytes)
            .finish()
    }
}

fn write_entries<S: Serializer>(
    entries: &Option<Arc<RawValue>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    entries.as_deref().serialize(serializer)
}

fn read_entries<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<RawValue>>, D::Error> {
    Ok(Some(Box::<RawValue>::deserialize(from)?.into()))
}
