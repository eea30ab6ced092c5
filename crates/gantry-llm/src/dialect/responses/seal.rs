//! Reasoning of other providers inside `encrypted_content`.
//!
//! Clients send that text back as they got it. It holds what the provider wants back with its
//! reasoning, behind a mark that says what it is. OpenAI's own has none of the marks.

use crate::neutral::{Str, Text};

/// The signature of the thinking beside it.
const SIGNED: &str = "gantryReasoningSigned";

/// Thinking that only its provider can read.
const REDACTED: &str = "gantryReasoningRedacted";

/// The signature of the call that follows.
const OF_CALL: &str = "gantryReasoningOfCall";

/// What comes back in `encrypted_content`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed<'a> {
    Signed(Str<'a>),
    Redacted(Str<'a>),
    OfCall(Str<'a>),
    /// Of a provider that speaks this dialect itself.
    Foreign,
}

impl<'a> Sealed<'a> {
    pub(super) fn read(text: Text<'a>) -> Self {
        let text = text.into_str();
        for (mark, make) in [
            (SIGNED, Sealed::Signed as fn(Str<'a>) -> Self),
            (REDACTED, Sealed::Redacted),
            (OF_CALL, Sealed::OfCall),
        ] {
            if let Some(rest) = text.strip_prefix(mark) {
                return make(rest.to_owned().into());
            }
        }
        Self::Foreign
    }
}

/// What goes out in `encrypted_content`: a mark and what it stands before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seal {
    Signed,
    Redacted,
    OfCall,
}

impl Seal {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Signed => SIGNED,
            Self::Redacted => REDACTED,
            Self::OfCall => OF_CALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Seal, Sealed};
    use crate::neutral::Text;

    #[test]
    fn what_was_sealed_is_known_again_and_the_rest_is_foreign() {
        let read = |text: String| Sealed::read(Text::Owned(text));
        for (text, expected) in [
            (format!("{}abc", Seal::Signed.mark()), Sealed::Signed("abc".into())),
            (format!("{}abc", Seal::Redacted.mark()), Sealed::Redacted("abc".into())),
            (format!("{}abc", Seal::OfCall.mark()), Sealed::OfCall("abc".into())),
            ("gAAAAABo".to_owned(), Sealed::Foreign),
            (String::new(), Sealed::Foreign),
        ] {
            assert_eq!(read(text.clone()), expected, "{text}");
        }
    }
}
