//! Names of a record's fields by the numbers that stand in their place in the journal.
//!
//! The writer puts a number of one byte where the name would take ten; whoever reads looks the name
//! up. The numbers are those of the record's table, and a part of the file format. Pure.

use gantry_model::record::RequestRecord;
use gantry_model::record::table::{Field, NUMBERS_MAX, Row};

/// Number of the fields that many records share: their values are the bytes of a map by itself.
///
/// Who takes records one after the other knows equal bytes and passes over them. No field of a
/// record is called so.
pub const SHARED: u8 = gantry_model::record::table::SHARED;

// A number of MessagePack below 128 is one byte, the number itself.
const _: () = assert!(NUMBERS_MAX <= 0x80, "a number has one byte");

#[derive(Clone, Copy)]
struct Name {
    plain: &'static str,
    /// As JSON wants it before a value.
    json: &'static str,
}

type Names = [Option<Name>; NUMBERS_MAX];

static NAMES: Names = {
    let mut names = [None; NUMBERS_MAX];
    enter(&mut names, SHARED, Name { plain: "shared", json: "\"shared\":" });
    fill(&mut names, RequestRecord::FIELDS);
    #[cfg(test)]
    fill(&mut names, super::toy::Toy::FIELDS);
    names
};

/// Enters the names of the fields and of what is in them.
const fn fill(names: &mut Names, fields: &[Field]) {
    let mut rest = fields;
    while let [field, others @ ..] = rest {
        enter(names, field.number, Name { plain: field.name, json: field.json });
        fill(names, field.inner);
        rest = others;
    }
}

#[expect(clippy::indexing_slicing, reason = "runs at compile time, where a bad index is an error")]
const fn enter(names: &mut Names, number: u8, name: Name) {
    names[number as usize] = Some(name);
}

/// The name that a number stands for; `None` when a later version of Gantry gave it out.
#[must_use]
#[inline]
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number))?.map(|name| name.plain)
}

/// The name with quotes and a colon.
#[inline]
pub(super) fn json(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number))?.map(|name| name.json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_and_of_what_is_in_them_are_known() {
        for (number, expected) in
            [(0, "id"), (20, "status"), (42, "url"), (51, "reasoning"), (SHARED, "shared")]
        {
            assert_eq!(name(number), Some(expected));
            assert_eq!(json(number), Some(format!("\"{expected}\":").as_str()));
        }
        assert_eq!((name(125), name(255)), (None, None));
    }
}
