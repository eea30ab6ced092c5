//! What a value must look like: a kind's JSON Schema, compiled into types.
//!
//! `crate::schema` makes shapes, `validate` compares trees with them.

pub(crate) use super::checks::Check;
use std::collections::BTreeMap;

/// Which sorts of value are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorts {
    pub null: bool,
    pub boolean: bool,
    pub whole: bool,
    pub number: bool,
    pub text: bool,
    pub list: bool,
    pub map: bool,
}

impl Sorts {
    /// Nothing is said about the sort.
    pub(crate) fn any(self) -> bool {
        self == Self::default()
    }
}

/// What a value must look like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub sorts: Sorts,
    /// Known fields of a map.
    pub fields: BTreeMap<String, Shape>,
    pub required: Vec<String>,
    /// Other fields are refused.
    pub closed: bool,
    /// Shape of the fields that are not known, in maps with free keys.
    pub values: Option<Box<Shape>>,
    /// Shape of the keys of such maps.
    pub keys: Option<Box<Shape>>,
    /// Shape of a list's elements.
    pub items: Option<Box<Shape>>,
    /// All allowed texts; empty when any is.
    pub choices: Vec<String>,
    pub variants: Option<Variants>,
    pub check: Option<Check>,
    /// In characters or elements.
    pub length: (Option<u64>, Option<u64>),
    pub range: (Option<f64>, Option<f64>),
    /// The value must not be shown.
    pub secret: bool,
    /// Names of fields or variants that the published SDK knows and Gantry does not implement yet.
    pub later: Vec<String>,
    /// What to write in place of those; may be empty.
    pub instead: String,
    /// Fields that other kinds have here, and this one has not.
    pub elsewhere: Vec<String>,
    /// What has not got them, for messages.
    pub title: String,
}

/// Shapes of which one is chosen by the text of one field.
#[derive(Clone, Debug)]
pub(crate) struct Variants {
    /// The field, `type` or `metric`.
    pub tag: String,
    pub shapes: Vec<(String, Shape)>,
}
