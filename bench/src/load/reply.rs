//! Finds the end of an HTTP/1.1 answer and checks what it holds.
//!
//! One [`Reply`] per answer, fed with bytes as they arrive. It never buffers a body.

use crate::cases::{Expect, MARKER};
use memchr::memmem;

/// Longest head that is accepted, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why an answer is not right.
pub(super) type Wrong = String;

/// An answer that is being read.
pub(super) struct Reply {
    state: State,
    /// The head, or the line with a chunk's length, as far as it has arrived.
    line: Vec<u8>,
    markers: Counter,
    endings: Counter,
    body_bytes: u64,
    expect: Expect,
}

enum State {
    Head,
    /// Bytes of the body that are still to come.
    Sized(u64),
    ChunkLength,
    /// Bytes of the chunk that are still to come, its line break included.
    Chunk(u64),
    Trailer,
    Done,
}

impl Reply {
    pub(super) fn new(expect: Expect) -> Self {
        Self {
            state: State::Head,
            line: Vec::with_capacity(512),
            markers: Counter::new(MARKER),
            endings: Counter::new(expect.ending),
            body_bytes: 0,
            expect,
        }
    }

    /// Stream events so far; 0 for an answer that is not streamed.
    pub(super) fn events(&self) -> u64 {
        if self.expect.streamed { self.markers.count } else { 0 }
    }

    /// Takes the next bytes; `true` when the answer is whole and right.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, Wrong> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.feed_head(bytes)?,
                State::Sized(left) => {
                    let rest = self.feed_body(bytes, left);
                    let left = left - (bytes.len() - rest.len()) as u64;
                    self.state = if left == 0 { State::Done } else { State::Sized(left) };
                    rest
                }
                State::ChunkLength => self.feed_chunk_length(bytes)?,
                State::Chunk(left) => self.feed_chunk(bytes, left),
                State::Trailer => self.feed_trailer(bytes),
                State::Done => return Err("bytes after the end of the answer".into()),
            };
        }
        if matches!(self.state, State::Done) { self.check().map(|()| true) } else { Ok(false) }
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.markers.count != self.expect.markers {
            let (found, expected) = (self.markers.count, self.expect.markers);
            let bytes = self.body_bytes;
            return Err(format!("{found} markers in {bytes} bytes instead of {expected}"));
        }
        if self.endings.count == 0 {
            return Err("the answer was cut short".into());
        }
        Ok(())
    }

    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Wrong> {
        let before = self.line.len();
        self.line.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        let found = memmem::find(self.line.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(end) = found.map(|at| from + at + 4) else {
            let short = self.line.len() <= HEAD_BYTES_MAX;
            return if short { Ok(&[]) } else { Err("a head without an end".into()) };
        };
        self.state = body_after(self.line.get(..end).unwrap_or_default())?;
        self.line.clear();
        Ok(bytes.get(end - before..).unwrap_or_default())
    }

    fn feed_body<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (body, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        self.body_bytes += body.len() as u64;
        self.markers.feed(body);
        self.endings.feed(body);
        rest
    }

    fn feed_chunk_length<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Wrong> {
        let Some(rest) = self.take_line(bytes) else { return Ok(&[]) };
        let text = String::from_utf8_lossy(&self.line);
        let digits = text.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16)
            .map_err(|_| format!("the length of a chunk is `{digits}`"))?;
        self.line.clear();
        self.state = if length == 0 { State::Trailer } else { State::Chunk(length + 2) };
        Ok(rest)
    }

    fn feed_chunk<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let mut rest = bytes;
        if left > 2 {
            rest = self.feed_body(bytes, left - 2);
        }
        let mut left = left - (bytes.len() - rest.len()) as u64;
        while left <= 2 && left > 0 && !rest.is_empty() {
            rest = rest.get(1..).unwrap_or_default();
            left -= 1;
        }
        self.state = if left == 0 { State::ChunkLength } else { State::Chunk(left) };
        rest
    }

    /// Trailer fields end with an empty line.
    fn feed_trailer<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(rest) = self.take_line(bytes) else { return &[] };
        if self.line == b"\r\n" {
            self.state = State::Done;
        }
        self.line.clear();
        rest
    }

    /// Moves bytes up to a line's end into `line`; the rest, or `None` when the end is to come.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        self.line.extend_from_slice(line);
        self.line.ends_with(b"\n").then_some(rest)
    }
}

fn body_after(head: &[u8]) -> Result<State, Wrong> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(format!("status line `{}`", head.lines().next().unwrap_or_default()));
    }
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(length) = value("content-length:") {
        let length = length.parse().map_err(|_| format!("content-length `{length}`"))?;
        return if length == 0 { Err("an empty body".into()) } else { Ok(State::Sized(length)) };
    }
    match value("transfer-encoding:") {
        Some("chunked") => Ok(State::ChunkLength),
        _ => Err("neither content-length nor chunks".into()),
    }
}

/// Counts a byte string in text that arrives in pieces.
struct Counter {
    finder: memmem::Finder<'static>,
    /// The last bytes that may begin an occurrence: one fewer than the string has.
    carry: Vec<u8>,
    count: u64,
}

impl Counter {
    fn new(needle: &'static [u8]) -> Self {
        Self { finder: memmem::Finder::new(needle), carry: Vec::with_capacity(64), count: 0 }
    }

    fn feed(&mut self, piece: &[u8]) {
        let overlap = self.finder.needle().len() - 1;
        if !self.carry.is_empty() {
            let before = self.carry.len();
            self.carry.extend_from_slice(piece.get(..overlap.min(piece.len())).unwrap_or(piece));
            self.count += self.finder.find_iter(&self.carry).count() as u64;
            if piece.len() < overlap {
                let from = self.carry.len().saturating_sub(overlap);
                self.carry.drain(..from);
                return;
            }
            self.carry.truncate(before);
        }
        self.count += self.finder.find_iter(piece).count() as u64;
        self.carry.clear();
        let from = piece.len().saturating_sub(overlap);
        self.carry.extend_from_slice(piece.get(from..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECT: Expect = Expect { markers: 2, ending: b"[DONE]", streamed: true };
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        8\r\n zqtick \r\nA;x=y\r\nzqtick[DON\r\n2\r\nE]\r\n0\r\nt: 1\r\n\r\n";
    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nzqtickzqtick[DONE]";

    fn feed_in_pieces(answer: &[u8], piece: usize) -> Result<(bool, u64), Wrong> {
        let mut reply = Reply::new(EXPECT);
        let mut done = false;
        for bytes in answer.chunks(piece) {
            done = reply.feed(bytes)?;
        }
        Ok((done, reply.events()))
    }

    #[test]
    fn reads_whole_answers_at_any_split() {
        for answer in [CHUNKED, SIZED] {
            for piece in 1..=answer.len() {
                assert_eq!(feed_in_pieces(answer, piece), Ok((true, 2)), "pieces of {piece}");
            }
            for short in 1..answer.len() {
                let read = feed_in_pieces(&answer[..short], answer.len());
                assert!(!read.unwrap().0, "{short} bytes are not the whole answer");
            }
        }
    }

    #[test]
    fn refuses_wrong_answers() {
        let cases: [(&[u8], &str); 5] = [
            (b"HTTP/1.1 401 No\r\ncontent-length: 1\r\n\r\n1", "status line `http/1.1 401 no`"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "neither content-length nor chunks"),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nzqtick",
                "1 markers in 6 bytes instead of 2",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nzqtickzqtick",
                "the answer was cut short",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\nzqtickzqtick[DONE]!",
                "bytes after the end of the answer",
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(feed_in_pieces(answer, 64), Err(expected.to_owned()));
        }
    }
}
