//! The chunked transfer coding (RFC 9112, section 7.1), taken apart as it comes.

use super::FramingError;
use bytes::{Buf as _, Bytes};

/// Most bytes of a body that are no data, beyond those that its chunks have for nothing: size
/// lines, extensions, trailers. Nobody needs them, and no limit of a body's size counts them.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Line bytes that each chunk has for nothing: sixteen digits, a short extension, line ends.
const CHUNK_LINE_BYTES: usize = 32;

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The digits of a size.
    Size,
    /// White space behind the digits: an extension or the line's end must follow.
    Blank,
    /// From a semicolon up to the line's end.
    Extension,
    /// The line feed after the size's carriage return.
    SizeEnd,
    Data,
    /// Carriage return and line feed behind a chunk's data.
    DataEnd,
    DataEndFeed,
    /// The beginning of a trailer's line: an empty one ends the body.
    Trailer,
    TrailerText,
    /// The line feed of a trailer's line.
    TrailerEnd,
    /// The line feed of the empty line.
    EndFeed,
    End,
    /// Nobody knows where the body ends.
    Broken,
}

/// Takes a chunked body apart.
#[derive(Debug)]
pub struct Chunked {
    place: Place,
    /// Of the chunk: while its size is read, that size so far.
    left: u64,
    /// Whether a digit of the size has come.
    digits: bool,
    /// Spent of `LINE_BYTES_MAX`, by the whole body.
    line_bytes: usize,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { place: Place::Size, left: 0, digits: false, line_bytes: 0 }
    }
}

impl Chunked {
    /// Whether the body's end was seen.
    pub fn ended(&self) -> bool {
        self.place == Place::End
    }

    /// The next piece of data in `held`, which loses what was read; `None` when more has to come,
    /// or at the body's end.
    pub fn next(&mut self, held: &mut Bytes) -> Result<Option<Bytes>, FramingError> {
        loop {
            if self.place == Place::Data && !held.is_empty() {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(held.len());
                self.left -= len as u64;
                if self.left == 0 {
                    self.place = Place::DataEnd;
                }
                return Ok(Some(held.split_to(len)));
            }
            if self.place == Place::End {
                return Ok(None);
            }
            let Some(&byte) = held.first() else { return Ok(None) };
            held.advance(1);
            // What follows an error is never taken for a chunk: a reader that found its way back
            // would find requests where others see data (RFC 9112, section 11.2).
            self.place = match self.step(byte) {
                Ok(place) => place,
                Err(error) => {
                    self.place = Place::Broken;
                    return Err(error);
                }
            };
        }
    }

    /// The place after a byte that is not data.
    fn step(&mut self, byte: u8) -> Result<Place, FramingError> {
        self.line_bytes += 1;
        if self.line_bytes > LINE_BYTES_MAX {
            return Err(FramingError("its chunks have too much beside their data"));
        }
        let next = match (self.place, byte) {
            (Place::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (Place::Size, _) if !self.digits => {
                return Err(FramingError("a chunk has no size"));
            }
            (Place::Size | Place::Blank | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Size | Place::Blank, b' ' | b'\t') => Place::Blank,
            (Place::Size | Place::Blank, b';') => Place::Extension,
            (Place::Extension, byte) if is_text(byte) => Place::Extension,
            (Place::SizeEnd, b'\n') => {
                self.digits = false;
                if self.left == 0 { Place::Trailer } else { Place::Data }
            }
            (Place::DataEnd, b'\r') => Place::DataEndFeed,
            (Place::DataEndFeed, b'\n') => {
                self.line_bytes = self.line_bytes.saturating_sub(CHUNK_LINE_BYTES);
                Place::Size
            }
            (Place::Trailer, b'\r') => Place::EndFeed,
            (Place::TrailerText, b'\r') => Place::TrailerEnd,
            (Place::Trailer | Place::TrailerText, byte) if is_text(byte) => Place::TrailerText,
            (Place::TrailerEnd, b'\n') => Place::Trailer,
            (Place::EndFeed, b'\n') => Place::End,
            _ => return Err(FramingError("a chunk's line does not end as it should")),
        };
        Ok(next)
    }

    fn digit(&mut self, byte: u8) -> Result<Place, FramingError> {
        // Sixteen digits behind the leading zeros may overflow; a chunk of an exabyte is none.
        if self.left >> 56 != 0 {
            return Err(FramingError("a chunk's size is too large"));
        }
        self.digits = true;
        let value = (byte as char).to_digit(16).unwrap_or_default();
        self.left = self.left * 16 + u64::from(value);
        Ok(Place::Size)
    }
}

/// Whether a byte may stand in an extension or a trailer (RFC 9110, section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, whether the end came, and what is left over, when `text` comes in pieces of `step`.
    fn read(text: &[u8], step: usize) -> Result<(Vec<u8>, bool, Vec<u8>), FramingError> {
        let (mut chunked, mut data, mut rest) = (Chunked::default(), Vec::new(), Vec::new());
        for piece in text.chunks(step) {
            let mut held = Bytes::copy_from_slice(piece);
            while let Some(part) = chunked.next(&mut held)? {
                data.extend_from_slice(&part);
            }
            rest.extend_from_slice(&held);
        }
        Ok((data, chunked.ended(), rest))
    }

    #[test]
    fn reads_the_same_at_any_boundary() {
        let text =
            b"5 \r\nhello\r\n0B \t;n=\"a\"\r\n big\r\nworld\r\n0\r\nx-sum: 1\r\ny:2\r\n\r\nHTTP";
        for step in 1..=text.len() {
            let (data, ended, rest) = read(text, step).unwrap();
            assert_eq!(data, b"hello big\r\nworld", "{step}");
            assert!(ended);
            assert_eq!(rest, b"HTTP");
        }
    }

    #[test]
    fn an_end_that_has_not_come_is_not_taken_for_one() {
        for text in ["", "5", "5\r\nhel", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\na: b\r\n"] {
            assert!(!read(text.as_bytes(), 64).unwrap().1, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        let long = format!("1;{}\r\n", "x".repeat(LINE_BYTES_MAX));
        let endless = format!("0\r\n{}", "a: b\r\n".repeat(LINE_BYTES_MAX / 6 + 2));
        for text in
            ["\r\n", "g\r\n", "-1\r\n", "5\nhello", "5\r\nhello0\r\n", "1\r\nab", "5\rx", &long]
        {
            assert!(read(text.as_bytes(), 3).is_err(), "{text}");
        }
        for text in
            ["5 5\r\nhello", "5 x;y\r\nhello", "5 \n", "5;\0\r\nhello", "5;\n", "0\r\na: \0\r\n"]
        {
            assert!(read(text.as_bytes(), 3).is_err(), "{text:?}");
        }
        assert!(read(endless.as_bytes(), 64).is_err());
        assert!(read(b"ffffffffffffffff\r\n", 64).is_err());
    }

    #[test]
    fn what_is_no_data_is_limited_for_the_whole_body() {
        let body = |extension: &str, chunks: usize| {
            format!("1{extension}\r\nx\r\n").repeat(chunks) + "0\r\n\r\n"
        };
        let small = body(";id=1", 100_000);
        assert_eq!(read(small.as_bytes(), 4096).unwrap().0.len(), 100_000);
        let large = format!(";{}", "e".repeat(1024));
        assert!(read(body(&large, 15).as_bytes(), 4096).is_ok());
        let error = read(body(&large, 17).as_bytes(), 4096).unwrap_err();
        assert_eq!(error.to_string(), "its chunks have too much beside their data");
    }

    #[test]
    fn a_size_may_have_leading_zeros() {
        let zeros = format!("{}5\r\nhello\r\n{0}\r\n\r\n", "0".repeat(300));
        assert_eq!(read(zeros.as_bytes(), 64).unwrap(), (b"hello".to_vec(), true, Vec::new()));
    }

    #[test]
    fn nothing_is_read_behind_an_error() {
        for text in
            ["5X\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n\r\n0\r\n\r\n"]
        {
            let (mut chunked, mut held) = (Chunked::default(), Bytes::from(text));
            let error = loop {
                match chunked.next(&mut held) {
                    Ok(piece) => assert!(piece.is_some(), "{text}"),
                    Err(error) => break error,
                }
            };
            assert!(!error.to_string().is_empty());
            while !held.is_empty() {
                assert!(chunked.next(&mut held).is_err(), "{text}");
            }
            assert!(!chunked.ended(), "{text}");
        }
    }
}
