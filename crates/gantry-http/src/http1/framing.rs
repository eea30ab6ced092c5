//! How a body's end is known (RFC 9112, section 6.3).

use super::chunked::Chunked;
use super::{Fields, FramingError};
use bytes::Bytes;
use http::StatusCode;

/// Where a body ends.
#[derive(Debug)]
pub enum Framing {
    /// Bytes left.
    Length(u64),
    Chunked(Box<Chunked>),
    /// The connection's end is the body's.
    Close,
}

impl Framing {
    /// What a reply's head says of its body. `head_only`: the request was a `HEAD`.
    ///
    /// # Errors
    /// When the declared length is none, or there are several.
    pub fn of_reply(
        status: StatusCode,
        fields: &Fields,
        head_only: bool,
    ) -> Result<Self, FramingError> {
        if head_only || matches!(status.as_u16(), 204 | 304) {
            return Ok(Self::Length(0));
        }
        let declared = Declared::of(fields)?;
        Ok(match (declared.coding, declared.length) {
            (Some(Coding::Chunked | Coding::LastChunked), _) => Self::Chunked(Box::default()),
            (Some(Coding::Other), _) | (None, None) => Self::Close,
            (None, Some(length)) => Self::Length(length),
        })
    }

    /// What a request's head says of its body. What two readers may take apart in two ways is
    /// refused, because one of them may stand in front of us. `None` when the body's end is known
    /// but another coding stands before `chunked`.
    ///
    /// # Errors
    /// When the declared length is none, there are several, or the last coding is not `chunked`.
    pub fn of_request(fields: &Fields, since_1_1: bool) -> Result<Option<Self>, FramingError> {
        let declared = Declared::of(fields)?;
        match (declared.coding, declared.length) {
            (None, length) => Ok(Some(Self::Length(length.unwrap_or(0)))),
            (Some(_), Some(_)) => {
                Err(FramingError("it has both a content-length and a transfer-encoding"))
            }
            (Some(_), _) if !since_1_1 => Err(FramingError("HTTP/1.0 knows no transfer-encoding")),
            (Some(Coding::Chunked), None) => Ok(Some(Self::Chunked(Box::default()))),
            (Some(Coding::LastChunked), None) => Ok(None),
            (Some(Coding::Other), None) => {
                Err(FramingError("its transfer-encoding does not end with `chunked`"))
            }
        }
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.ended(),
            Self::Close => false,
        }
    }

    /// The next piece of data in `held`, which loses it; `None` when more has to come.
    ///
    /// # Errors
    /// When the chunked coding is malformed.
    pub fn next(&mut self, held: &mut Bytes) -> Result<Option<Bytes>, FramingError> {
        match self {
            Self::Chunked(chunked) => chunked.next(held),
            _ if held.is_empty() => Ok(None),
            Self::Close => Ok(Some(std::mem::take(held))),
            Self::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(held.len());
                *left -= len as u64;
                Ok((len > 0).then(|| held.split_to(len)))
            }
        }
    }
}

/// A transfer coding, as far as it matters where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Something else, then chunked.
    LastChunked,
    Other,
}

/// What the fields of a head say.
struct Declared {
    coding: Option<Coding>,
    length: Option<u64>,
}

impl Declared {
    fn of(fields: &Fields) -> Result<Self, FramingError> {
        let mut declared = Self { coding: None, length: None };
        for field in fields.iter() {
            if field.is("content-length") {
                declared.length = Some(one_length(field.value(), declared.length)?);
            } else if field.is("transfer-encoding") {
                let only = declared.coding.is_none() && !field.value().contains(&b',');
                let last = field.value().rsplit(|byte| *byte == b',').next().unwrap_or_default();
                let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                declared.coding = Some(match (chunked, only) {
                    (true, true) => Coding::Chunked,
                    (true, false) => Coding::LastChunked,
                    (false, _) => Coding::Other,
                });
            }
        }
        Ok(declared)
    }
}

/// A length; several that agree are one (RFC 9112, section 6.3, 5).
fn one_length(text: &[u8], before: Option<u64>) -> Result<u64, FramingError> {
    let mut found = before;
    for part in text.split(|byte| *byte == b',') {
        let digits = part.trim_ascii();
        let number =
            std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
        let number = number.and_then(|number| number.parse().ok());
        let number = number.ok_or(FramingError("the content-length is no number"))?;
        if found.replace(number).is_some_and(|before| before != number) {
            return Err(FramingError("there are two content-lengths"));
        }
    }
    found.ok_or(FramingError("the content-length is empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn shown(framing: Result<Option<Framing>, FramingError>) -> String {
        match framing {
            Ok(None) => "unknown".to_owned(),
            Ok(Some(Framing::Length(bytes))) => bytes.to_string(),
            Ok(Some(Framing::Chunked(_))) => "chunked".to_owned(),
            Ok(Some(Framing::Close)) => "close".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    const TWO: &str = "there are two content-lengths";
    const NONE: &str = "the content-length is no number";

    #[test]
    fn a_reply_says_where_its_body_ends() {
        let cases: &[(u16, Pairs<'_>, &str)] = &[
            (200, &[("Content-Length", "12")], "12"),
            (200, &[("content-length", "12, 12"), ("content-length", "12")], "12"),
            (200, &[("content-length", "12"), ("content-length", "13")], TWO),
            (200, &[("content-length", "+12")], NONE),
            (200, &[("content-length", "")], NONE),
            (200, &[("Transfer-Encoding", "Chunked")], "chunked"),
            (200, &[("transfer-encoding", "chunked"), ("content-length", "3")], "chunked"),
            (200, &[("transfer-encoding", "gzip, chunked")], "chunked"),
            (200, &[("transfer-encoding", "chunked, gzip")], "close"),
            (200, &[], "close"),
            (204, &[("content-length", "12")], "0"),
            (304, &[("transfer-encoding", "chunked")], "0"),
        ];
        for (status, pairs, expected) in cases {
            let fields: Fields = pairs.iter().copied().collect();
            let status = StatusCode::from_u16(*status).unwrap();
            assert_eq!(
                shown(Framing::of_reply(status, &fields, false).map(Some)),
                *expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn a_request_that_could_be_read_in_two_ways_is_refused() {
        let both = "it has both a content-length and a transfer-encoding";
        let coding = "its transfer-encoding does not end with `chunked`";
        let cases: &[(Pairs<'_>, &str)] = &[
            (&[], "0"),
            (&[("content-length", "12")], "12"),
            (&[("content-length", "12"), ("content-length", "13")], TWO),
            (&[("content-length", "0x12")], NONE),
            (&[("transfer-encoding", "chunked")], "chunked"),
            (&[("transfer-encoding", "chunked"), ("content-length", "3")], both),
            (&[("transfer-encoding", "gzip, chunked")], "unknown"),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], "unknown"),
            (&[("transfer-encoding", "chunked, gzip")], coding),
            (&[("transfer-encoding", "identity")], coding),
            (&[("transfer-encoding", "chunked "), ("x", "y")], "chunked"),
        ];
        for (pairs, expected) in cases {
            let fields: Fields = pairs.iter().copied().collect();
            assert_eq!(shown(Framing::of_request(&fields, true)), *expected, "{pairs:?}");
        }
        let chunked: Fields = [("transfer-encoding", "chunked")].into_iter().collect();
        let old = "HTTP/1.0 knows no transfer-encoding";
        assert_eq!(shown(Framing::of_request(&chunked, false)), old);
    }
}
