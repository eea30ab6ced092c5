//! Marks that Gantry leaves in Messages replies and knows again when they come back.
//!
//! Callers of Messages send thinking blocks back as they got them, the signature included. That is
//! the one place in which something of another provider's can go through a caller's tool loop.
//! Marks consist of letters only, so that no client escapes them, and their lengths are those of
//! base64. They must never reach Anthropic, which refuses signatures that are not its own.

use crate::neutral::{Str, Text};
use std::borrow::Cow;

/// What all marks begin with, behind the quote of a JSON string.
pub(crate) const QUOTED_MARK: &[u8] = b"\"gantryThought";

/// The signature of thinking that came without one.
pub(crate) const UNSIGNED: &str = "gantryThoughtWithoutSign";

/// Begins the signature of a thinking block that says nothing itself: what follows is the
/// signature of the call behind it.
pub(crate) const OF_CALL: &str = "gantryThoughtOfToolCalls";

/// The call's signature in that of a thinking block, if it is such a block.
pub(crate) fn of_call<'a>(signature: &Text<'a>) -> Option<Text<'a>> {
    match signature {
        Text::Plain(text) => text.strip_prefix(OF_CALL).map(Text::Plain),
        Text::Escaped(_) | Text::Owned(_) => {
            let text = signature.decode();
            text.strip_prefix(OF_CALL).map(|rest| Text::Owned(rest.to_owned()))
        }
    }
}

/// A signature that may be a provider's: neither empty nor one of the marks.
pub(crate) fn foreign(signature: Option<Text<'_>>) -> Option<Text<'_>> {
    signature.filter(|signature| {
        let text = signature.decode();
        !text.is_empty() && !text.starts_with(UNSIGNED) && !text.starts_with(OF_CALL)
    })
}

/// Begins ids of calls that were spelled anew.
const SPELLED: &str = "gantry_id_";

/// An id of a call in Anthropic's letters: digits, ASCII letters, `_` and `-`. Any other (Kimi's
/// are `functions.f:0`) is spelled so that [`original_id`] gives it back: its model may look at it.
pub(crate) fn spelled_id(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if id.bytes().all(|byte| fits(byte) || byte == b'-') && !id.starts_with(SPELLED) {
        return Cow::Borrowed(id);
    }
    let mut spelled = SPELLED.to_owned();
    for byte in id.bytes() {
        match fits(byte) {
            true => spelled.push(char::from(byte)),
            false => spelled.push_str(&format!("-{byte:02x}")),
        }
    }
    Cow::Owned(spelled)
}

/// The id that [`spelled_id`] was given.
pub(crate) fn original_id(id: Str<'_>) -> Str<'_> {
    id.strip_prefix(SPELLED).and_then(unspelled).map_or(id, Str::from)
}

fn unspelled(spelled: &str) -> Option<String> {
    let mut parts = spelled.split('-');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, plain) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{OF_CALL, QUOTED_MARK, UNSIGNED, original_id, spelled_id};
    use proptest::prelude::{any, proptest};

    #[test]
    fn all_marks_are_found_by_their_beginning() {
        for mark in [UNSIGNED, OF_CALL] {
            assert!(format!("\"{mark}").as_bytes().starts_with(QUOTED_MARK), "{mark}");
            assert_eq!(mark.len() % 4, 0, "{mark}");
        }
    }

    #[test]
    fn ids_are_spelled_in_letters_that_anthropic_takes() {
        for (id, spelled) in [
            ("toolu_01-A", "toolu_01-A"),
            ("functions.f:0", "gantry_id_functions-2ef-3a0"),
            ("a-b é", "gantry_id_a-2db-20-c3-a9"),
            ("gantry_id_x", "gantry_id_gantry_id_x"),
        ] {
            assert_eq!(spelled_id(id), spelled);
        }
        // Nothing that this module spelled.
        assert_eq!(&*original_id("gantry_id_a-zz".into()), "gantry_id_a-zz");
    }

    proptest! {
        #[test]
        fn spelled_ids_give_the_original_back(id in any::<String>()) {
            let spelled = spelled_id(&id).into_owned();
            assert!(spelled.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            assert_eq!(&*original_id(spelled.into()), id);
        }
    }
}
