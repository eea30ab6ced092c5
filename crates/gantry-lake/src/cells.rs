//! The cells of one column in the making. Used by `columns` and by `shared`.

use crate::schema::{Kind, UTC, item};
use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryArray, BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder,
    MapBuilder, MapFieldNames, StringArray, StringBuilder, TimestampMillisecondBuilder,
};
use gantry_telemetry::journal::pack::{Cursor, Malformed, Token};
use std::sync::Arc;

/// One cell for each row.
#[derive(Debug)]
pub(crate) enum Cells {
    /// Bytes until the batch is finished: checking them all at once takes a tenth of the time.
    Text(BinaryBuilder),
    /// Values of any kind as JSON, and room to print one.
    Json(BinaryBuilder, Vec<u8>),
    Int(Int64Builder),
    Time(TimestampMillisecondBuilder),
    Flag(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Map(MapBuilder<StringBuilder, StringBuilder>),
}

impl Cells {
    pub(crate) fn new(kind: Kind) -> Self {
        let texts = StringBuilder::new;
        match kind {
            Kind::Text => Self::Text(BinaryBuilder::new()),
            Kind::Json => Self::Json(BinaryBuilder::new(), Vec::new()),
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

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(texts) | Self::Json(texts, _) => texts.len(),
            Self::Int(ints) => ints.len(),
            Self::Time(times) => times.len(),
            Self::Flag(flags) => flags.len(),
            Self::Texts(lists) => lists.len(),
            Self::Map(maps) => maps.len(),
        }
    }

    /// Reads a value and appends it. False when it is not of the column's kind: then it is unread,
    /// and nothing is appended.
    #[inline]
    pub(crate) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        match self {
            Self::Int(ints) => {
                if let Some(number) = cursor.small_number() {
                    ints.append_value(number.into());
                    return Ok(true);
                }
            }
            Self::Json(texts, json) => {
                json.clear();
                cursor.append_json(json)?;
                match json.as_slice() {
                    b"null" => texts.append_null(),
                    json => texts.append_value(json),
                }
                return Ok(true);
            }
            _ => {}
        }
        let mut after = *cursor;
        match (&mut *self, after.token()?) {
            (_, Token::Nil) => self.append_nulls(1),
            (Self::Text(texts), Token::Text(text)) => texts.append_value(text),
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
            Self::Text(texts) | Self::Json(texts, _) => texts.append_value(text),
            _ => self.append_nulls(1),
        }
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Text(texts) | Self::Json(texts, _) => texts.append_nulls(count),
            Self::Int(ints) => ints.append_nulls(count),
            Self::Time(times) => times.append_nulls(count),
            Self::Flag(flags) => flags.append_nulls(count),
            Self::Texts(lists) => lists.append_nulls(count),
            // It fails only when keys and values differ in number.
            Self::Map(maps) => (0..count).for_each(|_| drop(maps.append(false))),
        }
    }

    /// The cells so far; begins anew.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(texts) | Self::Json(texts, _) => checked(texts.finish()),
            Self::Int(ints) => Arc::new(ints.finish()),
            Self::Time(times) => Arc::new(times.finish()),
            Self::Flag(flags) => Arc::new(flags.finish()),
            Self::Texts(lists) => Arc::new(lists.finish()),
            Self::Map(maps) => Arc::new(maps.finish()),
        }
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
