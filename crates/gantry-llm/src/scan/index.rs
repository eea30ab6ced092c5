//! Where the members of an object stand, so that edits need no second walk over it.
//!
//! `scan` fills one for each request; `splice` reads it. It holds places only, and fits no other
//! text than the one it was made from.

use super::cursor::{Cursor, Str};
use super::error::Fault;
use super::{MEMBERS_MAX, Problem, ScanError};
use std::ops::Range;

/// The places of an object's members, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub(crate) members: Vec<Member>,
    /// The whole object, without white space around it.
    pub(crate) object: Range<usize>,
}

/// One member: byte positions in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: Str,
    pub(crate) value: Range<usize>,
}

impl Index {
    /// Checks that `text` is one JSON object and finds its members.
    ///
    /// # Errors
    /// When it is not valid JSON, is not an object, nests too deep or has too many members.
    pub fn of(text: &[u8]) -> Result<Self, ScanError> {
        let mut index = Self::default();
        let mut cursor = Cursor::new(text);
        match index.fill(&mut cursor, |cursor, _| cursor.ignore()) {
            Ok(()) => Ok(index),
            Err(fault) => Err(ScanError::new(text, fault)),
        }
    }

    /// Moves over a whole text. `visit` is called before each value and must move over it.
    pub(super) fn fill<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        mut visit: impl FnMut(&mut Cursor<'a>, &Str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let start = cursor.start_of_object()?;
        // What most requests have, without growing.
        self.members = Vec::with_capacity(12);
        cursor.object(|cursor, key| {
            cursor.peek_value();
            let start = cursor.at();
            visit(cursor, &key)?;
            self.push(Member { key, value: start..cursor.at() })
        })?;
        self.object = start..cursor.at();
        cursor.end()
    }

    fn push(&mut self, member: Member) -> Result<(), Fault> {
        if self.members.len() == MEMBERS_MAX {
            return Err(Fault::new(Problem::TooManyMembers, member.key.range.start));
        }
        self.members.push(member);
        Ok(())
    }
}

impl Member {
    /// Whether this is the member `key` of `text`. Keys compare after unescaping.
    pub(crate) fn is(&self, key: &str, text: &[u8]) -> bool {
        if self.key.escaped {
            return Cursor::new(text).name(&self.key, &mut Vec::new()) == key.as_bytes();
        }
        text.get(self.key.inner()) == Some(key.as_bytes())
    }
}
