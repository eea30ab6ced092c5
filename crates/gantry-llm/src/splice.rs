//! Edits of top-level fields in place: every other byte of the body stays as it was.
//!
//! The gateway calls it when a request or reply keeps its dialect but a field must change (the
//! model's name, `stream_options`, a route's overrides). It never reorders and never re-prints.

#[cfg(test)]
mod tests;

use crate::scan::cursor::{Cursor, Fault};
use crate::scan::{Problem, ScanError};
use std::ops::Range;

/// One change of a top-level field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Replaces the value in place, or appends the field at the end of the object. `json` must be
    /// one valid JSON value.
    Set { key: &'a str, json: &'a [u8] },
    /// Removes the field with its comma; nothing happens when there is none.
    Remove { key: &'a str },
}

impl<'a> Edit<'a> {
    fn key(&self) -> &'a str {
        match self {
            Self::Set { key, .. } | Self::Remove { key } => key,
        }
    }
}

/// Applies `edits`; of several for one key, the last counts. Keys compare after unescaping.
///
/// # Errors
/// When the body is not one valid JSON object, or when a key that is to be edited occurs twice.
pub fn splice(body: &[u8], edits: &[Edit<'_>]) -> Result<Vec<u8>, ScanError> {
    let checked = std::str::from_utf8(body)
        .map_err(|error| Fault::new(Problem::Utf8, error.valid_up_to()))
        .and_then(|_| Writer::new(body, edits).run());
    checked.map_err(|fault| ScanError::new(body, fault))
}

struct Writer<'a> {
    body: &'a [u8],
    /// The effective edits, one a key, and whether the key was found.
    edits: Vec<(Edit<'a>, bool)>,
    out: Vec<u8>,
    /// Everything before this position is written or dropped.
    done: usize,
    /// End of the last member's value, or the place behind `{`.
    last_end: usize,
    any_kept: bool,
    /// A member was dropped before any was kept: its comma is dropped with it.
    drop_to_next: bool,
}

impl<'a> Writer<'a> {
    fn new(body: &'a [u8], edits: &[Edit<'a>]) -> Self {
        let is_last = |at: usize, edit: &Edit<'_>| {
            edits.iter().skip(at + 1).all(|later| later.key() != edit.key())
        };
        let effective: Vec<_> = edits
            .iter()
            .enumerate()
            .filter(|(at, edit)| is_last(*at, edit))
            .map(|(_, edit)| (*edit, false))
            .collect();
        let added: usize = edits.iter().map(added_bytes_max).sum();
        Self {
            body,
            edits: effective,
            out: Vec::with_capacity(body.len() + added),
            done: 0,
            last_end: 0,
            any_kept: false,
            drop_to_next: false,
        }
    }

    fn run(mut self) -> Result<Vec<u8>, Fault> {
        let mut cursor = Cursor::new(self.body);
        self.last_end = cursor.start_of_object()? + 1;
        cursor.object(|cursor, key| {
            let name = cursor.name(&key);
            let found = self.edits.iter_mut().find(|(edit, _)| edit.key().as_bytes() == &*name);
            let edit = match found {
                Some((edit, true)) => {
                    let problem = Problem::Duplicate(edit.key().into());
                    return Err(Fault::new(problem, key.range.start));
                }
                Some((edit, seen)) => {
                    *seen = true;
                    Some(*edit)
                }
                None => None,
            };
            let value = cursor.skip()?;
            self.member(key.range.start, &value, edit);
            Ok(())
        })?;
        cursor.end()?;
        self.append();
        Ok(self.out)
    }

    fn member(&mut self, start: usize, value: &Range<usize>, edit: Option<Edit<'a>>) {
        if std::mem::take(&mut self.drop_to_next) {
            self.done = start;
        }
        match edit {
            Some(Edit::Remove { .. }) if self.any_kept => {
                self.copy_to(self.last_end);
                self.done = value.end;
            }
            Some(Edit::Remove { .. }) => {
                self.copy_to(start);
                self.drop_to_next = true;
            }
            Some(Edit::Set { json, .. }) => {
                self.copy_to(value.start);
                self.out.extend_from_slice(json);
                self.done = value.end;
                self.any_kept = true;
            }
            None => self.any_kept = true,
        }
        self.last_end = value.end;
    }

    fn append(&mut self) {
        if self.drop_to_next {
            self.done = self.last_end;
        }
        self.copy_to(self.last_end);
        for (edit, found) in std::mem::take(&mut self.edits) {
            let Edit::Set { key, json } = edit else { continue };
            if found {
                continue;
            }
            if self.any_kept {
                self.out.push(b',');
            }
            push_key(&mut self.out, key);
            self.out.extend_from_slice(json);
            self.any_kept = true;
        }
        self.copy_to(self.body.len());
    }

    fn copy_to(&mut self, end: usize) {
        self.out.extend_from_slice(self.body.get(self.done..end).unwrap_or_default());
        self.done = end;
    }
}

fn added_bytes_max(edit: &Edit<'_>) -> usize {
    match edit {
        // Quotes, colon and comma.
        Edit::Set { key, json } => key.len() + json.len() + 4,
        Edit::Remove { .. } => 0,
    }
}

fn push_key(out: &mut Vec<u8>, key: &str) {
    out.push(b'"');
    for byte in key.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..=0x1F => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.extend(b"\":");
}
