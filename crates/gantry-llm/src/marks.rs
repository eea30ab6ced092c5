//! Marks that Gantry leaves in Messages replies and knows again when they come back.
//!
//! Callers of Messages send thinking blocks back as they got them, the signature included. That is
//! the one place in which something of another provider's can go through a caller's tool loop.
//! Marks consist of letters only, so that no client escapes them, and their lengths are those of
//! base64. They must never reach Anthropic, which refuses signatures that are not its own.

use crate::neutral::Text;

/// What all marks begin with.
const MARK: &str = "gantryThought";

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

/// Whether a signature is one of the marks.
pub(crate) fn is_ours(signature: &Text<'_>) -> bool {
    signature.decode().starts_with(MARK)
}
