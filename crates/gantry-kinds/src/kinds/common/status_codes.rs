//! Lists of HTTP statuses, which manifests spell as texts (`"429"`) and people as numbers.
//!
//! Both are read; texts are written, because the published SDK expects them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;
use std::borrow::Cow;
use std::fmt;

/// One status from 100 to 599.
pub struct StatusCode(u16);

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = StatusCode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status from 100 to 599")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusCode, E> {
        match u16::try_from(number) {
            Ok(code @ 100..=599) => Ok(StatusCode(code)),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusCode, E> {
        let number = text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        self.visit_u64(number)
    }
}

impl JsonSchema for StatusCode {
    fn schema_name() -> Cow<'static, str> {
        "StatusCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "HTTP status from 100 to 599.",
            "type": ["string", "integer"],
            "pattern": "^[1-5][0-9][0-9]$",
            "minimum": 100,
            "maximum": 599,
            "x-check": "status-code",
        })
    }
}

/// For `deserialize_with`.
///
/// # Errors
/// When an element is no status.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    Ok(Vec::<StatusCode>::deserialize(deserializer)?.into_iter().map(|code| code.0).collect())
}

/// For `serialize_with`.
///
/// # Errors
/// Those of the serializer.
pub fn write<S: Serializer>(codes: &[u16], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codes.iter().map(u16::to_string))
}

/// [`read`] for an optional list.
///
/// # Errors
/// When an element is no status.
pub fn read_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u16>>, D::Error> {
    let codes = Option::<Vec<StatusCode>>::deserialize(deserializer)?;
    Ok(codes.map(|codes| codes.into_iter().map(|code| code.0).collect()))
}

/// [`write`] for an optional list.
///
/// # Errors
/// Those of the serializer.
pub fn write_option<S: Serializer>(
    codes: &Option<Vec<u16>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match codes {
        Some(codes) => write(codes, serializer),
        None => serializer.serialize_none(),
    }
}
