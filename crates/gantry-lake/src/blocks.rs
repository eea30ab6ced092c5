//! Fields that stand together in the journal because many records have the same. Used by `columns`.
//!
//! What such a block means for the columns is found out once per batch; of each further record with
//! it only the row is counted, until another block comes.

use gantry_model::record::table::NUMBERS_MAX;
use std::collections::HashMap;
use std::ops::Range;

/// The blocks of a batch.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    known: Vec<Block>,
    /// Where the block with these bytes stands in `known`.
    places: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// The block of the last rows, by its bytes and its place.
    last: Vec<u8>,
    last_place: usize,
    /// Rows that have the last block; their columns do not know yet.
    rows: Range<usize>,
    /// Columns of the last block.
    columns: ColumnSet,
}

/// What a block means.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Columns, and the place of each one's value in [`crate::shared::Shared`]. None in a block
    /// whose fields have to be read again for each record.
    pub(crate) values: Vec<(u8, u32)>,
    pub(crate) columns: ColumnSet,
}

/// Some of the columns. A bit for each: there are at most as many columns as numbers of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSet(u128);

const _: () = assert!(NUMBERS_MAX <= 128, "a set of columns has a bit for each");

impl ColumnSet {
    #[inline]
    pub(crate) fn has(self, column: u8) -> bool {
        self.0 & 1_u128.wrapping_shl(column.into()) != 0
    }

    #[inline]
    pub(crate) fn add(&mut self, column: u8) {
        self.0 |= 1_u128.wrapping_shl(column.into());
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Blocks {
    /// Whether the row follows those with these bytes; then it is counted.
    #[inline]
    pub(crate) fn again(&mut self, bytes: &[u8], row: usize) -> bool {
        let again = !self.rows.is_empty() && self.rows.end == row && self.last == bytes;
        self.rows.end += usize::from(again);
        again
    }

    /// The place of the block with these bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.places.get(bytes).copied()
    }

    /// The same after its meaning was found out.
    pub(crate) fn learn(&mut self, bytes: &[u8], block: Block) -> usize {
        let place = self.known.len();
        self.places.insert(bytes.into(), place);
        self.known.push(block);
        place
    }

    /// Counts the first row with a block; those of the block before have been taken. False when the
    /// fields have to be read, because of the block or because of the columns in `filled`.
    pub(crate) fn begin(
        &mut self,
        bytes: &[u8],
        place: usize,
        row: usize,
        filled: ColumnSet,
    ) -> bool {
        match self.known.get(place) {
            Some(block) if !block.values.is_empty() && !block.columns.meets(filled) => {
                self.last.clear();
                self.last.extend_from_slice(bytes);
                self.last_place = place;
                self.rows = row..row + 1;
                self.columns = block.columns;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether rows are counted that have a value in this column.
    #[inline]
    pub(crate) fn counts(&self, column: u8) -> bool {
        !self.rows.is_empty() && self.columns.has(column)
    }

    /// The rows counted so far, and the values that they have. They are not counted any more.
    pub(crate) fn take(&mut self) -> (Range<usize>, &[(u8, u32)]) {
        let rows = std::mem::take(&mut self.rows);
        let block = self.known.get(self.last_place).filter(|_| !rows.is_empty());
        (rows, block.map_or(&[], |block| &block.values))
    }
}
