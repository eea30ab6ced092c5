//! How one record stands in a frame: a MessagePack map whose keys are the numbers of the record's
//! fields in its table (`gantry_model::record`).
//!
//! What is empty is left out, and reads as empty. The fields that many records have in common stand
//! in a map of their own, whose bytes are then the same. In segments of the second version there is
//! one map, with names in full; readers take either. The writer's thread calls [`append`] for each
//! request, so the table says every field itself and goes through no general serializer.

#[cfg(test)]
mod tests;

use super::names::SHARED;
use super::pack::{Cursor, Fields, Key, Malformed, Token, append_key};
use gantry_model::record::table::{Place, Row};
use serde::de::DeserializeOwned;

/// Why a payload is not a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("read a record's fields")]
    Fields(#[from] serde_json::Error),
}

/// Appends a record.
pub(super) fn append<R: Row>(out: &mut Vec<u8>, record: &R) {
    let mut fields = Fields::begin(out);
    record.write(Place::Head, &mut fields);
    fields.map_bytes(SHARED, |fields| record.write(Place::Shared, fields));
    record.write(Place::Own, &mut fields);
    fields.end();
}

/// The record of a payload. Not for whole segments: it goes through JSON.
pub(super) fn record<R: Row + DeserializeOwned>(payload: &[u8]) -> Result<R, Error> {
    Ok(serde_json::from_slice(&json(payload)?)?)
}

fn json(payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut json = vec![b'{'];
    append_fields(&mut json, payload, |json, shared| {
        append_fields(json, shared, |_, _| Err(Malformed))
    })?;
    json.push(b'}');
    Ok(json)
}

/// Appends the fields of a map as those of a JSON object that was begun; what is shared goes to
/// `shared`.
fn append_fields(
    json: &mut Vec<u8>,
    map: &[u8],
    shared: impl Fn(&mut Vec<u8>, &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(map);
    let Token::Map(count) = cursor.token()? else { return Err(Malformed) };
    for _ in 0..count {
        let key = cursor.key()?;
        if key == Key::Number(SHARED) {
            let Token::Bytes(map) = cursor.token()? else { return Err(Malformed) };
            shared(json, map)?;
            continue;
        }
        if json.len() > 1 {
            json.push(b',');
        }
        append_key(json, key);
        cursor.append_json(json)?;
    }
    if cursor.at_end() { Ok(()) } else { Err(Malformed) }
}
