//! Records of the journal become columns, in batches of bounded size. Used by ingestion and by
//! queries on what is not ingested yet.
//!
//! This runs for every request: the bytes of a record are read once, straight into the columns, and
//! no tree of values is made of them. Records are much alike, so each is expected to have the
//! fields of the one before, in the same order. Fields without a column go to `rest`.

use crate::cells::Cells;
use crate::schema::{BODIES, COLUMNS, Column, Within, schema};
use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use gantry_telemetry::journal::pack::{Cursor, Malformed, Token, append_text};

/// Most rows of a batch: about 2 MB without bodies.
const BATCH_ROWS: usize = 4_096;
/// A batch ends when it holds so many bytes of records, which may carry bodies.
const BATCH_BYTES: usize = 4 << 20;

/// A batch in the making.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<(&'static Column, Cells)>,
    /// For each column the one whose field came next the last time.
    next: [usize; COLUMNS.len()],
    rows: usize,
    bytes: usize,
    /// Rows of records that proved to be malformed.
    dead: Vec<usize>,
    /// Bit n is set when the row that is being read has a cell in column n.
    filled: u64,
    /// Fields of the row without a column, as a JSON object.
    rest: Vec<u8>,
    /// The same for the object `usage` in the record.
    inner: Vec<u8>,
}

/// The one object in the record whose fields have columns.
const USAGE: &str = "usage";
/// Place of the column `rest`.
const REST: usize = COLUMNS.len() - 1;
const _: () = assert!(COLUMNS.len() <= 64, "`filled` has a bit for each column");

impl Columns {
    /// With `bodies` unset, the columns of bodies stay empty.
    pub(crate) fn new(bodies: bool) -> Self {
        let cells = |column: &'static Column| {
            let wanted = bodies || !BODIES.contains(&column.name);
            (column, if wanted { Cells::new(column.kind) } else { Cells::Ignored(0) })
        };
        Self {
            columns: COLUMNS.iter().map(cells).collect(),
            next: std::array::from_fn(|at| at + 1),
            rows: 0,
            bytes: 0,
            dead: Vec::new(),
            filled: 0,
            rest: Vec::new(),
            inner: Vec::new(),
        }
    }

    /// Appends a record; one that is malformed leaves no row.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.filled = 0;
        self.rest.clear();
        let outcome = self.read(payload);
        if outcome.is_err() {
            self.dead.push(self.rows);
        } else if !self.rest.is_empty() {
            self.rest.push(b'}');
            if let Some((_, cells)) = self.columns.get_mut(REST) {
                cells.append_text(&self.rest);
                self.filled |= 1 << REST;
            }
        }
        for (at, (_, cells)) in self.columns.iter_mut().enumerate() {
            if self.filled & 1 << at == 0 {
                cells.append_null();
            }
        }
        self.rows += 1;
        self.bytes += payload.len();
        outcome
    }

    /// Whether the batch should be finished before more is appended.
    pub(crate) fn full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows so far, in the schema of new files; begins the next batch.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.columns.iter_mut().map(|(_, cells)| cells.finish()).collect();
        let batch = RecordBatch::try_new(schema(), arrays)?;
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let dead = std::mem::take(&mut self.dead);
        if dead.is_empty() {
            return Ok(batch);
        }
        let alive = (0..rows).map(|row| Some(dead.binary_search(&row).is_err()));
        filter_record_batch(&batch, &alive.collect::<BooleanArray>())
    }

    fn read(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(payload);
        // The first column is guessed after the last one.
        let mut last = REST;
        for _ in 0..entries(&mut cursor)? {
            self.field(Within::Record, &mut cursor, &mut last)?;
        }
        if cursor.at_end() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads one field of the record or of the object in it. `last` is the column of the field
    /// before.
    #[inline]
    fn field(
        &mut self,
        within: Within,
        cursor: &mut Cursor<'_>,
        last: &mut usize,
    ) -> Result<(), Malformed> {
        let guess = self.next.get(*last).copied().unwrap_or_default();
        match COLUMNS.get(guess) {
            Some(column) if column.within == within && cursor.eat_text(column.field) => {
                *last = guess;
                self.value(guess, cursor)
            }
            _ => self.unexpected_field(within, cursor, last),
        }
    }

    fn unexpected_field(
        &mut self,
        within: Within,
        cursor: &mut Cursor<'_>,
        last: &mut usize,
    ) -> Result<(), Malformed> {
        let name = cursor.text()?;
        let is_usage = within == Within::Record && name == USAGE.as_bytes();
        if is_usage && self.usage(cursor, last)? {
            return Ok(());
        }
        if let Some(at) = find(within, name, *last) {
            if let Some(next) = self.next.get_mut(*last) {
                *next = at;
            }
            *last = at;
            return self.value(at, cursor);
        }
        keep(self.rest_of(within), name, cursor)
    }

    /// Reads the value of a column, to `rest` when it is not of the column's kind or comes twice.
    #[inline]
    fn value(&mut self, at: usize, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let Some((column, cells)) = self.columns.get_mut(at) else { return Err(Malformed) };
        let bit = 1 << at;
        if self.filled & bit == 0 && cells.append(cursor)? {
            self.filled |= bit;
            return Ok(());
        }
        let column = *column;
        keep(self.rest_of(column.within), column.field.as_bytes(), cursor)
    }

    fn rest_of(&mut self, within: Within) -> &mut Vec<u8> {
        if within == Within::Usage { &mut self.inner } else { &mut self.rest }
    }

    /// Reads the object `usage`; false when the value is none, then it is unread.
    fn usage(&mut self, cursor: &mut Cursor<'_>, last: &mut usize) -> Result<bool, Malformed> {
        let mut inside = *cursor;
        let Token::Map(count) = inside.token()? else { return Ok(false) };
        self.inner.clear();
        for _ in 0..count {
            self.field(Within::Usage, &mut inside, last)?;
        }
        if !self.inner.is_empty() {
            separate(&mut self.rest);
            append_text(&mut self.rest, USAGE.as_bytes());
            self.rest.push(b':');
            self.rest.append(&mut self.inner);
            self.rest.push(b'}');
        }
        *cursor = inside;
        Ok(true)
    }
}

/// Place of a field's column. Looks after `last` first: fields come in the order of the columns.
fn find(within: Within, field: &[u8], last: usize) -> Option<usize> {
    let is_it = |column: &Column| column.within == within && column.field.as_bytes() == field;
    let after = COLUMNS.get(last + 1..)?.iter().position(is_it).map(|at| last + 1 + at);
    after.or_else(|| COLUMNS.iter().position(is_it))
}

/// Time of receipt in milliseconds since the epoch; 0 when the record lacks it.
pub(crate) fn received_ms(payload: &[u8]) -> Result<u64, Malformed> {
    let mut cursor = Cursor::new(payload);
    for _ in 0..entries(&mut cursor)? {
        if cursor.text()? == b"received_at_ms" {
            let Token::Number(ms) = cursor.token()? else { break };
            return Ok(ms);
        }
        cursor.skip()?;
    }
    Ok(0)
}

/// Number of fields of the record that begins here.
fn entries(cursor: &mut Cursor<'_>) -> Result<u32, Malformed> {
    match cursor.token()? {
        Token::Map(count) => Ok(count),
        _ => Err(Malformed),
    }
}

/// Appends a field to the beginning of a JSON object.
fn keep(object: &mut Vec<u8>, name: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    separate(object);
    append_text(object, name);
    object.push(b':');
    cursor.append_json(object)
}

fn separate(object: &mut Vec<u8>) {
    object.push(if object.is_empty() { b'{' } else { b',' });
}
