//! Server-sent events as bytes: cuts a stream at event boundaries and reads events.
//!
//! The relay calls [`Splitter`] on each chunk of an upstream's body, forwards what it returns as it
//! is, and reads it with [`events`]; what changes events on their way does it by [`edited`]. Rules:
//! WHATWG HTML, section 9.2 ("Server-sent events"). It never changes, drops or adds a byte of what
//! is forwarded.

#[cfg(test)]
pub(crate) mod tests;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memchr2};
use std::borrow::Cow;

/// Why a stream cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("stream event larger than {limit} bytes")]
    EventTooLarge { limit: usize },
}

/// Cuts a byte stream behind whole events, whatever its chunks are.
///
/// It holds at most one unfinished event. After an error it stays failed.
#[derive(Debug)]
pub struct Splitter {
    event_bytes_max: usize,
    held: BytesMut,
    /// The line that is being read has bytes already.
    line_begun: bool,
    /// The last byte was CR: a LF that follows belongs to the same line end.
    after_cr: bool,
    too_large: bool,
}

impl Splitter {
    /// `event_bytes_max` bounds one event, its line ends included.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            held: BytesMut::new(),
            line_begun: false,
            after_cr: false,
            too_large: false,
        }
    }

    /// Takes the next chunk of the upstream's body and returns the bytes of all events that are now
    /// complete, contiguous and unchanged (possibly none).
    ///
    /// Nothing is copied when the chunk ends at an event boundary and nothing is held.
    ///
    /// # Errors
    /// [`SseError::EventTooLarge`] when an event exceeds the limit. Whole events before it are
    /// returned first; then the error comes with the next call, and the excess stays held.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<Bytes, SseError> {
        let cut = if self.too_large { 0 } else { self.cut(&chunk) };
        if cut == 0 {
            return self.hold(&chunk).map(|()| Bytes::new());
        }
        let rest = chunk.split_off(cut);
        let complete = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            self.held.split().freeze()
        };
        // Too large by now is reported by the next call: whole events go first.
        if self.hold(&rest).is_err() {
            self.too_large = true;
        }
        Ok(complete)
    }

    /// Bytes held that are not a whole event yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The last event of a body that ended in good order without its blank line, completed; empty
    /// when nothing is held that holds data.
    ///
    /// A client of the standard drops such an event, since it cannot tell a whole one from a torn
    /// one. Who knows the data can: an event whose JSON is whole is meant.
    pub fn finish(&mut self) -> Bytes {
        let mut last = self.take_held();
        if self.too_large || events(&last).next().is_none() {
            return Bytes::new();
        }
        // The end of a line that may be open, and the blank one behind it.
        last.extend_from_slice(b"\n\n");
        last.freeze()
    }

    fn take_held(&mut self) -> BytesMut {
        self.held.split()
    }

    fn hold(&mut self, rest: &[u8]) -> Result<(), SseError> {
        let failed_before = self.too_large && self.held.len() > self.event_bytes_max;
        self.too_large |= self.held.len() + rest.len() > self.event_bytes_max;
        if !failed_before {
            self.held.extend_from_slice(rest);
        }
        if self.too_large {
            return Err(SseError::EventTooLarge { limit: self.event_bytes_max });
        }
        Ok(())
    }

    /// Reads the lines of `chunk`; returns how much of it ends with the last whole event that is
    /// not too large.
    fn cut(&mut self, chunk: &[u8]) -> usize {
        if chunk.is_empty() {
            return 0;
        }
        let ends_crlf = std::mem::take(&mut self.after_cr) && chunk.starts_with(b"\n");
        let mut at = usize::from(ends_crlf);
        // With nothing held, that CR ended an event which has been given out already.
        let mut cut = if self.held.is_empty() { at } else { 0 };
        while let Some(found) = memchr2(b'\n', b'\r', chunk.get(at..).unwrap_or_default()) {
            let end = at + found;
            let is_blank = found == 0 && !self.line_begun;
            self.line_begun = false;
            at = end + 1;
            if chunk.get(end) == Some(&b'\r') {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if is_blank {
                let before = if cut == 0 { self.held.len() } else { 0 };
                if before + at - cut > self.event_bytes_max {
                    self.too_large = true;
                    return cut;
                }
                cut = at;
            }
        }
        self.line_begun |= at < chunk.len();
        cut
    }
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field; `None` also when it is empty or not UTF-8.
    pub name: Option<&'a str>,
    /// The `data:` lines joined by LF; never empty.
    pub data: Cow<'a, [u8]>,
}

/// Reads the events in `complete`, which begins at an event boundary.
///
/// Comments, `id`, `retry`, unknown fields and events without data are skipped. An event that the
/// end of the input cuts off is read as if it were whole, so that the rest of a stream that ended
/// without its last blank line can be looked at.
#[must_use]
pub fn events(complete: &[u8]) -> Events<'_> {
    Events { rest: complete.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(complete) }
}

/// See [`events`].
#[derive(Clone, Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let mut name = None;
        let mut data: Option<Cow<'a, [u8]>> = None;
        while let Some(line) = self.line() {
            if line.is_empty() {
                match data.take().filter(|data| !data.is_empty()) {
                    Some(data) => return Some(Event { name, data }),
                    None => name = None,
                }
                continue;
            }
            match field(line) {
                (b"data", value) => data = Some(joined(data, value)),
                (b"event", value) => {
                    name = std::str::from_utf8(value).ok().filter(|name| !name.is_empty());
                }
                _ => {}
            }
        }
        let data = data.filter(|data| !data.is_empty())?;
        Some(Event { name, data })
    }
}

impl<'a> Events<'a> {
    /// How many bytes are not read yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next line without its end; `None` when nothing is left.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', self.rest).unwrap_or(self.rest.len());
        let (line, after) = self.rest.split_at_checked(end)?;
        self.rest = match after {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => after,
        };
        Some(line)
    }
}

/// What becomes of an event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Keep,
    /// It does not go on; comments in front of it do.
    Drop,
    /// It goes on with other data.
    Data(Vec<u8>),
}

/// Whole events, changed as `edit` says. Comments, names and all else of an event stay as they
/// came, so that what keeps a connection alive goes on too.
#[must_use]
pub fn edited(complete: &[u8], mut edit: impl FnMut(&Event<'_>) -> Edit) -> Bytes {
    let mut out = Vec::with_capacity(complete.len() + 32);
    for block in blocks(complete) {
        match events(block).next().map_or(Edit::Keep, |event| edit(&event)) {
            Edit::Keep => out.extend_from_slice(block),
            Edit::Drop => print(block, None, &mut out),
            Edit::Data(data) => print(block, Some(&data), &mut out),
        }
    }
    out.into()
}

/// The pieces of `complete` that each end with a blank line: events, and comments between them.
fn blocks(complete: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut lines = Events { rest: complete };
    std::iter::from_fn(move || {
        let from = lines.rest;
        let mut line = lines.line()?;
        while !line.is_empty() && !lines.rest.is_empty() {
            line = lines.line()?;
        }
        from.get(..from.len() - lines.rest.len())
    })
}

/// Appends an event: `block` with other data, which has a line for each of its own, or only the
/// comments of `block` where there is none.
pub(crate) fn print(block: &[u8], data: Option<&[u8]>, out: &mut Vec<u8>) {
    let (begun, mut lines) = (out.len(), events(block));
    while let Some(line) = lines.line() {
        let goes_on = match field(line).0 {
            b"" => !line.is_empty(),
            b"data" => false,
            _ => data.is_some(),
        };
        if goes_on {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    if let Some(data) = data {
        let ends = memchr_iter(b'\n', data).chain([data.len()]);
        ends.fold(0, |from, to| {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(data.get(from..to).unwrap_or_default());
            out.push(b'\n');
            to + 1
        });
    }
    if out.len() > begun {
        out.push(b'\n');
    }
}

/// Field name and value; the name of a comment is empty.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, value)) = memchr(b':', line).and_then(|at| line.split_at_checked(at)) else {
        return (line, b"");
    };
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

fn joined<'a>(before: Option<Cow<'a, [u8]>>, line: &'a [u8]) -> Cow<'a, [u8]> {
    let Some(before) = before else { return Cow::Borrowed(line) };
    let mut data = before.into_owned();
    data.push(b'\n');
    data.extend_from_slice(line);
    Cow::Owned(data)
}
