//! The table of record fields: what each is called in the journal and in the lake, and who may see
//! it.
//!
//! [`record_rows!`](crate::record_rows) makes a struct and its rows of one declaration. Writer and
//! reader of the journal, the lake's columns, its queries and `docs/records.md` are made of the
//! rows, so a field is added in one place. Pure; it knows no file format.

use crate::ids::RequestId;
use crate::money::NanoUsd;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Texts with more room than this are let go when a record is emptied, in bytes.
const KEPT_TEXT_BYTES_MAX: usize = 256;

/// Longest text of a record beside the bodies, in bytes: longer than any name, and than what
/// upstreams need to say what is wrong.
pub const TEXT_BYTES_MAX: usize = 2048;

/// Most objects in a list of a record: routes have hundreds of targets, of which few are tried.
pub const LIST_MAX: usize = 256;

/// Numbers of fields are below this: in the journal each takes one byte.
pub const NUMBERS_MAX: usize = 128;

/// Number of the map that holds the fields which many records share. No field has it.
pub const SHARED: u8 = 55;

/// How the lake stores a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// 64 bits, signed: what other engines read without trouble.
    Int,
    Flag,
    /// Milliseconds since the Unix epoch.
    Time,
    Texts,
    /// Texts by name.
    Map,
    /// Anything else, printed as JSON.
    Json,
}

impl Kind {
    /// The word in `docs/records.md`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "integer",
            Self::Flag => "flag",
            Self::Time => "time",
            Self::Texts => "list of texts",
            Self::Map => "map of texts",
            Self::Json => "JSON text",
        }
    }
}

/// Where a field stands in its map in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// First, because whoever sorts records looks at it before the rest.
    Head,
    /// In the map of what many records share, whose bytes are then the same.
    Shared,
    /// After that map.
    Own,
}

/// A column of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// One row of the table. Made by [`record_rows!`](crate::record_rows), whose flags are the methods.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in Rust and in JSON.
    pub name: &'static str,
    /// The same as JSON wants it before a value.
    pub json: &'static str,
    /// Its name in the journal. Never changed and never used again: files on disks have it.
    pub number: u8,
    pub place: Place,
    /// The column; none for what is inside a field, and for an object whose fields have columns.
    pub column: Option<Column>,
    /// Whether nearly each request has a value of its own, as of an id.
    pub distinct: bool,
    /// Whether the lake keeps the least and greatest value of a row group, for searches.
    pub searched: bool,
    /// A body: lists leave it out.
    pub body: bool,
    /// Whether the value is also written when it is empty: then readers insist on it.
    pub always: bool,
    /// Not for the eyes of the caller whose request it was.
    pub operator_only: bool,
    /// Rows of the objects in it.
    pub inner: &'static [Field],
    /// What it says, in Markdown.
    pub doc: &'static str,
}

impl Field {
    /// A field that is in no map of shared ones and in no column.
    #[must_use]
    pub const fn new(names: (&'static str, &'static str), number: u8, doc: &'static str) -> Self {
        Self {
            name: names.0,
            json: names.1,
            number,
            place: Place::Own,
            column: None,
            distinct: false,
            searched: false,
            body: false,
            always: false,
            operator_only: false,
            inner: &[],
            doc,
        }
    }

    /// See [`Place::Head`].
    #[must_use]
    pub const fn head(self) -> Self {
        Self { place: Place::Head, ..self }
    }

    /// See [`Place::Shared`].
    #[must_use]
    pub const fn shared(self) -> Self {
        Self { place: Place::Shared, ..self }
    }

    /// A column of texts of the same name.
    #[must_use]
    pub const fn text(self) -> Self {
        self.kept(Kind::Text)
    }

    /// A column of numbers of the same name, nearly each row with a value of its own.
    #[must_use]
    pub const fn int(self) -> Self {
        self.kept(Kind::Int).distinct()
    }

    /// A column of flags of the same name.
    #[must_use]
    pub const fn flag(self) -> Self {
        self.kept(Kind::Flag)
    }

    /// A column of times of the same name.
    #[must_use]
    pub const fn time(self) -> Self {
        self.kept(Kind::Time).distinct()
    }

    /// A column of lists of texts of the same name.
    #[must_use]
    pub const fn texts(self) -> Self {
        self.kept(Kind::Texts)
    }

    /// A column of texts by name of the same name.
    #[must_use]
    pub const fn map(self) -> Self {
        self.kept(Kind::Map)
    }

    /// A column of JSON of the same name.
    #[must_use]
    pub const fn json(self) -> Self {
        self.kept(Kind::Json)
    }

    /// The column's name, where it is not the field's.
    #[must_use]
    pub const fn column(self, name: &'static str) -> Self {
        match self.column {
            Some(Column { kind, .. }) => Self { column: Some(Column { name, kind }), ..self },
            None => self,
        }
    }

    /// Nearly each row has a value of its own.
    #[must_use]
    pub const fn distinct(self) -> Self {
        Self { distinct: true, ..self }
    }

    /// A number that hardly ever changes.
    #[must_use]
    pub const fn steady(self) -> Self {
        Self { distinct: false, ..self }
    }

    /// See [`Field::searched`].
    #[must_use]
    pub const fn searched(self) -> Self {
        Self { searched: true, ..self }
    }

    /// See [`Field::body`].
    #[must_use]
    pub const fn body(self) -> Self {
        Self { body: true, distinct: true, ..self }
    }

    /// See [`Field::always`].
    #[must_use]
    pub const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    /// See [`Field::operator_only`].
    #[must_use]
    pub const fn operator_only(self) -> Self {
        Self { operator_only: true, ..self }
    }

    /// Rows of the objects in it.
    #[must_use]
    pub const fn within(self, inner: &'static [Self]) -> Self {
        Self { inner, ..self }
    }

    const fn kept(self, kind: Kind) -> Self {
        Self { column: Some(Column { name: self.name, kind }), ..self }
    }
}

/// Takes the fields of a record one after the other; the journal's writer is one.
///
/// A value that is empty (no text, 0, false, no elements) may be left out unless `always` says
/// otherwise: what is absent reads as empty.
pub trait FieldWriter {
    fn text(&mut self, number: u8, value: &str, always: bool);
    fn number(&mut self, number: u8, value: u64, always: bool);
    /// A number that may be below zero.
    fn signed(&mut self, number: u8, value: i64);
    fn flag(&mut self, number: u8, value: bool);
    fn texts(&mut self, number: u8, values: &[String]);
    fn map(&mut self, number: u8, pairs: &BTreeMap<String, String>);
    fn object<T: Row>(&mut self, number: u8, value: &T);
    fn objects<T: Row>(&mut self, number: u8, values: &[T]);
}

/// A struct that is made of rows of the table.
pub trait Row: PartialEq + Default {
    /// Its rows, in their order in the struct.
    const FIELDS: &'static [Field];

    /// Hands over the fields that stand in this place.
    fn write<W: FieldWriter>(&self, place: Place, out: &mut W);

    /// Makes it equal to a new one; its texts and lists keep their memory.
    fn empty(&mut self);

    /// Empties what is not for the eyes of the caller whose request it was.
    fn hide(&mut self);

    /// Cuts what is longer than [`TEXT_BYTES_MAX`] and [`LIST_MAX`]; bodies have bounds of their
    /// own.
    fn cut(&mut self);
}

/// What a field may hold.
pub trait Value {
    /// Rows of the objects in it.
    const INNER: &'static [Field] = &[];

    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W);

    /// Makes it empty, and keeps a little memory.
    fn empty(&mut self);

    /// As [`Row::hide`], for what is in it.
    fn hide(&mut self) {}

    /// As [`Row::cut`].
    #[inline(always)]
    fn cut(&mut self) {}
}

impl Value for String {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        out.text(number, self, always);
    }

    fn empty(&mut self) {
        if self.capacity() <= KEPT_TEXT_BYTES_MAX {
            self.clear();
        } else {
            *self = Self::new();
        }
    }

    #[inline(always)]
    fn cut(&mut self) {
        crate::cut::end(self, TEXT_BYTES_MAX);
    }
}

impl Value for Cow<'static, str> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        out.text(number, self, always);
    }

    fn empty(&mut self) {
        *self = Cow::Borrowed("");
    }

    #[inline(always)]
    fn cut(&mut self) {
        if let Cow::Owned(text) = self {
            crate::cut::end(text, TEXT_BYTES_MAX);
        }
    }
}

impl Value for bool {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        out.flag(number, *self);
    }

    fn empty(&mut self) {
        *self = false;
    }
}

impl Value for u16 {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        out.number(number, (*self).into(), always);
    }

    fn empty(&mut self) {
        *self = 0;
    }
}

impl Value for u64 {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        out.number(number, *self, always);
    }

    fn empty(&mut self) {
        *self = 0;
    }
}

impl Value for NanoUsd {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        if self.0 != 0 {
            out.signed(number, self.0);
        }
    }

    fn empty(&mut self) {
        self.0 = 0;
    }
}

impl Value for Option<RequestId> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, always: bool, out: &mut W) {
        if let Some(id) = self {
            out.text(number, std::str::from_utf8(&id.digits()).unwrap_or_default(), always);
        }
    }

    fn empty(&mut self) {
        *self = None;
    }
}

/// For which 0 differs from absent.
impl Value for Option<u64> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        if let Some(value) = self {
            out.number(number, *value, true);
        }
    }

    fn empty(&mut self) {
        *self = None;
    }
}

/// For which "" differs from absent.
impl Value for Option<String> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        if let Some(value) = self {
            out.text(number, value, true);
        }
    }

    fn empty(&mut self) {
        *self = None;
    }
}

impl Value for Vec<String> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        out.texts(number, self);
    }

    fn empty(&mut self) {
        self.clear();
    }

    fn cut(&mut self) {
        self.iter_mut().for_each(Value::cut);
    }
}

impl Value for BTreeMap<String, String> {
    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        out.map(number, self);
    }

    fn empty(&mut self) {
        self.clear();
    }

    /// Its names are bounded where they are read.
    fn cut(&mut self) {
        self.values_mut().for_each(Value::cut);
    }
}

impl<T: Row> Value for Vec<T> {
    const INNER: &'static [Field] = T::FIELDS;

    #[inline(always)]
    fn write<W: FieldWriter>(&self, number: u8, _: bool, out: &mut W) {
        out.objects(number, self);
    }

    fn empty(&mut self) {
        self.clear();
    }

    fn hide(&mut self) {
        self.iter_mut().for_each(Row::hide);
    }

    fn cut(&mut self) {
        self.truncate(LIST_MAX);
        self.iter_mut().for_each(Row::cut);
    }
}

/// Implements [`Value`] for a struct of rows that stands in a field by itself.
#[macro_export]
macro_rules! record_object {
    ($object:ty) => {
        impl $crate::record::table::Value for $object {
            const INNER: &'static [$crate::record::table::Field] =
                <Self as $crate::record::table::Row>::FIELDS;

            #[inline(always)]
            fn write<W: $crate::record::table::FieldWriter>(
                &self,
                number: u8,
                _: bool,
                out: &mut W,
            ) {
                if *self != Self::default() {
                    out.object(number, self);
                }
            }

            fn empty(&mut self) {
                $crate::record::table::Row::empty(self);
            }

            fn hide(&mut self) {
                $crate::record::table::Row::hide(self);
            }

            fn cut(&mut self) {
                $crate::record::table::Row::cut(self);
            }
        }
    };
}

/// Declares a struct of public fields and its rows in the table.
///
/// A field is `name: Type = NUMBER, flag, flag("text");` with its doc comment, which becomes a line
/// of `docs/records.md`. Flags are methods of [`Field`](crate::record::table::Field).
#[macro_export]
macro_rules! record_rows {
    (
        $(#[$outer:meta])*
        $visible:vis struct $record:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $kind:ty = $number:literal
                    $(, $flag:ident $(($argument:literal))?)*;
            )*
        }
    ) => {
        $(#[$outer])*
        $visible struct $record {
            $( $(#[doc = $doc])* pub $field: $kind, )*
        }

        impl $crate::record::table::Row for $record {
            const FIELDS: &'static [$crate::record::table::Field] = &[$(
                $crate::record::table::Field::new(
                    (stringify!($field), concat!("\"", stringify!($field), "\":")),
                    $number,
                    concat!($($doc, "\n",)*),
                )
                .within(<$kind as $crate::record::table::Value>::INNER)
                $(.$flag($($argument)?))*,
            )*];

            #[inline]
            fn write<W: $crate::record::table::FieldWriter>(
                &self,
                place: $crate::record::table::Place,
                out: &mut W,
            ) {
                $({
                    const FIELD: $crate::record::table::Field =
                        $crate::record::table::Field::new(("", ""), $number, "")
                            $(.$flag($($argument)?))*;
                    if place == FIELD.place {
                        $crate::record::table::Value::write(
                            &self.$field, $number, FIELD.always, out,
                        );
                    }
                })*
            }

            fn empty(&mut self) {
                $( $crate::record::table::Value::empty(&mut self.$field); )*
            }

            fn cut(&mut self) {
                $( $crate::record::table::Value::cut(&mut self.$field); )*
            }

            fn hide(&mut self) {
                $({
                    const FIELD: $crate::record::table::Field =
                        $crate::record::table::Field::new(("", ""), $number, "")
                            $(.$flag($($argument)?))*;
                    if FIELD.operator_only {
                        $crate::record::table::Value::empty(&mut self.$field);
                    } else {
                        $crate::record::table::Value::hide(&mut self.$field);
                    }
                })*
            }
        }
    };
}
