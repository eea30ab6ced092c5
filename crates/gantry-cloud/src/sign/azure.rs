//! Azure Storage's Shared Key in the `Authorization` header.
//!
//! The rules are in Microsoft's "Authorize with Shared Key" for the Blob service, from version
//! 2015-02-21 on. The object store of the lake calls it. It adds nothing but the signature: date
//! and version must stand in the headers already.

use super::hmac_sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// A storage account's name with one of its keys.
#[derive(Clone, Debug)]
pub struct AccountKey {
    pub account: String,
    /// As the portal shows it: base64.
    pub key: Secret,
}

/// A request as it will be sent. The path is percent-encoded, the query's values are not.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub body_bytes: usize,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the account key: it is not base64")]
    Key,
    #[error("use the account's name: it has characters of no name")]
    Account,
}

/// The value of `Authorization`.
///
/// # Errors
/// When the key is not base64, or the account's name cannot stand in a header.
pub fn shared_key(
    request: Unsigned<'_>,
    headers: &HeaderMap,
    account: &AccountKey,
) -> Result<HeaderValue, Error> {
    let key = STANDARD.decode(account.key.expose().trim()).map_err(|_| Error::Key)?;
    let text = string_to_sign(request, headers, &account.account);
    let signature = STANDARD.encode(hmac_sha256(&key, &text).as_ref());
    crate::sign::sensitive(&format!("SharedKey {}:{signature}", account.account))
        .map_err(|_| Error::Account)
}

fn string_to_sign(request: Unsigned<'_>, headers: &HeaderMap, account: &str) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let text = |name| text(name).unwrap_or_default();
    let length = match request.body_bytes {
        0 => String::new(),
        bytes => bytes.to_string(),
    };
    let lines = [
        request.method.as_str(),
        text(header::CONTENT_ENCODING),
        text(header::CONTENT_LANGUAGE),
        &length,
        text(HeaderName::from_static("content-md5")),
        text(header::CONTENT_TYPE),
        // The date stands in `x-ms-date`.
        "",
        text(header::IF_MODIFIED_SINCE),
        text(header::IF_MATCH),
        text(header::IF_NONE_MATCH),
        text(header::IF_UNMODIFIED_SINCE),
        text(header::RANGE),
    ];
    let own: BTreeMap<&str, &str> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    let own: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut query: Vec<(String, &str)> =
        request.query.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
    query.sort_unstable();
    let query: String = query.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    format!("{}\n{own}/{account}{}{query}", lines.join("\n"), request.path)
}

/// `Fri, 26 Jun 2015 23:39:12 GMT`, as in `x-ms-date`.
#[must_use]
pub fn http_date(unix_ms: UnixMs) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    let (day, year) = (at.day(), at.year());
    format!("{weekday:.3}, {day:02} {month:.3} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: UnixMs = 1_435_361_952_000;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static("2015-02-21"));
        headers.insert("x-ms-date", HeaderValue::from_str(&http_date(AT_MS)).unwrap());
        headers
    }

    #[test]
    fn spells_microsofts_example_as_its_page_does() {
        let request = Unsigned {
            method: &Method::GET,
            path: "/mycontainer",
            query: &[("restype", "container"), ("comp", "metadata"), ("timeout", "20")],
            body_bytes: 0,
        };
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n\
            x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\n\
            timeout:20";
        assert_eq!(string_to_sign(request, &headers(), "myaccount"), expected);
    }

    #[test]
    fn length_type_and_range_have_their_lines() {
        let request =
            Unsigned { method: &Method::PUT, path: "/c/a%20b", query: &[], body_bytes: 65 };
        let mut headers = headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-9"));
        let text = string_to_sign(request, &headers, "a");
        assert!(text.starts_with("PUT\n\n\n65\n\ntext/plain\n\n\n\n\n\nbytes=0-9\nx-ms-date:"));
        assert!(text.ends_with("\n/a/c/a%20b"), "{text}");
    }

    #[test]
    fn the_key_shows_in_no_print_and_must_be_base64() {
        let mut account = AccountKey { account: "a".into(), key: Secret::new("c2VjcmV0") };
        let request = Unsigned { method: &Method::GET, path: "/c", query: &[], body_bytes: 0 };
        let value = shared_key(request, &headers(), &account).unwrap();
        assert!(value.to_str().unwrap().starts_with("SharedKey a:"));
        assert!(!format!("{account:?} {value:?}").contains("c2VjcmV0"));
        assert!(format!("{value:?}").contains("Sensitive"));
        account.key = Secret::new("not base64!");
        assert!(matches!(shared_key(request, &headers(), &account), Err(Error::Key)));
    }
}
