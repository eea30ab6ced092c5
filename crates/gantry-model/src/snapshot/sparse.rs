//! Writes a struct without the fields that have their usual values.
//!
//! An earlier gateway refuses entries with fields that it does not know: it must see a new field
//! only where it says something. Used for structs whose fields each have a default.

use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Fields = BTreeMap<String, Box<RawValue>>;

/// For `serialize_with`.
pub(super) fn write<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default,
    S: Serializer,
{
    let usual = fields(&T::default()).map_err(S::Error::custom)?;
    let mut fields = fields(value).map_err(S::Error::custom)?;
    let same =
        |name: &str, text: &RawValue| usual.get(name).map(|raw| raw.get()) == Some(text.get());
    fields.retain(|name, text| !same(name, text));
    fields.serialize(serializer)
}

/// The same for what may be absent.
pub(super) fn write_option<T, S>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default,
    S: Serializer,
{
    match value {
        Some(value) => write(value, serializer),
        None => serializer.serialize_none(),
    }
}

fn fields<T: Serialize>(value: &T) -> Result<Fields, serde_json::Error> {
    serde_json::from_str(&serde_json::to_string(value)?)
}
