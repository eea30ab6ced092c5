//! A body in pieces: long parts of the original are shared, only short ones are copied.
//!
//! `splice` prints into it; the gateway sends the pieces one behind the other, again for each try.

use bytes::Bytes;

/// Parts of the original from this length are shared, not copied, in bytes.
///
/// To hand the connection one more piece takes about as long as to copy this much.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// A body; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Most bodies are one piece.
    first: Bytes,
    rest: Vec<Bytes>,
}

impl Pieces {
    /// Bytes in all pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order; some may be empty.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The body in one; copied when it has several pieces.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.len());
        for piece in self {
            whole.extend_from_slice(&piece);
        }
        whole.into()
    }

    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        match self.first.is_empty() {
            true => self.first = piece,
            false => self.rest.push(piece),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(first: Bytes) -> Self {
        Self { first, rest: Vec::new() }
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::iter::Chain<std::iter::Once<Bytes>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.rest)
    }
}

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
