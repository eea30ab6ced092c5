//! Which web pages may call the gateway from a browser (CORS, WHATWG Fetch section 3.2).
//!
//! The pipeline asks before and after a request. Without the setting nothing is looked at, and
//! browsers refuse. Callers send a token in a header, never a cookie, so credentials in the sense
//! of CORS are not allowed for anybody.

use gantry_http::http1::{FieldLines, Fields};
use gantry_llm::operation::Operations;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method};
use serde::Deserialize;

const ANY: HeaderValue = HeaderValue::from_static("*");

/// How long a browser may keep the answer to a preflight, in seconds: the most that Chromium does.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("7200");

/// Origins whose pages may call; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Origins(Vec<HeaderValue>);

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    #[error(
        "`{0}` is no origin: expected `*`, or scheme, host and port as browsers send them, such \
         as https://app.example.com or http://localhost:3000"
    )]
    NoOrigin(String),
    #[error("`*` stands for all origins: expected it alone")]
    AnyAndOthers,
}

impl TryFrom<Vec<String>> for Origins {
    type Error = BadOrigin;

    fn try_from(texts: Vec<String>) -> Result<Self, BadOrigin> {
        if texts.len() > 1 && texts.iter().any(|text| text == "*") {
            return Err(BadOrigin::AnyAndOthers);
        }
        let origin = |text: String| {
            let value = HeaderValue::from_str(&text).ok().filter(|_| text == "*" || usual(&text));
            value.ok_or(BadOrigin::NoOrigin(text))
        };
        texts.into_iter().map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// Whether a browser could send this: without path, in small letters, without the scheme's port.
fn usual(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let usual_port = match scheme {
        "http" => host.ends_with(":80"),
        "https" => host.ends_with(":443"),
        _ => false,
    };
    !scheme.is_empty()
        && !host.is_empty()
        && !usual_port
        && scheme.bytes().all(|byte| small(byte) || b"+-.".contains(&byte))
        && host.bytes().all(|byte| small(byte) || b"-._:[]".contains(&byte))
}

impl Origins {
    /// The value that lets the request's page read the reply; `None` when it may not, or when no
    /// page asks.
    pub(crate) fn allowed(&self, headers: &Fields) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let origin = headers.get(ORIGIN.as_str())?;
        self.0.iter().find(|allowed| *allowed == ANY || allowed.as_bytes() == origin).cloned()
    }
}

/// Whether a browser asks what it may send.
pub(crate) fn is_preflight(method: &Method, headers: &Fields) -> bool {
    *method == Method::OPTIONS && headers.contains(ACCESS_CONTROL_REQUEST_METHOD.as_str())
}

/// The answer to a preflight, before it is opened to its origin. A `*` for headers would not cover
/// `authorization`, so those asked for are named.
pub(crate) fn preflight(asked: &Fields, operations: &Operations) -> FieldLines {
    let mut lines = FieldLines::default();
    let methods = operations.methods();
    lines.line(ACCESS_CONTROL_ALLOW_METHODS.as_str().as_bytes(), methods.as_bytes());
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS.as_str()) {
        lines.line(ACCESS_CONTROL_ALLOW_HEADERS.as_str().as_bytes(), names);
    }
    lines.field(&ACCESS_CONTROL_MAX_AGE, &MAX_AGE_S);
    lines
}

/// Lets the pages of `origin` read a reply and its headers.
pub(crate) fn open(lines: &mut FieldLines, origin: &HeaderValue) {
    lines.field(&ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    lines.field(&ACCESS_CONTROL_EXPOSE_HEADERS, &ANY);
    lines.field(&VARY, &HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Result<Origins, BadOrigin> {
        texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn only_what_a_browser_sends_is_an_origin() {
        for text in ["*", "https://app.example.com", "http://[::1]:3000", "tauri://localhost"] {
            assert!(origins(&[text]).is_ok(), "{text}");
        }
        for text in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://*.example.com",
            "https://user@example.com",
        ] {
            let error = origins(&[text]).unwrap_err();
            assert_eq!(error, BadOrigin::NoOrigin(text.to_owned()));
        }
        assert_eq!(origins(&["*", "http://a"]), Err(BadOrigin::AnyAndOthers));
    }
}
