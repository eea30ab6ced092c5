//! AWS Signature Version 4 in the `Authorization` header.
//!
//! The rules are in AWS's "Create a signed AWS API request". The object store of the lake calls it
//! for S3. It signs every header that it is given, `host` included, so what travels must not be
//! changed afterwards.

use super::{hmac_sha256, percent_encoded};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use gantry_runtime::digest::{hex, sha256_hex};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use time::OffsetDateTime;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const BODY_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SESSION: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The service whose paths are signed as they are sent; all others encode them once more.
const S3: &str = "s3";

/// An access key.
#[derive(Clone, Debug)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Of keys that end.
    pub session_token: Option<Secret>,
}

/// What a signature is good for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
    pub unix_ms: UnixMs,
}

/// A request as it will be sent: path and query are percent-encoded.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
}

/// A key or a token holds characters that no header may carry.
#[derive(Debug, thiserror::Error)]
#[error("use the access key or the session token: it has characters of none")]
pub struct Error;

/// Adds date, session token and signature to the headers.
///
/// # Errors
/// When key or token cannot stand in a header.
pub fn sign(
    request: Unsigned<'_>,
    headers: &mut HeaderMap,
    scope: Scope<'_>,
    keys: &Keys,
) -> Result<(), Error> {
    let moment = moment(scope.unix_ms);
    let day = moment.get(..8).unwrap_or_default();
    let body_hash = sha256_hex(request.body);
    headers.insert(DATE, value(&moment)?);
    if scope.service == S3 {
        headers.insert(BODY_HASH, value(&body_hash)?);
    }
    if let Some(token) = &keys.session_token {
        headers.insert(SESSION, sensitive(token.expose())?);
    }
    let names = names(headers);
    let canonical = canonical(request, headers, scope.service, &body_hash);
    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = sha256_hex(canonical.as_bytes());
    let text = format!("{ALGORITHM}\n{moment}\n{within}\n{hash}");

    let first = Secret::new(format!("AWS4{}", keys.secret_access_key.expose()));
    let mut key = hmac_sha256(first.expose().as_bytes(), day);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac_sha256(key.as_ref(), part);
    }
    let signature = hex(hmac_sha256(key.as_ref(), &text).as_ref());
    let id = &keys.access_key_id;
    let credential = format!(
        "{ALGORITHM} Credential={id}/{within}, SignedHeaders={names}, Signature={signature}"
    );
    headers.insert(header::AUTHORIZATION, sensitive(&credential)?);
    Ok(())
}

/// The request in the one spelling that both sides hash.
fn canonical(request: Unsigned<'_>, headers: &HeaderMap, service: &str, body_hash: &str) -> String {
    let path = match request.path {
        "" => "/".to_owned(),
        path if service == S3 => path.to_owned(),
        path => percent_encoded(path, "/"),
    };
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(&str, &str)> =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (method, query, names) = (request.method, pairs.join("&"), names(headers));
    let lines: String = sorted(headers)
        .into_iter()
        .map(|name| format!("{name}:{}\n", all_values(headers, name)))
        .collect();
    format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}")
}

fn sorted(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

fn names(headers: &HeaderMap) -> String {
    sorted(headers).join(";")
}

/// A header's values with runs of spaces made one.
fn all_values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let single = |text: String| {
        text.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    texts.map(single).collect::<Vec<_>>().join(",")
}

/// `20150830T123600Z`.
fn moment(unix_ms: UnixMs) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| Error)
}

fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    crate::sign::sensitive(text).map_err(|_| Error)
}

#[cfg(test)]
mod tests;
