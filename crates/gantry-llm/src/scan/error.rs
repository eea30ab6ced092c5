//! Why a body is refused, with the place, in words fit for a 400.

/// What is wrong with a body and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct ScanError {
    pub problem: Problem,
    /// Byte position in the body.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A problem at a byte position, before line and column are known. Boxed, so that the results of
/// the many small steps fit into registers.
#[derive(Debug)]
pub(crate) struct Fault(Box<(Problem, usize)>);

impl Fault {
    #[cold]
    pub(crate) fn new(problem: Problem, at: usize) -> Self {
        Self(Box::new((problem, at)))
    }

    pub(crate) fn into_parts(self) -> (Problem, usize) {
        *self.0
    }
}

/// The kinds of mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("the body ends where {0} is expected")]
    End(&'static str),
    #[error("invalid UTF-8")]
    Utf8,
    #[error("invalid escape in a string")]
    Escape,
    #[error("unpaired surrogate in a string")]
    Surrogate,
    #[error("unescaped control character in a string")]
    Control,
    #[error("invalid number")]
    Number,
    #[error("nested deeper than {} levels", super::DEPTH_MAX)]
    TooDeep,
    #[error("more than {} fields", super::MEMBERS_MAX)]
    TooManyMembers,
    #[error("unexpected bytes after the object")]
    Trailing,
    #[error("the body must be a JSON object")]
    NotObject,
    #[error("field `{field}` must be {expected}")]
    Type { field: &'static str, expected: &'static str },
    #[error("field `{0}` occurs twice")]
    Duplicate(Box<str>),
}

impl ScanError {
    /// Adds line and column, which only a refused body has to pay for.
    pub(crate) fn new(body: &[u8], fault: Fault) -> Self {
        let (problem, offset) = fault.into_parts();
        let before = body.get(..offset).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = before.get(line_start..).unwrap_or_default();
        Self {
            problem,
            offset,
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            // Continuation bytes of UTF-8 are not characters of their own.
            column: 1 + line.iter().filter(|&&byte| byte & 0xC0 != 0x80).count(),
        }
    }
}
