//! A column whose rows share few values, such as models, callers and routes. Used by `columns`.
//!
//! Each value is converted once per batch. What is kept of the rows is how many in a row have which
//! value: the next record often has that of the one before, which its bytes tell.

use crate::cells::Cells;
use crate::schema::Kind;
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use gantry_telemetry::journal::pack::{Cursor, Malformed, Token};
use std::collections::HashMap;

/// Equal values next to each other, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs<T> {
    runs: Vec<(T, usize)>,
    len: usize,
}

impl<T: Copy + PartialEq> Runs<T> {
    #[inline]
    pub(crate) fn push(&mut self, value: T, count: usize) {
        if count == 0 {
            return;
        }
        self.len += count;
        match self.runs.last_mut() {
            Some((last, so_far)) if *last == value => *so_far += count,
            _ => self.runs.push((value, count)),
        }
    }

    /// Number of values, with their repetitions.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (T, usize)> + '_ {
        self.runs.iter().copied()
    }
}

/// The column in the making.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Each value once.
    values: Cells,
    /// Where the value with these bytes stands in `values`.
    places: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    rows: Runs<Option<u32>>,
    /// The last value as it stood in its record, and its place; empty when there was none.
    last: Vec<u8>,
    last_place: u32,
}

/// The finished column: values, and which row has which of them.
#[derive(Debug)]
pub(crate) struct Sharing {
    pub(crate) values: ArrayRef,
    pub(crate) rows: Runs<Option<u32>>,
}

impl Sharing {
    /// One cell for each row.
    pub(crate) fn spread(&self) -> Result<ArrayRef, ArrowError> {
        let mut places = UInt32Array::builder(self.rows.len());
        for (place, count) in self.rows.iter() {
            match place {
                Some(place) => places.append_value_n(place, count),
                None => places.append_nulls(count),
            }
        }
        take(&self.values, &places.finish(), None)
    }
}

impl Shared {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            values: Cells::new(kind),
            places: HashMap::default(),
            rows: Runs::default(),
            last: Vec::new(),
            last_place: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.rows.push(None, count);
    }

    /// As [`Cells::append`].
    #[inline]
    pub(crate) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        if !self.last.is_empty() && cursor.eat(&self.last) {
            self.rows.push(Some(self.last_place), 1);
            return Ok(true);
        }
        self.append_other(cursor)
    }

    fn append_other(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        let start = *cursor;
        let mut inside = *cursor;
        if inside.token()? == Token::Nil {
            self.rows.push(None, 1);
            *cursor = inside;
            return Ok(true);
        }
        let Some(place) = self.place(cursor)? else { return Ok(false) };
        self.rows.push(Some(place), 1);
        self.last.clear();
        self.last.extend_from_slice(start.bytes_to(cursor));
        self.last_place = place;
        Ok(true)
    }

    /// Reads a value that is there and says its place. `None` when it is not of the column's kind:
    /// then it is unread.
    pub(crate) fn place(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<u32>, Malformed> {
        let mut after = *cursor;
        after.skip()?;
        let bytes = cursor.bytes_to(&after);
        let place = match self.places.get(bytes) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.values.len()).map_err(|_| Malformed)?;
                if !self.values.append(&mut cursor.clone())? {
                    return Ok(None);
                }
                self.places.insert(bytes.into(), place);
                place
            }
        };
        *cursor = after;
        Ok(Some(place))
    }

    /// Appends a value of a known place to the next rows.
    pub(crate) fn append_place(&mut self, place: u32, count: usize) {
        self.rows.push(Some(place), count);
    }

    /// The cells so far; begins anew.
    pub(crate) fn finish(&mut self) -> Sharing {
        self.places.clear();
        self.last.clear();
        Sharing { values: self.values.finish(), rows: std::mem::take(&mut self.rows) }
    }
}
