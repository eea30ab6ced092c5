//! One count of a usage. Whatever stands in its place is read over, and never an error.

use crate::scan::Fault;
use crate::scan::cursor::{Cursor, count};

/// Most tokens of one kind that are believed of one call: ten times the largest context window
/// that is on offer. A larger count is a mistake, which would cost more than all the others.
const TOKENS_MAX: u64 = 100_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// As last read.
    pub(super) read: Option<u64>,
    /// What was sent last is no count, or beyond belief.
    pub(super) unread: bool,
}

impl Count {
    /// Zero replaces nothing, and neither does what cannot be read.
    pub(super) fn take(&mut self, later: Self) {
        match later.read {
            Some(0) if self.read.is_some() => {}
            Some(_) => *self = later,
            None => self.unread |= later.unread,
        }
    }

    pub(super) fn get(self) -> u64 {
        self.read.unwrap_or(0)
    }

    /// The count, if it is more than zero.
    pub(super) fn says(self) -> Option<u64> {
        self.read.filter(|count| *count > 0)
    }

    /// Whether something was sent for it, and nothing that could be read.
    pub(super) fn missing(self) -> bool {
        self.unread && self.read.is_none()
    }
}

/// Reads a value into its count, or moves over one that is none of the counts. Null says nothing.
pub(super) fn read(slot: Option<&mut Count>, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let Some(slot) = slot else { return cursor.ignore() };
    if cursor.peek_value() == Some(b'n') {
        return cursor.ignore();
    }
    let read = number(cursor)?.filter(|count| *count <= TOKENS_MAX);
    slot.take(Count { read, unread: read.is_none() });
    Ok(())
}

/// A whole number that is not negative; some servers send it as a string.
fn number(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Fault> {
    if cursor.peek_value() != Some(b'"') {
        return count(cursor);
    }
    let text = cursor.string()?;
    let mut inner = Cursor::new(cursor.slice(&text.inner()));
    let number = count(&mut inner).ok().flatten();
    Ok(number.filter(|_| inner.end().is_ok()))
}
