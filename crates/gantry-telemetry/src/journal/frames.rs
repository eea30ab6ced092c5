//! Reads the frames of a segment, past damage too. Used by [`super::Reader`] and at a start, when
//! the segments of an earlier process are looked through.

use super::frame::{
    FILE_HEADER_BYTES, Format, HEADER_BYTES, MAGIC, Mark, PAYLOAD_BYTES_MAX, VERSION_PLAIN,
    header_mark,
};
use super::payload;
use gantry_model::record::RequestRecord;
use std::io::{self, Read};

/// A file is read in pieces of this many bytes, about 500 records.
const PIECE_BYTES: usize = 256 << 10;

/// Most bytes whose checksum is tried in search of frames, so that a search ends soon: a segment of
/// 8 MiB may be tried a hundred times over, in less than a second.
const TRIED_BYTES_MAX: usize = 1 << 30;

/// Length and checksum before a payload of an early version, in bytes.
const PLAIN_HEADER_BYTES: usize = 8;

/// What of a segment could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes that no record was read from.
    pub bytes: u64,
    /// Stretches of them, and the segment's beginning when that is damaged.
    pub places: u64,
}

/// How the frames of a segment are told.
#[derive(Clone, Copy, Debug)]
enum Style {
    Marked(Mark),
    /// By their length alone.
    Plain,
}

/// Length of a payload, and checksum.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: usize,
    sum: u32,
}

impl Style {
    fn header_bytes(self) -> usize {
        match self {
            Self::Marked(_) => HEADER_BYTES,
            Self::Plain => PLAIN_HEADER_BYTES,
        }
    }

    /// Of the header with its length that the checksum is over.
    fn summed_from(self) -> usize {
        match self {
            Self::Marked(_) => HEADER_BYTES - 4,
            Self::Plain => PLAIN_HEADER_BYTES,
        }
    }

    /// The header at the beginning of `bytes`; `None` when none is there.
    fn head(self, bytes: &[u8]) -> Option<Head> {
        let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let (length, sum) = match self {
            Self::Marked(Mark(mark)) => {
                bytes.starts_with(&mark).then_some(())?;
                (number(8)?, number(4)?)
            }
            Self::Plain => (number(0)?, number(4)?),
        };
        let length = usize::try_from(length).ok()?;
        (1..=PAYLOAD_BYTES_MAX).contains(&length).then_some(Head { length, sum })
    }

    /// Where in `bytes` the next frame may begin.
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Marked(Mark(mark)) => bytes.windows(mark.len()).position(|at| at == mark),
            Self::Plain => bytes.windows(PLAIN_HEADER_BYTES + 1).position(|at| {
                // A payload is a map of MessagePack or an object of JSON.
                let first = at.last().copied().unwrap_or_default();
                matches!(first, 0x80..=0x8f | 0xde | 0xdf | b'{') && self.head(at).is_some()
            }),
        }
    }
}

/// Reads the whole frames of a segment one after the other, in little memory.
///
/// What is damaged is passed over and counted; what follows is found again by the mark, in early
/// versions by lengths whose checksum is right. After the last whole frame there may be a rest: the
/// torn end of a write, or damage.
#[derive(Debug)]
pub struct Frames<R> {
    file: R,
    format: Format,
    style: Style,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    at: usize,
    /// Whether all of the file is in `buffer` or behind.
    ended: bool,
    /// Bytes of the file before `at`.
    passed: u64,
    whole: u64,
    lost: Damage,
    tried: usize,
    /// Whether what follows the last whole frame looks like a write that was cut off.
    torn: bool,
    /// Whether something else than zeros was passed over since then.
    content: bool,
    /// The payload in today's form, when it is JSON.
    converted: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// # Errors
    /// When the file cannot be read.
    pub fn new(file: R) -> io::Result<Self> {
        let mut frames = Self {
            file,
            format: Format::Foreign,
            style: Style::Plain,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            passed: 0,
            whole: 0,
            lost: Damage::default(),
            tried: 0,
            torn: true,
            content: false,
            converted: Vec::new(),
        };
        frames.fill(FILE_HEADER_BYTES)?;
        frames.format = Format::of(&frames.buffer);
        if frames.format != Format::Newer {
            frames.begin()?;
        }
        Ok(frames)
    }

    /// Whether the file is a segment of a version that can be read. If not, it has no frames.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where the last whole frame ends that was read; 0 when the file is no readable segment.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// What could not be read, after the last frame; of a segment that is `sealed` the rest too.
    /// `None` when nothing is missing.
    #[must_use]
    pub fn damage(&self, sealed: bool) -> Option<Damage> {
        let mut damage = self.lost;
        let rest = self.passed + self.rest().len() as u64 - self.whole;
        if sealed && rest > 0 {
            damage.bytes += rest;
            damage.places += 1;
        }
        (damage.places > 0).then_some(damage)
    }

    /// Whether all that is missing is the end of a write that was cut off: a part of a frame, or
    /// zeros, which a file system leaves that lost a write. Asked after the last frame.
    #[must_use]
    pub fn torn(&self) -> bool {
        let zeros = !self.content && self.rest().iter().all(|byte| *byte == 0);
        self.lost.places == 0 && (self.torn || zeros)
    }

    /// The next payload, for [`super::pack::Cursor`]; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read.
    // A payload lies in the buffer of this reader, which an `Iterator` cannot say.
    #[expect(clippy::should_implement_trait, reason = "lends what it returns")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.format != Format::Readable {
            return Ok(None);
        }
        let Some(length) = self.find()? else { return Ok(None) };
        if self.passed > self.whole {
            self.lost.bytes += self.passed - self.whole;
            self.lost.places += 1;
        }
        let start = self.at + self.style.header_bytes();
        self.pass(self.style.header_bytes() + length);
        self.whole = self.passed;
        self.content = false;
        Ok(Some(self.current(start)))
    }

    /// Finds out how frames are told, and moves to the first.
    fn begin(&mut self) -> io::Result<()> {
        let version = self.buffer.get(MAGIC.len() - 1).copied().unwrap_or_default();
        if self.format == Format::Readable && version <= VERSION_PLAIN {
            self.start_at(MAGIC.len());
        } else if let Some(mark) = header_mark(&self.buffer) {
            self.style = Style::Marked(mark);
            self.start_at(FILE_HEADER_BYTES);
        } else {
            self.guess()?;
        }
        Ok(())
    }

    /// For a damaged beginning: the mark stands in it and in the first frame. A file in which no
    /// frame is found is foreign.
    fn guess(&mut self) -> io::Result<()> {
        self.format = Format::Foreign;
        // All of it, so that it can be gone through several times.
        self.fill(usize::MAX)?;
        let mark = |at: usize| Some(Mark(*self.buffer.get(at..)?.first_chunk()?));
        let marks = [mark(FILE_HEADER_BYTES), mark(MAGIC.len())];
        let marks = marks.into_iter().flatten().filter(|Mark([first, ..])| *first == Mark::FIRST);
        let marked: Vec<_> = marks.map(|mark| (Style::Marked(mark), FILE_HEADER_BYTES)).collect();
        for (style, start) in marked.into_iter().chain([(Style::Plain, MAGIC.len())]) {
            if self.buffer.len() <= start {
                continue;
            }
            self.style = style;
            self.start_at(start);
            if self.find()?.is_some() {
                self.start_at(start);
                self.format = Format::Readable;
                self.lost.places = 1;
                return Ok(());
            }
        }
        self.start_at(0);
        // A segment whose beginning was not written whole has nothing else.
        self.torn = self.buffer.len() <= FILE_HEADER_BYTES;
        Ok(())
    }

    /// Begins to look for frames at this place of the buffer, which holds the file's beginning.
    fn start_at(&mut self, at: usize) {
        self.at = at;
        self.passed = at as u64;
        self.whole = self.passed;
        self.content = false;
    }

    /// Moves to the next whole frame, and says how long its payload is.
    fn find(&mut self) -> io::Result<Option<usize>> {
        loop {
            if let Some(length) = self.frame()? {
                return Ok(Some(length));
            }
            if !self.search()? {
                return Ok(None);
            }
        }
    }

    /// Length of the payload of the whole frame that begins here; `None` when none does.
    fn frame(&mut self) -> io::Result<Option<usize>> {
        let style = self.style;
        let first = self.passed == self.whole;
        let enough = self.fill(style.header_bytes())?;
        let Some(head) = style.head(self.rest()) else {
            self.torn = if first { !enough } else { self.torn };
            return Ok(None);
        };
        let enough = self.fill(style.header_bytes() + head.length)?;
        self.torn = if first { !enough } else { self.torn };
        if !first {
            self.tried = self.tried.saturating_add(head.length);
        }
        if !enough || self.tried > TRIED_BYTES_MAX {
            return Ok(None);
        }
        let end = style.header_bytes() + head.length;
        let summed = self.rest().get(style.summed_from()..end).unwrap_or_default();
        Ok((crc32fast::hash(summed) == head.sum).then_some(head.length))
    }

    /// Moves on to where a frame may begin; false when nowhere any more.
    fn search(&mut self) -> io::Result<bool> {
        if !self.fill(1)? {
            return Ok(false);
        }
        self.skip(1);
        loop {
            if let Some(offset) = self.style.find(self.rest()) {
                self.skip(offset);
                return Ok(true);
            }
            // A header may begin in the last bytes.
            self.skip(self.rest().len().saturating_sub(HEADER_BYTES));
            let left = self.rest().len();
            if !self.fill(left + 1)? {
                return Ok(false);
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        let skipped = self.rest().get(..bytes).unwrap_or_default();
        self.content = self.content || skipped.iter().any(|byte| *byte != 0);
        self.pass(bytes);
    }

    /// The payload between `start` and `at` in today's form. One that is no record stays as it is.
    fn current(&mut self, start: usize) -> &[u8] {
        let payload = self.buffer.get(start..self.at).unwrap_or_default();
        let json = matches!(self.style, Style::Plain) && payload.starts_with(b"{");
        let earlier = json.then(|| serde_json::from_slice::<RequestRecord>(payload));
        let Some(Ok(record)) = earlier else { return payload };
        self.converted.clear();
        payload::append(&mut self.converted, &record);
        &self.converted
    }

    /// Moves on within the buffer.
    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        self.passed += bytes as u64;
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Whether so many bytes follow; reads more of the file for it. The length of a damaged frame
    /// may be huge, so no memory is reserved for it.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        while self.buffer.len() - self.at < bytes {
            if self.ended {
                return Ok(false);
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut piece = self.file.by_ref().take(PIECE_BYTES as u64);
            self.ended = piece.read_to_end(&mut self.buffer)? == 0;
        }
        Ok(true)
    }
}
