//! The columns of the lake's files. Pure.
//!
//! One table, [`COLUMNS`], says which field of a record goes to which column, in both
//! directions. What it does not name goes to the column `rest` as JSON, so a field that is added to
//! the record is kept before anybody adds a column for it. Columns may be added; none may change
//! its name, type or meaning, because files with the old one stay.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};

/// How a field is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
            Self::Usage => Some("usage"),
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
}

const fn plain(name: &'static str, kind: Kind) -> Column {
    Column { name, within: Within::Record, field: name, kind }
}

const fn renamed(name: &'static str, field: &'static str, kind: Kind) -> Column {
    Column { name, within: Within::Record, field, kind }
}

const fn usage(name: &'static str, field: &'static str) -> Column {
    Column { name, within: Within::Usage, field, kind: Kind::Int }
}

/// Name of the last column, for the fields that have none of their own.
pub(crate) const REST: &str = "rest";

/// The columns with bodies, which lists leave out.
pub(crate) const BODIES: [&str; 2] = ["request_body", "response_body"];

pub(crate) const COLUMNS: [Column; 45] = [
    plain("id", Kind::Text),
    renamed("received_at", "received_at_ms", Kind::Time),
    plain("tenant", Kind::Text),
    plain("duration_us", Kind::Int),
    plain("subject", Kind::Text),
    plain("teams", Kind::Texts),
    plain("key_name", Kind::Text),
    plain("metadata", Kind::Map),
    plain("trace_id", Kind::Text),
    plain("parent_span_id", Kind::Text),
    plain("operation", Kind::Text),
    plain("dialect", Kind::Text),
    plain("stream", Kind::Flag),
    plain("model", Kind::Text),
    plain("resolved_model", Kind::Text),
    plain("provider", Kind::Text),
    plain("upstream_model", Kind::Text),
    plain("snapshot_generation", Kind::Int),
    plain("route", Kind::Json),
    plain("attempts", Kind::Json),
    plain("status", Kind::Int),
    plain("refusal", Kind::Text),
    plain("fault", Kind::Text),
    plain("error", Kind::Text),
    plain("finish_reason", Kind::Text),
    usage("input_tokens", "input"),
    usage("cache_read_tokens", "cache_read"),
    usage("cache_write_tokens", "cache_write"),
    usage("cache_write_1h_tokens", "cache_write_1h"),
    usage("output_tokens", "output"),
    usage("reasoning_tokens", "reasoning"),
    plain("usage_estimated", Kind::Flag),
    renamed("cost_nano_usd", "cost", Kind::Int),
    plain("price_version", Kind::Text),
    plain("first_token_us", Kind::Int),
    plain("inter_token_us", Kind::Int),
    plain("stream_events", Kind::Int),
    plain("gateway_us", Kind::Int),
    plain("fidelity", Kind::Json),
    plain("verdicts", Kind::Json),
    plain("request_bytes", Kind::Int),
    plain("response_bytes", Kind::Int),
    plain("request_body", Kind::Text),
    plain("response_body", Kind::Text),
    // No field of a record belongs to it: one that is called so goes into it, as any other.
    Column { name: REST, within: Within::Nowhere, field: REST, kind: Kind::Json },
];

/// Columns in which nearly each row has a value of its own. Rows share those of the others.
const DISTINCT: [&str; 8] = [
    "id",
    "trace_id",
    "parent_span_id",
    "error",
    "attempts",
    "request_body",
    "response_body",
    REST,
];

/// Numbers that hardly ever change.
const STEADY: [&str; 2] = ["snapshot_generation", "status"];

/// Whether nearly each row has a value of its own in this column.
pub(crate) fn own_values(column: &Column) -> bool {
    match column.kind {
        Kind::Time => true,
        Kind::Int => !STEADY.contains(&column.name),
        Kind::Text | Kind::Flag | Kind::Texts | Kind::Map | Kind::Json => {
            DISTINCT.contains(&column.name)
        }
    }
}

/// Zone of `received_at`. An offset, not a name, so that no engine needs a zone database.
pub(crate) const UTC: &str = "+00:00";

/// The schema of new files. What is empty in a record (no text, 0, false, an empty list) is null in
/// its column; in files of earlier versions it may be there.
#[must_use]
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |column: &Column| Field::new(column.name, data_type(column.kind), true);
        Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
    });
    SCHEMA.clone()
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
