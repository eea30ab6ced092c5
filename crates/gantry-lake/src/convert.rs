//! From columns back to records, for answers. Pure; the schema's table says which is which.

use crate::Error;
use crate::schema::{Column, Kind, Layout, REST};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use gantry_model::record::RequestRecord;
use serde_json::{Map, Value};

/// A record whose fields are put together from columns and from what `rest` holds.
type Row = Map<String, Value>;

/// The records of a batch. Columns that are missing or null leave their field at its default.
pub(crate) fn to_records(batch: &RecordBatch) -> Result<Vec<RequestRecord>, Error> {
    let mut rows = vec![Row::new(); batch.num_rows()];
    if let Some(rest) = batch.column_by_name(REST) {
        for (row, text) in rows.iter_mut().zip(rest.as_string::<i32>()) {
            *row = text.map_or(Ok(Row::new()), serde_json::from_str)?;
        }
    }
    let columns = Layout::current().columns.iter();
    for column in columns.filter(|column| column.name != REST) {
        let Some(array) = batch.column_by_name(column.name) else { continue };
        for (at, row) in rows.iter_mut().enumerate() {
            if let Some(value) = value(column.kind, array, at)? {
                put(row, column, value);
            }
        }
    }
    rows.into_iter().map(|row| Ok(serde_json::from_value(Value::Object(row))?)).collect()
}

fn put(row: &mut Row, column: &Column, value: Value) {
    let object = match column.within.name() {
        None => row,
        Some(object) => {
            let entry = row.entry(object).or_insert_with(|| Value::Object(Row::new()));
            let Some(object) = entry.as_object_mut() else { return };
            object
        }
    };
    object.insert(column.field.to_owned(), value);
}

/// One cell as JSON; `None` when it is null.
fn value(kind: Kind, array: &ArrayRef, at: usize) -> Result<Option<Value>, Error> {
    if array.is_null(at) {
        return Ok(None);
    }
    Ok(Some(match kind {
        Kind::Text => array.as_string::<i32>().value(at).into(),
        Kind::Json => serde_json::from_str(array.as_string::<i32>().value(at))?,
        Kind::Int => array.as_primitive::<Int64Type>().value(at).into(),
        Kind::Time => array.as_primitive::<TimestampMillisecondType>().value(at).into(),
        Kind::Flag => array.as_boolean().value(at).into(),
        Kind::Texts => {
            let values = array.as_list::<i32>().value(at);
            values.as_string::<i32>().iter().flatten().map(Value::from).collect()
        }
        Kind::Map => {
            let entries = array.as_map().value(at);
            let keys = entries.column(0).as_string::<i32>().iter();
            let pairs = keys.zip(entries.column(1).as_string::<i32>());
            let pair = |(key, value): (Option<&str>, Option<&str>)| {
                Some((key?.to_owned(), Value::from(value.unwrap_or_default())))
            };
            Value::Object(pairs.filter_map(pair).collect())
        }
    }))
}
