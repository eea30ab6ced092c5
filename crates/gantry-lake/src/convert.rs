//! Between records as JSON objects and columns. Pure; the schema's table drives both directions.

use crate::Error;
use crate::schema::{COLUMNS, Column, Kind, REST, UTC, item, schema};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, MapBuilder, MapFieldNames,
    StringArray, StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use gantry_model::record::RequestRecord;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A record as it stands in the journal: unknown fields have to survive, so it is not typed.
pub(crate) type Row = Map<String, Value>;

/// Columns of the given records, in the schema of new files.
pub(crate) fn to_batch(mut rows: Vec<Row>) -> Result<RecordBatch, Error> {
    let mut arrays = Vec::with_capacity(COLUMNS.len());
    for column in COLUMNS.iter().filter(|column| column.name != REST) {
        let cells: Vec<Option<Value>> = rows.iter_mut().map(|row| take(row, column)).collect();
        arrays.push(array(column.kind, &cells)?);
    }
    let rest: Result<Vec<Option<String>>, _> = rows.into_iter().map(rest_of).collect();
    arrays.push(Arc::new(StringArray::from(rest?)));
    Ok(RecordBatch::try_new(schema(), arrays)?)
}

/// The records of a batch. Columns that are missing or null leave their field at its default.
pub(crate) fn to_records(batch: &RecordBatch) -> Result<Vec<RequestRecord>, Error> {
    let mut rows = vec![Row::new(); batch.num_rows()];
    if let Some(rest) = batch.column_by_name(REST) {
        for (row, text) in rows.iter_mut().zip(rest.as_string::<i32>()) {
            *row = text.map_or(Ok(Row::new()), serde_json::from_str)?;
        }
    }
    for column in COLUMNS.iter().filter(|column| column.name != REST) {
        let Some(array) = batch.column_by_name(column.name) else { continue };
        for (at, row) in rows.iter_mut().enumerate() {
            if let Some(value) = value(column.kind, array, at)? {
                put(row, column, value);
            }
        }
    }
    rows.into_iter().map(|row| Ok(serde_json::from_value(Value::Object(row))?)).collect()
}

/// Time of receipt in milliseconds since the epoch; 0 when the record lacks it.
pub(crate) fn received_ms(row: &Row) -> u64 {
    row.get("received_at_ms").and_then(Value::as_u64).unwrap_or(0)
}

/// Removes the column's value from the row, unless it is not of the column's kind: then it stays,
/// and goes to `rest`.
fn take(row: &mut Row, column: &Column) -> Option<Value> {
    let object = match column.object {
        "" => row,
        object => row.get_mut(object)?.as_object_mut()?,
    };
    let fits = match (column.kind, object.get(column.field)?) {
        (_, Value::Null) | (Kind::Json, _) => true,
        (Kind::Text, value) => value.is_string(),
        (Kind::Int | Kind::Time, value) => value.is_i64(),
        (Kind::Flag, value) => value.is_boolean(),
        (Kind::Texts, Value::Array(values)) => values.iter().all(Value::is_string),
        (Kind::Map, Value::Object(values)) => values.values().all(Value::is_string),
        (Kind::Texts | Kind::Map, _) => false,
    };
    if !fits {
        return None;
    }
    // Order does not matter in what is left.
    object.swap_remove(column.field).filter(|value| !value.is_null())
}

fn put(row: &mut Row, column: &Column, value: Value) {
    let object = match column.object {
        "" => row,
        object => {
            let entry = row.entry(object).or_insert_with(|| Value::Object(Row::new()));
            let Some(object) = entry.as_object_mut() else { return };
            object
        }
    };
    object.insert(column.field.to_owned(), value);
}

/// What is left of a row as JSON; `None` when nothing is.
fn rest_of(mut row: Row) -> Result<Option<String>, serde_json::Error> {
    row.retain(|_, value| value.as_object().is_none_or(|object| !object.is_empty()));
    if row.is_empty() { Ok(None) } else { serde_json::to_string(&row).map(Some) }
}

fn array(kind: Kind, cells: &[Option<Value>]) -> Result<ArrayRef, Error> {
    let ints = || cells.iter().map(|cell| cell.as_ref().and_then(Value::as_i64));
    Ok(match kind {
        Kind::Text => {
            let texts = cells.iter().map(|cell| cell.as_ref().and_then(Value::as_str));
            Arc::new(texts.collect::<StringArray>())
        }
        Kind::Json => {
            let texts = cells.iter().map(|cell| cell.as_ref().map(Value::to_string));
            Arc::new(texts.collect::<StringArray>())
        }
        Kind::Flag => {
            let flags = cells.iter().map(|cell| cell.as_ref().and_then(Value::as_bool));
            Arc::new(flags.collect::<BooleanArray>())
        }
        Kind::Int => Arc::new(ints().collect::<Int64Array>()),
        Kind::Time => Arc::new(ints().collect::<TimestampMillisecondArray>().with_timezone(UTC)),
        Kind::Texts => texts(cells),
        Kind::Map => map(cells)?,
    })
}

fn texts(cells: &[Option<Value>]) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new()).with_field(item());
    for cell in cells {
        for value in cell.iter().filter_map(Value::as_array).flatten() {
            list.values().append_option(value.as_str());
        }
        list.append(cell.is_some());
    }
    Arc::new(list.finish())
}

fn map(cells: &[Option<Value>]) -> Result<ArrayRef, Error> {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for cell in cells {
        for (key, value) in cell.iter().filter_map(Value::as_object).flatten() {
            map.keys().append_value(key);
            map.values().append_option(value.as_str());
        }
        map.append(cell.is_some())?;
    }
    Ok(Arc::new(map.finish()))
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
