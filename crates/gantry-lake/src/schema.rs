//! The columns of the lake's files. Pure.
//!
//! They are made of the table of record fields ([`RequestRecord`]'s rows), which says which field
//! goes to which column, in both directions. What it does not name goes to the column `rest` as
//! JSON, so a field that a later version adds to the record is kept. Columns may be added; none may
//! change its name, type or meaning, because files with the old one stay.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use gantry_model::record::RequestRecord;
use gantry_model::record::table::{self, NUMBERS_MAX, Row, SHARED};
use std::sync::{Arc, LazyLock};

pub(crate) use gantry_model::record::table::Kind;

/// The one object in the record whose fields have columns.
pub(crate) const USAGE: &str = "usage";

/// Name of the last column, for the fields that have none of their own.
pub(crate) const REST: &str = "rest";

/// The object that a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// The record itself.
    Record,
    /// The object `usage` in the record.
    Usage,
    /// No field of a record makes the column.
    Nowhere,
}

impl Within {
    /// Name of the field of the record that is this object.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Usage => Some(USAGE),
            Self::Record | Self::Nowhere => None,
        }
    }
}

/// One column and where its values come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) within: Within,
    /// Field in that object.
    pub(crate) field: &'static str,
    pub(crate) kind: Kind,
    /// Whether nearly each row has a value of its own in this column.
    pub(crate) distinct: bool,
    /// Whether its least and greatest values are kept, which let a query pass over row groups.
    pub(crate) searched: bool,
    /// Whether lists leave it out.
    pub(crate) body: bool,
}

/// What a field is for the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Column(u8),
    Usage,
    /// Not one field: many of them, which records share.
    Block,
    Rest,
}

/// All columns, and the way to them.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
    /// Places of the record's fields by their numbers, and of those in `usage`.
    record: [Place; NUMBERS_MAX],
    usage: [Place; NUMBERS_MAX],
}

impl Layout {
    /// Of the present record.
    pub(crate) fn current() -> &'static Self {
        static CURRENT: LazyLock<Layout> = LazyLock::new(|| Layout::of(RequestRecord::FIELDS));
        &CURRENT
    }

    /// The columns of these rows, in their order, and `rest`.
    pub(crate) fn of(fields: &'static [table::Field]) -> Self {
        let mut layout = Self {
            columns: Vec::new(),
            schema: Arc::new(Schema::empty()),
            record: [Place::Rest; NUMBERS_MAX],
            usage: [Place::Rest; NUMBERS_MAX],
        };
        layout.set(Within::Record, SHARED, Place::Block);
        for field in fields {
            layout.add(Within::Record, field);
            if field.name == USAGE {
                layout.set(Within::Record, field.number, Place::Usage);
                field.inner.iter().for_each(|field| layout.add(Within::Usage, field));
            }
        }
        // No field of a record belongs to it: one that is called so goes into it, as any other.
        layout.columns.push(Column {
            name: REST,
            within: Within::Nowhere,
            field: REST,
            kind: Kind::Json,
            distinct: true,
            searched: false,
            body: false,
        });
        let field = |column: &Column| Field::new(column.name, data_type(column.kind), true);
        layout.schema = Arc::new(Schema::new(layout.columns.iter().map(field).collect::<Vec<_>>()));
        layout
    }

    fn add(&mut self, within: Within, field: &'static table::Field) {
        let Some(table::Column { name, kind }) = field.column else { return };
        // Fewer than 128, as there are fewer numbers.
        let at = u8::try_from(self.columns.len()).unwrap_or(u8::MAX);
        self.set(within, field.number, Place::Column(at));
        let &table::Field { name: field, distinct, searched, body, .. } = field;
        self.columns.push(Column { name, within, field, kind, distinct, searched, body });
    }

    fn set(&mut self, within: Within, number: u8, place: Place) {
        let places = if within == Within::Usage { &mut self.usage } else { &mut self.record };
        if let Some(slot) = places.get_mut(usize::from(number)) {
            *slot = place;
        }
    }

    /// The place of the field with this number.
    #[inline]
    pub(crate) fn place(&self, within: Within, number: u8) -> Place {
        let places = if within == Within::Usage { &self.usage } else { &self.record };
        places.get(usize::from(number)).copied().unwrap_or(Place::Rest)
    }

    /// The place of the field with this name.
    pub(crate) fn place_by_name(&self, within: Within, name: &[u8]) -> Place {
        let is_it = |column: &Column| column.within == within && column.field.as_bytes() == name;
        match self.columns.iter().position(is_it).and_then(|at| u8::try_from(at).ok()) {
            Some(at) => Place::Column(at),
            None if within == Within::Record && name == USAGE.as_bytes() => Place::Usage,
            None => Place::Rest,
        }
    }
}

/// Zone of `received_at`. An offset, not a name, so that no engine needs a zone database.
pub(crate) const UTC: &str = "+00:00";

/// The schema of new files. What is empty in a record (no text, 0, false, an empty list) is null in
/// its column; in files of earlier versions it may be there.
#[must_use]
pub fn schema() -> SchemaRef {
    Layout::current().schema.clone()
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text | Kind::Json => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Flag => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Kind::Texts => DataType::List(item()),
        Kind::Map => {
            let pair = vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ];
            let entries = Field::new("key_value", DataType::Struct(Fields::from(pair)), false);
            DataType::Map(Arc::new(entries), false)
        }
    }
}

/// The element of a list of texts, spelled as Parquet wants it.
pub(crate) fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Utf8, true))
}
