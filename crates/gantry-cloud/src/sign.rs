//! Signatures that clouds ask for: AWS's version 4, Azure Storage's Shared Key.
//!
//! The lake's object store uses them. They are pure functions of a request, keys and a time; where
//! the keys come from is the business of [`crate::credentials`].

pub mod aws;
pub mod azure;

use aws_lc_rs::hmac;
use http::header::{HeaderValue, InvalidHeaderValue};
use std::fmt::Write;

/// Percent-encodes all but the unreserved characters of RFC 3986 (section 2.3) and those of `keep`.
#[must_use]
pub fn percent_encoded(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let kept = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if kept || keep.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `name=value&…`, both encoded, in the order given.
#[must_use]
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair =
        |(name, value)| format!("{}={}", percent_encoded(name, ""), percent_encoded(value, ""));
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// A credential as a header's value, which debug output hides.
///
/// # Errors
/// When `text` holds characters that no header may carry.
pub fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text.trim())?;
    value.set_sensitive(true);
    Ok(value)
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}
