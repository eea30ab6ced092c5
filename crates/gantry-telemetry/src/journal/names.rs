//! Numbers for the names of a record's fields, which stand in its place in the journal.
//!
//! The writer puts a number of one byte where the name would take ten; whoever reads looks the name
//! up. A number is a part of the file format: names are added at the end, and none is moved,
//! changed or used for anything else. One table serves the record and what lies in it. Pure.

macro_rules! names {
    ($($name:literal)*) => {
        /// The place of a name is its number.
        const NAMES: &[&str] = &[$($name),*];
        /// The same names as JSON wants them before a value.
        const JSON: &[&str] = &[$(concat!("\"", $name, "\":")),*];
    };
}

names! {
    "id" "received_at_ms" "tenant" "duration_us" "subject" "teams" "key_name" "metadata" "trace_id"
    "parent_span_id" "operation" "dialect" "stream" "model" "resolved_model" "provider"
    "upstream_model" "snapshot_generation" "route" "attempts" "status" "refusal" "fault" "error"
    "finish_reason" "usage" "usage_estimated" "cost" "price_version" "first_token_us"
    "inter_token_us" "stream_events" "gateway_us" "fidelity" "verdicts" "request_bytes"
    "response_bytes" "request_body" "response_body"
    "target" "verdict" "reason"
    "url" "outcome" "started_us" "retry_after_ms"
    "input" "cache_read" "cache_write" "cache_write_1h" "output" "reasoning"
    "field" "kind" "note"
    "shared"
    "detail" "closed" "peer"
}

/// Name of the fields that many records share: their values are the bytes of a map by itself.
///
/// Who takes records one after the other knows equal bytes and passes over them. No field of a
/// record is called so.
pub const SHARED: u8 = number("shared");

// A number of MessagePack below 128 is one byte, the number itself.
const _: () = assert!(NAMES.len() <= 0x80, "a number has one byte");

/// The field that tells the time of receipt.
pub const RECEIVED_AT_MS: u8 = number("received_at_ms");

/// The name that a number stands for; `None` when a later version of Gantry gave it out.
#[must_use]
#[inline]
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

/// The name with quotes and a colon.
#[inline]
pub(super) fn json(number: u8) -> Option<&'static str> {
    JSON.get(usize::from(number)).copied()
}

/// The number of a name, at compile time: a name without one is an error there.
macro_rules! key {
    ($name:literal) => {
        const { $crate::journal::names::number($name) }
    };
}
pub(super) use key;

pub(super) const fn number(name: &str) -> u8 {
    let mut rest = NAMES;
    let mut number = 0;
    while let Some((first, others)) = rest.split_first() {
        if same(first.as_bytes(), name.as_bytes()) {
            return number;
        }
        rest = others;
        number += 1;
    }
    assert!(!rest.is_empty(), "this name has no number");
    number
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    match (one.split_first(), other.split_first()) {
        (Some((a, one)), Some((b, other))) => *a == *b && same(one, other),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments on disks have them.
    #[test]
    fn numbers_stay_what_they_are() {
        for (number, expected) in [
            (0, "id"),
            (1, "received_at_ms"),
            (19, "attempts"),
            (25, "usage"),
            (38, "response_body"),
            (39, "target"),
            (45, "retry_after_ms"),
            (51, "reasoning"),
            (54, "note"),
            (55, "shared"),
        ] {
            assert_eq!((name(number), super::number(expected)), (Some(expected), number));
        }
        assert_eq!(name(255), None);
    }

    #[test]
    fn no_name_has_two_numbers() {
        let distinct: std::collections::BTreeSet<_> = NAMES.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
    }
}
