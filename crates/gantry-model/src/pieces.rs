//! A body in pieces: long parts of an original are shared, only short ones are copied.
//!
//! Edits of requests print into it; connections send the pieces one behind the other, again for
//! each try.

use bytes::Bytes;

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

    /// Adds a piece behind the others; an empty one is left out.
    pub fn push(&mut self, piece: Bytes) {
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
