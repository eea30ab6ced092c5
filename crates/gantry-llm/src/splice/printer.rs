//! Prints a body with edits into pieces. Called by the drafts of `splice` only.

use bytes::Bytes;
use gantry_model::pieces::Pieces;

/// Parts of the original from this length are shared, not copied, in bytes.
///
/// To hand the connection one more piece takes about as long as to copy this much.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// Prints parts of a body and new text between them.
pub(super) struct Printer<'a> {
    body: &'a Bytes,
    /// Everything before this position is printed or skipped.
    done: usize,
    pieces: Pieces,
    /// The piece that is being put together.
    open: Vec<u8>,
}

impl<'a> Printer<'a> {
    /// `added` is how much text will come in, at most.
    pub(super) fn new(body: &'a Bytes, added: usize) -> Self {
        // A long body begins with a short part mostly: the way to the model's name.
        let copied = if body.len() < 2 * SHARED_BYTES_MIN { body.len() } else { 128 };
        Self { body, done: 0, pieces: Pieces::default(), open: Vec::with_capacity(copied + added) }
    }

    /// Prints the body up to `end`.
    pub(super) fn copy_to(&mut self, end: usize) {
        let range = self.done..end;
        if range.len() >= SHARED_BYTES_MIN {
            let text = Bytes::from(std::mem::take(&mut self.open));
            self.pieces.push(text);
            self.pieces.push(self.body.slice(range));
        } else {
            self.open.extend_from_slice(self.body.get(range).unwrap_or_default());
        }
        self.done = end;
    }

    /// Leaves the body out up to `end`.
    pub(super) fn skip_to(&mut self, end: usize) {
        self.done = end;
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.open.extend_from_slice(text);
    }

    /// Prints the rest of the body.
    pub(super) fn finish(mut self) -> Pieces {
        self.copy_to(self.body.len());
        self.pieces.push(self.open.into());
        self.pieces
    }
}
