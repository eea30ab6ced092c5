//! Where in the caller's request an element stood, for reports of losses and for errors.
//!
//! Kept as numbers and printed only when something is reported, so that it costs nothing else.

use std::fmt;

/// A path such as `messages[2].content[1]` or `tools[0]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index in `messages`; absent for fields beside it.
    pub message: Option<u32>,
    /// Field of the message or of the request; empty: the message itself.
    pub field: &'static str,
    pub index: Option<u32>,
    /// Index in the `content` of the element, as in a tool result.
    pub inner: Option<u32>,
}

impl Place {
    /// `messages[index]`.
    #[must_use]
    pub fn message(index: usize) -> Self {
        Self { message: Some(small(index)), ..Self::default() }
    }

    /// A field of the request.
    #[must_use]
    pub fn top(field: &'static str) -> Self {
        Self { field, ..Self::default() }
    }

    /// The same message, another field.
    #[must_use]
    pub fn field(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// One element of the field.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { index: Some(small(index)), ..self }
    }

    /// One element of the `content` inside the element.
    #[must_use]
    pub fn inside(self, index: usize) -> Self {
        Self { inner: Some(small(index)), ..self }
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message {
            write!(f, "messages[{message}]")?;
            if !self.field.is_empty() {
                f.write_str(".")?;
            }
        }
        f.write_str(self.field)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if let Some(inner) = self.inner {
            write!(f, ".content[{inner}]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn prints_the_callers_path() {
        let content = Place::message(2).field("content");
        for (place, expected) in [
            (Place::message(2), "messages[2]"),
            (content, "messages[2].content"),
            (content.at(1), "messages[2].content[1]"),
            (content.at(1).inside(0), "messages[2].content[1].content[0]"),
            (Place::top("system").at(3), "system[3]"),
            (Place::top("stop"), "stop"),
        ] {
            assert_eq!(place.to_string(), expected);
        }
    }
}
