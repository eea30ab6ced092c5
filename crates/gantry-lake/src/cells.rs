//! The cells of one column in the making. Used by `columns` only.

use crate::schema::{Kind, UTC, item};
use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, StringArray, StringBuilder, TimestampMillisecondBuilder, new_null_array,
};
use arrow::datatypes::DataType;
use gantry_telemetry::journal::pack::{Cursor, Malformed, Token};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) enum Cells {
    /// Bytes until the batch is finished: checking them all at once takes a tenth of the time.
    Text(BinaryBuilder),
    Json(Printed),
    Int(Int64Builder),
    Time(TimestampMillisecondBuilder),
    Flag(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Map(MapBuilder<StringBuilder, StringBuilder>),
    /// So many texts that are not asked for.
    Ignored(usize),
}

/// Values of any kind, printed as JSON.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    texts: BinaryBuilder,
    /// The last value as it stood in its record; empty when there is none. The next record often
    /// has the same, such as its route.
    raw: Vec<u8>,
    json: Vec<u8>,
}

impl Cells {
    pub(crate) fn new(kind: Kind) -> Self {
        let texts = StringBuilder::new;
        match kind {
            Kind::Text => Self::Text(BinaryBuilder::new()),
            Kind::Json => Self::Json(Printed::default()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Time => Self::Time(TimestampMillisecondBuilder::new().with_timezone(UTC)),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
            Kind::Texts => Self::Texts(ListBuilder::new(texts()).with_field(item())),
            Kind::Map => {
                let names = MapFieldNames {
                    entry: "key_value".to_owned(),
                    key: "key".to_owned(),
                    value: "value".to_owned(),
                };
                Self::Map(MapBuilder::new(Some(names), texts(), texts()))
            }
        }
    }

    /// Reads a value and appends it. False when it is not of the column's kind: then it is unread,
    /// and nothing is appended.
    #[inline]
    pub(crate) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        let mut after = *cursor;
        let token = match self {
            Self::Json(printed) => return printed.append(cursor).map(|()| true),
            _ => after.token()?,
        };
        match (self, token) {
            (cells, Token::Nil) => cells.append_null(),
            (Self::Text(texts), Token::Text(text)) => texts.append_value(text),
            (Self::Ignored(count), Token::Text(_)) => *count += 1,
            (Self::Flag(flags), Token::Flag(flag)) => flags.append_value(flag),
            (Self::Int(ints), token) if let Some(number) = number(token) => {
                ints.append_value(number)
            }
            (Self::Time(times), token) if let Some(ms) = number(token) => times.append_value(ms),
            (Self::Texts(lists), Token::List(count)) if all_texts(after, count.into()) => {
                each_text(&mut after, count, |text| lists.values().append_value(text))?;
                lists.append(true);
            }
            (Self::Map(maps), Token::Map(count)) if all_texts(after, u64::from(count) * 2) => {
                for _ in 0..count {
                    each_text(&mut after, 1, |key| maps.keys().append_value(key))?;
                    each_text(&mut after, 1, |value| maps.values().append_value(value))?;
                }
                // It fails only when keys and values differ in number.
                maps.append(true).map_err(|_| Malformed)?;
            }
            _ => return Ok(false),
        }
        *cursor = after;
        Ok(true)
    }

    /// Appends a text to a column of texts or of JSON.
    pub(crate) fn append_text(&mut self, text: &[u8]) {
        match self {
            Self::Text(texts) | Self::Json(Printed { texts, .. }) => texts.append_value(text),
            _ => self.append_null(),
        }
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            Self::Text(texts) | Self::Json(Printed { texts, .. }) => texts.append_null(),
            Self::Int(ints) => ints.append_null(),
            Self::Time(times) => times.append_null(),
            Self::Flag(flags) => flags.append_null(),
            Self::Texts(lists) => lists.append(false),
            // It fails only when keys and values differ in number.
            Self::Map(maps) => drop(maps.append(false)),
            Self::Ignored(count) => *count += 1,
        }
    }

    /// The cells so far; begins anew.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(texts) | Self::Json(Printed { texts, .. }) => checked(texts.finish()),
            Self::Int(ints) => Arc::new(ints.finish()),
            Self::Time(times) => Arc::new(times.finish()),
            Self::Flag(flags) => Arc::new(flags.finish()),
            Self::Texts(lists) => Arc::new(lists.finish()),
            Self::Map(maps) => Arc::new(maps.finish()),
            Self::Ignored(count) => new_null_array(&DataType::Utf8, std::mem::take(count)),
        }
    }
}

impl Printed {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        if self.raw.is_empty() || !cursor.eat(&self.raw) {
            let start = *cursor;
            self.raw.clear();
            self.json.clear();
            cursor.append_json(&mut self.json)?;
            self.raw.extend_from_slice(start.bytes_to(cursor));
        }
        match self.json.as_slice() {
            b"null" => self.texts.append_null(),
            json => self.texts.append_value(json),
        }
        Ok(())
    }
}

/// A number that fits the columns.
#[inline]
fn number(token: Token<'_>) -> Option<i64> {
    match token {
        Token::Number(number) => i64::try_from(number).ok(),
        Token::Negative(number) => Some(number),
        _ => None,
    }
}

fn all_texts(mut cursor: Cursor<'_>, count: u64) -> bool {
    (0..count).all(|_| cursor.text().is_ok())
}

fn each_text(
    cursor: &mut Cursor<'_>,
    count: u32,
    mut take: impl FnMut(&str),
) -> Result<(), Malformed> {
    for _ in 0..count {
        take(&String::from_utf8_lossy(cursor.text()?));
    }
    Ok(())
}

/// The texts of a column. Where they are no UTF-8, which no writer of ours produces, they are made
/// readable.
fn checked(texts: BinaryArray) -> ArrayRef {
    let lossy = || texts.iter().map(|text| text.map(String::from_utf8_lossy)).collect();
    Arc::new(StringArray::try_from_binary(texts.clone()).unwrap_or_else(|_| lossy()))
}
