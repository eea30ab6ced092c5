//! Records of the journal become columns, in batches of bounded size. Used by ingestion and by
//! queries on what is not ingested yet.
//!
//! This runs for every request: the bytes of a record are read once, straight into the columns, and
//! no tree of values is made of them. A field that a record lacks costs nothing: its column learns
//! of the missing rows when the next value comes. Fields without a column go to `rest`.

use crate::blocks::{Block, Blocks, ColumnSet};
use crate::cells::Cells;
use crate::schema::{Column, Layout, Place, USAGE, Within};
use crate::shared::{Shared, Sharing};
use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use gantry_telemetry::journal::pack::{Cursor, Key, Malformed, Token, append_key, append_text};

/// Most rows of a batch: about 5 MB without bodies. Ingestion makes a row group of each.
const BATCH_ROWS: usize = 16_384;
/// A batch ends when it holds so many bytes of records, which may carry bodies.
const BATCH_BYTES: usize = 4 << 20;

/// The field that tells the time of receipt, in milliseconds.
const RECEIVED_AT: &str = "received_at_ms";
const RECEIVED_AT_NUMBER: u8 = gantry_model::record::RECEIVED_AT_NUMBER;

/// A batch in the making.
#[derive(Debug)]
pub(crate) struct Columns {
    making: Vec<Making>,
    layout: &'static Layout,
    rows: usize,
    bytes: usize,
    /// Rows of records that proved to be malformed.
    dead: Vec<usize>,
    blocks: Blocks,
    /// Shared columns that fields of the row filled which are in no block.
    filled: ColumnSet,
    /// Fields of the row without a column, as a JSON object.
    rest: Vec<u8>,
    /// The same for the object `usage` in the record.
    inner: Vec<u8>,
}

/// One column in the making. It may be shorter than the batch: then the last rows have no value.
#[derive(Debug)]
enum Making {
    /// Nearly each row has a value of its own.
    Each(Cells),
    Shared(Shared),
    /// Values that are not asked for.
    Ignored,
}

/// One column of a finished batch.
#[derive(Debug)]
pub(crate) enum Made {
    Each(ArrayRef),
    Shared(Sharing),
    /// No row has a value.
    Nothing,
}

impl Columns {
    /// With `bodies` unset, the columns of bodies stay empty.
    pub(crate) fn new(bodies: bool) -> Self {
        Self::of(Layout::current(), bodies)
    }

    /// The same for other rows than the record's.
    pub(crate) fn of(layout: &'static Layout, bodies: bool) -> Self {
        let making = |column: &'static Column| match column.distinct {
            _ if !bodies && column.body => Making::Ignored,
            true => Making::Each(Cells::new(column.kind)),
            false => Making::Shared(Shared::new(column.kind)),
        };
        Self {
            making: layout.columns.iter().map(making).collect(),
            layout,
            rows: 0,
            bytes: 0,
            dead: Vec::new(),
            blocks: Blocks::default(),
            filled: ColumnSet::default(),
            rest: Vec::new(),
            inner: Vec::new(),
        }
    }

    /// Appends a record; one that is malformed leaves no row.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        self.rest.clear();
        self.filled = ColumnSet::default();
        let outcome = self.read(payload);
        if outcome.is_err() {
            self.dead.push(self.rows);
        } else if !self.rest.is_empty() {
            self.rest.push(b'}');
            // The column `rest`.
            if let Some(Making::Each(cells)) = self.making.last_mut() {
                cells.append_nulls(self.rows.saturating_sub(cells.len()));
                cells.append_text(&self.rest);
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
        let schema = self.layout.schema.clone();
        let rows = self.rows;
        let array = |(made, field): (Made, &std::sync::Arc<arrow::datatypes::Field>)| match made {
            Made::Each(array) => Ok(array),
            Made::Shared(sharing) => sharing.spread(),
            Made::Nothing => Ok(new_null_array(field.data_type(), rows)),
        };
        let dead = std::mem::take(&mut self.dead);
        let arrays = self.made().into_iter().zip(schema.fields()).map(array);
        let batch = RecordBatch::try_new(schema.clone(), arrays.collect::<Result<_, _>>()?)?;
        if dead.is_empty() {
            return Ok(batch);
        }
        let alive = (0..rows).map(|row| Some(dead.binary_search(&row).is_err()));
        filter_record_batch(&batch, &alive.collect::<BooleanArray>())
    }

    /// As [`Columns::finish`], with the number of rows, as ingestion wants it; `None` when there
    /// are rows of malformed records, which only [`Columns::finish`] leaves out.
    pub(crate) fn finish_shared(&mut self) -> Option<(usize, Vec<Made>)> {
        let rows = self.rows;
        self.dead.is_empty().then(|| (rows, self.made()))
    }

    #[inline]
    fn place(&self, within: Within, key: Key<'_>) -> Place {
        match key {
            Key::Number(number) => self.layout.place(within, number),
            Key::Name(name) => self.layout.place_by_name(within, name),
        }
    }

    fn made(&mut self) -> Vec<Made> {
        self.settle();
        self.blocks = Blocks::default();
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let made = |making: &mut Making| match making {
            Making::Each(cells) if cells.len() > 0 => {
                cells.append_nulls(rows.saturating_sub(cells.len()));
                Made::Each(cells.finish())
            }
            Making::Shared(shared) if shared.len() > 0 => {
                shared.append_nulls(rows.saturating_sub(shared.len()));
                Made::Shared(shared.finish())
            }
            Making::Each(_) | Making::Shared(_) | Making::Ignored => Made::Nothing,
        };
        self.making.iter_mut().map(made).collect()
    }

    fn read(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(payload);
        for _ in 0..entries(&mut cursor)? {
            self.field(Within::Record, &mut cursor)?;
        }
        if cursor.at_end() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads one field of the record or of the object in it.
    #[inline]
    fn field(&mut self, within: Within, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let key = cursor.key()?;
        let taken = match self.place(within, key) {
            Place::Column(at) => self.value(at, cursor)?,
            Place::Usage => self.usage(cursor)?,
            Place::Block if within == Within::Record => self.block(cursor).map(|()| true)?,
            Place::Block | Place::Rest => false,
        };
        if taken { Ok(()) } else { keep(self.rest_of(within), key, cursor) }
    }

    /// Reads the value of a column. False when it is not of the column's kind or comes twice: then
    /// it is unread.
    #[inline]
    fn value(&mut self, at: u8, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        if self.blocks.counts(at) {
            self.settle();
        }
        let rows = self.rows;
        match self.making.get_mut(usize::from(at)) {
            Some(Making::Each(cells)) => match rows.checked_sub(cells.len()) {
                Some(missing) => {
                    if missing > 0 {
                        cells.append_nulls(missing);
                    }
                    cells.append(cursor)
                }
                None => Ok(false),
            },
            Some(Making::Shared(shared)) => match rows.checked_sub(shared.len()) {
                Some(missing) => {
                    self.filled.add(at);
                    shared.append_nulls(missing);
                    shared.append(cursor)
                }
                None => Ok(false),
            },
            Some(Making::Ignored) => {
                let mut after = *cursor;
                let text = matches!(after.token()?, Token::Text(_) | Token::Nil);
                *cursor = if text { after } else { *cursor };
                Ok(text)
            }
            None => Err(Malformed),
        }
    }

    /// Reads fields that many records share.
    #[inline]
    fn block(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let Token::Bytes(bytes) = cursor.token()? else { return Err(Malformed) };
        if self.blocks.again(bytes, self.rows) { Ok(()) } else { self.other_block(bytes) }
    }

    fn other_block(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.settle();
        let place = match self.blocks.find(bytes) {
            Some(place) => place,
            None => {
                let block = self.meaning(bytes)?;
                self.blocks.learn(bytes, block)
            }
        };
        if self.blocks.begin(bytes, place, self.rows, self.filled) {
            Ok(())
        } else {
            self.block_fields(bytes)
        }
    }

    /// What a block means for the columns; nothing when its fields have to be read.
    fn meaning(&mut self, bytes: &[u8]) -> Result<Block, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let mut block = Block::default();
        for _ in 0..entries(&mut cursor)? {
            let place = self.place(Within::Record, cursor.key()?);
            let Place::Column(at) = place else { return Ok(Block::default()) };
            let making = self.making.get_mut(usize::from(at));
            let Some(Making::Shared(shared)) = making else { return Ok(Block::default()) };
            match shared.place(&mut cursor)? {
                Some(place) if !block.columns.has(at) => block.values.push((at, place)),
                Some(_) | None => return Ok(Block::default()),
            }
            block.columns.add(at);
        }
        if cursor.at_end() { Ok(block) } else { Err(Malformed) }
    }

    /// Reads the fields of a block as those of the record.
    fn block_fields(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(bytes);
        for _ in 0..entries(&mut cursor)? {
            let mut key = cursor;
            if self.place(Within::Record, key.key()?) == Place::Block {
                return Err(Malformed);
            }
            self.field(Within::Record, &mut cursor)?;
        }
        if cursor.at_end() { Ok(()) } else { Err(Malformed) }
    }

    /// Tells the columns of the rows that were counted.
    fn settle(&mut self) {
        let (rows, values) = self.blocks.take();
        for (at, place) in values {
            if let Some(Making::Shared(shared)) = self.making.get_mut(usize::from(*at)) {
                shared.append_nulls(rows.start.saturating_sub(shared.len()));
                shared.append_place(*place, rows.len());
            }
        }
    }

    fn rest_of(&mut self, within: Within) -> &mut Vec<u8> {
        if within == Within::Usage { &mut self.inner } else { &mut self.rest }
    }

    /// Reads the object `usage`; false when the value is none, then it is unread.
    fn usage(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
        let mut inside = *cursor;
        let Token::Map(count) = inside.token()? else { return Ok(false) };
        self.inner.clear();
        for _ in 0..count {
            self.field(Within::Usage, &mut inside)?;
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

/// Time of receipt in milliseconds since the epoch; 0 when the record lacks it.
pub(crate) fn received_ms(payload: &[u8]) -> Result<u64, Malformed> {
    let mut cursor = Cursor::new(payload);
    for _ in 0..entries(&mut cursor)? {
        let is_it = match cursor.key()? {
            Key::Number(number) => number == RECEIVED_AT_NUMBER,
            Key::Name(name) => name == RECEIVED_AT.as_bytes(),
        };
        if is_it {
            let Token::Number(ms) = cursor.token()? else { break };
            return Ok(ms);
        }
        cursor.skip()?;
    }
    Ok(0)
}

/// Number of fields of the map that begins here.
fn entries(cursor: &mut Cursor<'_>) -> Result<u32, Malformed> {
    match cursor.token()? {
        Token::Map(count) => Ok(count),
        _ => Err(Malformed),
    }
}

/// Appends a field to the beginning of a JSON object.
fn keep(object: &mut Vec<u8>, key: Key<'_>, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
    separate(object);
    append_key(object, key);
    cursor.append_json(object)
}

fn separate(object: &mut Vec<u8>) {
    object.push(if object.is_empty() { b'{' } else { b',' });
}
