//! Errors in words.

use std::error::Error;

/// An error with its causes, in one sentence. A transparent error repeats its cause, and some end
/// with it: that is said once.
#[must_use]
pub fn sentence(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.ends_with(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        next = cause.source();
    }
    said
}
