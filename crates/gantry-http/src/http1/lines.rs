//! Header fields as they go out, printed straight into bytes.

use http::{HeaderName, HeaderValue};
use std::fmt;

/// Header fields as they go out. Its debug output shows none of them: there may be credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldLines(Vec<u8>);

impl FieldLines {
    /// None yet, with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a field.
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name.as_str().as_bytes(), value.as_bytes());
    }

    /// Adds a field whose name and value are known to be valid: visible ASCII in the name, no
    /// control characters in the value.
    #[inline]
    pub fn line(&mut self, name: &[u8], value: &[u8]) {
        print_field(&mut self.0, name, value);
    }

    /// The fields as names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name, value.strip_prefix(b": ").unwrap_or_default()))
        })
    }

    /// The lines, each with its end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Prints a field whose name and value are known to be valid.
#[inline]
pub fn print_field(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.reserve(name.len() + value.len() + 4);
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

impl<'a> FromIterator<(&'a HeaderName, &'a HeaderValue)> for FieldLines {
    fn from_iter<T: IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>>(fields: T) -> Self {
        let mut lines = Self::default();
        fields.into_iter().for_each(|(name, value)| lines.field(name, value));
        lines
    }
}

impl fmt::Debug for FieldLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldLines({} bytes)", self.0.len())
    }
}
