//! Edits of top-level fields in place: every other byte of the body stays as it was.
//!
//! The gateway makes a [`Draft`] when a request keeps its dialect but a field must change (the
//! model's name, `stream_options`, a route's overrides, a provider's quirks). All edits are printed
//! at once, from the places that the scan found: it never reads the body again, never reorders and
//! never re-prints.

mod marked;
mod printer;
#[cfg(test)]
mod tests;

pub use marked::{Cut, cut_marked};

use crate::scan::Fault;
use crate::scan::{Index, Member, Problem, ScanError};
use bytes::Bytes;
use gantry_model::pieces::Pieces;
use printer::Printer;
use std::borrow::Cow;
use std::ops::Range;

/// A body with edits, made one after the other. Keys compare after unescaping.
///
/// An edit fails when its key occurs twice in the body: two parsers could then disagree about what
/// was asked.
#[derive(Debug)]
pub struct Draft<'a> {
    body: &'a Bytes,
    index: &'a Index,
    /// The edited members and the new ones, in the order of their first edits.
    changes: Vec<Change<'a>>,
}

#[derive(Debug)]
struct Change<'a> {
    /// The member's number in the index; `None` for a new one.
    member: Option<usize>,
    /// Its name by now.
    key: &'a str,
    renamed: bool,
    /// Its new value.
    json: Option<Cow<'a, [u8]>>,
    /// Parts of its old value with what takes their place, in order.
    patches: Vec<Patch>,
    removed: bool,
}

impl<'a> Change<'a> {
    fn new(member: Option<usize>, key: &'a str) -> Self {
        let (json, patches) = (None, Vec::new());
        Self { member, key, renamed: false, json, patches, removed: false }
    }
}

/// A part of a value, as byte positions in it, and the JSON text that takes its place.
pub(crate) type Patch = (Range<usize>, Vec<u8>);

impl<'a> Draft<'a> {
    /// `index` must be the index of `body`.
    #[must_use]
    pub fn new(body: &'a Bytes, index: &'a Index) -> Self {
        Self { body, index, changes: Vec::new() }
    }

    /// Replaces the value in place, or appends the field at the end of the object. `json` must be
    /// one valid JSON value.
    ///
    /// # Errors
    /// When the key occurs twice.
    pub fn set(&mut self, key: &'a str, json: &'a [u8]) -> Result<(), ScanError> {
        self.put(key, Cow::Borrowed(json))
    }

    /// The same with a value that may be the draft's own.
    pub(crate) fn put(&mut self, key: &'a str, json: Cow<'a, [u8]>) -> Result<(), ScanError> {
        match self.find(key)? {
            Some(change) => change.json = Some(json),
            None => {
                self.changes.push(Change { json: Some(json), ..Change::new(None, key) });
            }
        }
        Ok(())
    }

    /// The value of the present field `key` by now, as far as it was replaced as a whole; of a key
    /// that occurs twice, the first.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let known = self.changes.iter().find(|change| !change.removed && change.key == key);
        if let Some(json) = known.and_then(|change| change.json.as_deref()) {
            return Some(json);
        }
        let renamed = known.and_then(|change| change.member);
        let at = renamed.or_else(|| {
            let untouched = |at: usize| self.changes.iter().all(|change| change.member != Some(at));
            let mut members = self.index.members.iter().enumerate();
            members.find(|(at, member)| member.is(key, self.body) && untouched(*at)).map(|m| m.0)
        })?;
        self.body.get(self.index.members.get(at)?.value.clone())
    }

    /// Replaces parts of the value of `key`, which are in order and do not overlap. A value is
    /// patched once.
    ///
    /// # Errors
    /// When the key occurs twice.
    pub(crate) fn patch(&mut self, key: &'a str, patches: Vec<Patch>) -> Result<(), ScanError> {
        if patches.is_empty() {
            return Ok(());
        }
        let Some(change) = self.find(key)? else { return Ok(()) };
        match &change.json {
            Some(json) => change.json = Some(Cow::Owned(patched(json, &patches))),
            None => change.patches = patches,
        }
        Ok(())
    }

    /// Removes the field with its comma; returns whether there was one.
    ///
    /// # Errors
    /// When the key occurs twice.
    pub fn remove(&mut self, key: &'a str) -> Result<bool, ScanError> {
        let found = self.find(key)?;
        Ok(found.map(|change| change.removed = true).is_some())
    }

    /// Renames the field in place; returns whether there was one. It takes the place of a field
    /// that has the name already.
    ///
    /// # Errors
    /// When either key occurs twice.
    pub fn rename(&mut self, from: &'a str, to: &'a str) -> Result<bool, ScanError> {
        if self.find(from)?.is_none() {
            return Ok(false);
        }
        if from != to {
            self.remove(to)?;
        }
        if let Some(change) = self.find(from)? {
            change.renamed |= from != to;
            change.key = to;
        }
        Ok(true)
    }

    /// The edited body. One that was not edited is given back as it is.
    #[must_use]
    pub fn finish(self) -> Pieces {
        if self.changes.is_empty() {
            return self.body.clone().into();
        }
        let added = self.changes.iter().map(added_bytes_max).sum();
        let mut writer = Writer::new(self.body, self.index, added);
        for (at, member) in self.index.members.iter().enumerate() {
            let change = self.changes.iter().find(|change| change.member == Some(at));
            writer.member(member, change);
        }
        writer.append(&self.changes)
    }

    /// The change of the present field `key`, made when there is none yet.
    fn find(&mut self, key: &'a str) -> Result<Option<&mut Change<'a>>, ScanError> {
        let known = self.changes.iter().position(|change| !change.removed && change.key == key);
        if let Some(at) = known {
            return Ok(self.changes.get_mut(at));
        }
        let mut found = self.index.members.iter().enumerate().filter(|(at, member)| {
            member.is(key, self.body)
                && self.changes.iter().all(|change| change.member != Some(*at))
        });
        let Some((at, _)) = found.next() else { return Ok(None) };
        if let Some((_, second)) = found.next() {
            let fault = Fault::new(Problem::Duplicate(key.into()), second.key.range.start);
            return Err(ScanError::new(self.body, fault));
        }
        drop(found);
        self.changes.push(Change::new(Some(at), key));
        Ok(self.changes.last_mut())
    }
}

/// Prints the members in order, and decides which commas stay.
struct Writer<'a> {
    out: Printer<'a>,
    /// End of the last member's value, or the place behind `{`.
    last_end: usize,
    any_kept: bool,
    /// A member was dropped before any was kept: its comma is dropped with it.
    drop_to_next: bool,
}

impl<'a> Writer<'a> {
    fn new(body: &'a Bytes, index: &Index, added: usize) -> Self {
        Self {
            out: Printer::new(body, added),
            last_end: index.object.start + 1,
            any_kept: false,
            drop_to_next: false,
        }
    }

    fn member(&mut self, member: &Member, change: Option<&Change<'_>>) {
        let start = member.key.range.start;
        if std::mem::take(&mut self.drop_to_next) {
            self.out.skip_to(start);
        }
        match change {
            Some(change) if change.removed && self.any_kept => {
                self.out.copy_to(self.last_end);
                self.out.skip_to(member.value.end);
            }
            Some(change) if change.removed => {
                self.out.copy_to(start);
                self.drop_to_next = true;
            }
            Some(change) => {
                self.edited(member, change);
                self.any_kept = true;
            }
            None => self.any_kept = true,
        }
        self.last_end = member.value.end;
    }

    fn edited(&mut self, member: &Member, change: &Change<'_>) {
        if change.renamed {
            self.out.copy_to(member.key.range.start);
            push_key(&mut self.out, change.key);
            self.out.skip_to(member.key.range.end);
        }
        if let Some(json) = &change.json {
            self.out.copy_to(member.value.start);
            self.out.text(json);
            self.out.skip_to(member.value.end);
            return;
        }
        for (part, json) in &change.patches {
            self.out.copy_to(member.value.start + part.start);
            self.out.text(json);
            self.out.skip_to(member.value.start + part.end);
        }
    }

    fn append(mut self, changes: &[Change<'_>]) -> Pieces {
        if self.drop_to_next {
            self.out.skip_to(self.last_end);
        }
        self.out.copy_to(self.last_end);
        for change in changes.iter().filter(|change| change.member.is_none() && !change.removed) {
            if self.any_kept {
                self.out.text(b",");
            }
            push_key(&mut self.out, change.key);
            self.out.text(b":");
            self.out.text(change.json.as_deref().unwrap_or(b"null"));
            self.any_kept = true;
        }
        self.out.finish()
    }
}

/// Quotes, colon and comma beside key and value; escapes in keys are rare enough to grow for.
fn added_bytes_max(change: &Change<'_>) -> usize {
    let patches: usize = change.patches.iter().map(|(_, json)| json.len()).sum();
    change.key.len() + change.json.as_deref().map_or(0, <[u8]>::len) + patches + 4
}

/// A text with parts replaced.
pub(crate) fn patched(text: &[u8], patches: &[Patch]) -> Vec<u8> {
    let added: usize = patches.iter().map(|(_, json)| json.len()).sum();
    let (mut out, mut done) = (Vec::with_capacity(text.len() + added), 0);
    for (part, json) in patches {
        out.extend_from_slice(text.get(done..part.start).unwrap_or_default());
        out.extend_from_slice(json);
        done = part.end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    out
}

fn push_key(out: &mut Printer<'_>, key: &str) {
    out.text(b"\"");
    let mut plain = key.as_bytes();
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    while let Some((before, [byte, after @ ..])) =
        plain.iter().position(special).and_then(|at| plain.split_at_checked(at))
    {
        out.text(before);
        match byte {
            b'"' | b'\\' => out.text(&[b'\\', *byte]),
            _ => out.text(format!("\\u{byte:04x}").as_bytes()),
        }
        plain = after;
    }
    out.text(plain);
    out.text(b"\"");
}
