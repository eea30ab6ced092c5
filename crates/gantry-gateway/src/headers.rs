//! The headers that Gantry reads from callers and writes to them: one closed list.

use crate::refusal::{Refusal, RefusalKind};
use gantry_http::http1::{Field, Fields};
use http::header::CONNECTION;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// JSON map of strings; keys and values have at most 128 characters.
pub(crate) const METADATA: &str = "x-tfy-metadata";
/// `{"enabled": bool}`: whether bodies go into the record.
pub(crate) const LOGGING_CONFIG: &str = "x-tfy-logging-config";
/// `{"attempts", "onStatusCodes", "useRetryAfterHeader"}`.
pub(crate) const RETRY_CONFIG: &str = "x-tfy-retry-config";
/// Milliseconds for one attempt.
pub(crate) const REQUEST_TIMEOUT: &str = "x-tfy-request-timeout";
/// Milliseconds to the first token of one attempt.
pub(crate) const TTFT_TIMEOUT: &str = "x-tfy-ttft-timeout-ms";
/// Together with [`MODEL_NAME`] replaces the body's `model`.
pub(crate) const PROVIDER_NAME: &str = "x-tfy-provider-name";
pub(crate) const MODEL_NAME: &str = "x-tfy-model-name";
/// `true`: a chat reply has nothing but OpenAI's schema; `false`: all there is, and `provider`.
pub(crate) const STRICT_OPENAI: &str = "x-tfy-strict-openai";
/// `true`: refuse what a translation would drop.
pub(crate) const STRICT: &str = "x-gantry-strict";
/// `false`: a request that needs no translation is not fitted to its model.
pub(crate) const FIT: &str = "x-gantry-fit";

/// The caller's span (W3C Trace Context), and what its vendor adds to it.
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";

/// The model that answered, `account/model`.
pub(crate) const RESOLVED_MODEL: &str = "x-tfy-resolved-model";
/// The rules that were applied, as JSON.
pub(crate) const APPLIED: &str = "x-tfy-applied-configurations";
/// What a translation dropped or approximated: `dropped logprobs; approximated stop`.
pub(crate) const FIDELITY: &str = "x-gantry-fidelity";
/// The record's id.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// The same for Anthropic's clients.
pub(crate) const ANTHROPIC_REQUEST_ID: &str = "request-id";
/// The upstream's own id of the call.
pub(crate) const UPSTREAM_REQUEST_ID: &str = "x-upstream-request-id";
/// Where the time went (W3C Server Timing).
pub(crate) const SERVER_TIMING: &str = "server-timing";
/// `false`: official clients, which retry by status otherwise, do not send the request again.
pub(crate) const SHOULD_RETRY: &str = "x-should-retry";
pub(crate) const RETRY_AFTER_MS: &str = "retry-after-ms";
/// What some of Azure's services say instead.
pub(crate) const AZURE_RETRY_AFTER_MS: &str = "x-ms-retry-after-ms";

/// How the names of the headers that callers may set begin.
const OURS: [&str; 2] = ["x-tfy-", "x-gantry-"];

const METADATA_CHARS_MAX: usize = 128;
const METADATA_KEYS_MAX: usize = 64;

/// The fields that `Connection` names: they concern one connection, and go no further
/// (RFC 9110, section 7.6.1). Most messages name none, which costs no allocation.
#[derive(Debug)]
pub(crate) struct ConnectionOptions<'a>(Vec<&'a [u8]>);

impl<'a> ConnectionOptions<'a> {
    pub(crate) fn of(fields: &'a Fields) -> Self {
        let mut names = Vec::new();
        for field in fields.iter().filter(|field| field.is(CONNECTION.as_str())) {
            let options = field.value().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            // The usual ones are no fields, or are kept back anyway.
            names.extend(options.filter(|option| {
                let usual: [&[u8]; 3] = [b"", b"close", b"keep-alive"];
                !usual.iter().any(|usual| option.eq_ignore_ascii_case(usual))
            }));
        }
        Self(names)
    }

    pub(crate) fn name(&self, field: Field<'_>) -> bool {
        self.0.iter().any(|name| field.name().eq_ignore_ascii_case(name))
    }
}

/// What a request's headers ask of Gantry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub metadata: BTreeMap<String, String>,
    pub log_bodies: Option<bool>,
    pub retry: Option<RetryWish>,
    pub attempt_timeout: Option<Duration>,
    pub first_token_timeout: Option<Duration>,
    /// Replaces the body's model.
    pub model: Option<String>,
    pub strict: bool,
    pub fit: Option<bool>,
    pub strict_openai: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RetryWish {
    pub attempts: Option<u8>,
    pub on_status_codes: Option<Vec<u16>>,
    pub use_retry_after_header: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoggingWish {
    enabled: bool,
}

impl Wishes {
    /// Reads the closed list of headers.
    ///
    /// # Errors
    /// When one of them is present and unreadable: a caller who mistypes a wish must hear of it.
    pub(crate) fn read(headers: &Fields) -> Result<Self, Refusal> {
        let mut wishes = Self::default();
        // One look for the common case: a request without any of them.
        let ours = |field: Field<'_>| OURS.iter().any(|begin| field.begins(begin));
        if !headers.iter().any(ours) {
            return Ok(wishes);
        }
        if let Some(text) = text(headers, METADATA)? {
            wishes.metadata = metadata(text)?;
        }
        if let Some(text) = text(headers, LOGGING_CONFIG)? {
            let wish: LoggingWish = json(LOGGING_CONFIG, text, r#"{"enabled": true}"#)?;
            wishes.log_bodies = Some(wish.enabled);
        }
        if let Some(text) = text(headers, RETRY_CONFIG)? {
            let example = r#"{"attempts": 2, "onStatusCodes": [429]}"#;
            wishes.retry = Some(json(RETRY_CONFIG, text, example)?);
        }
        wishes.attempt_timeout = milliseconds(headers, REQUEST_TIMEOUT)?;
        wishes.first_token_timeout = milliseconds(headers, TTFT_TIMEOUT)?;
        wishes.strict = boolean(headers, STRICT)?.unwrap_or_default();
        wishes.fit = boolean(headers, FIT)?;
        wishes.strict_openai = boolean(headers, STRICT_OPENAI)?;
        if let Some(model) = text(headers, MODEL_NAME)? {
            wishes.model = Some(match text(headers, PROVIDER_NAME)? {
                Some(provider) => format!("{provider}/{model}"),
                None => model.to_owned(),
            });
        }
        Ok(wishes)
    }
}

fn text<'a>(headers: &'a Fields, name: &str) -> Result<Option<&'a str>, Refusal> {
    match (headers.text(name), headers.contains(name)) {
        (None, true) => Err(bad(name, "it holds characters outside ASCII")),
        (text, _) => Ok(text),
    }
}

fn json<'a, T: Deserialize<'a>>(name: &str, text: &'a str, example: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| bad(name, &format!("{error}; expected {example}")))
}

fn metadata(text: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let map: BTreeMap<String, String> = json(METADATA, text, r#"{"team": "search"}"#)?;
    if map.len() > METADATA_KEYS_MAX {
        let message = format!("it has {} keys, at most {METADATA_KEYS_MAX} are kept", map.len());
        return Err(bad(METADATA, &message));
    }
    let long = |text: &str| text.chars().count() > METADATA_CHARS_MAX;
    let more = format!("has more than {METADATA_CHARS_MAX} characters");
    match map.iter().find(|(key, value)| long(key) || long(value)) {
        Some((key, _)) if long(key) => Err(bad(METADATA, &format!("the key `{key}` {more}"))),
        Some((key, _)) => Err(bad(METADATA, &format!("the value of `{key}` {more}"))),
        None => Ok(map),
    }
}

fn milliseconds(headers: &Fields, name: &str) -> Result<Option<Duration>, Refusal> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    match text.trim().parse::<u64>() {
        Ok(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms))),
        _ => Err(bad(name, "expected a positive whole number of milliseconds")),
    }
}

fn boolean(headers: &Fields, name: &str) -> Result<Option<bool>, Refusal> {
    match text(headers, name)?.map(str::trim) {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(bad(name, "expected `true` or `false`")),
    }
}

fn bad(name: &str, message: &str) -> Refusal {
    Refusal::caller(RefusalKind::BadHeader, format!("header `{name}`: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Wishes, String> {
        let headers: Fields = pairs.iter().copied().collect();
        Wishes::read(&headers).map_err(|refusal| refusal.public)
    }

    #[test]
    fn reads_every_wish() {
        let wishes = read(&[
            ("x-tfy-metadata", r#"{"team":"search"}"#),
            ("x-tfy-retry-config", r#"{"attempts":3,"onStatusCodes":[429,500]}"#),
            ("x-tfy-ttft-timeout-ms", "250"),
            ("x-tfy-provider-name", "openai"),
            ("x-tfy-model-name", "gpt"),
        ])
        .unwrap();
        assert_eq!(wishes.metadata.get("team").map(String::as_str), Some("search"));
        assert_eq!(wishes.retry.unwrap().attempts, Some(3));
        assert_eq!(wishes.first_token_timeout, Some(Duration::from_millis(250)));
        assert_eq!(wishes.model.as_deref(), Some("openai/gpt"));
    }

    #[test]
    fn a_mistyped_wish_is_refused_with_what_was_expected() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(129));
        let long_key = format!(r#"{{"{}":"a"}}"#, "x".repeat(129));
        let cases = [
            ("x-tfy-metadata", "team=search", "expected {\"team\": \"search\"}"),
            ("x-tfy-metadata", long.as_str(), "the value of `a` has more than 128 characters"),
            ("x-tfy-metadata", long_key.as_str(), "xx` has more than 128 characters"),
            ("x-tfy-request-timeout", "2s", "expected a positive whole number of milliseconds"),
            ("x-tfy-logging-config", "{}", "missing field `enabled`"),
            ("x-tfy-logging-config", "{\"enabled\":true,\"log\":1}", "unknown field `log`"),
            ("x-tfy-retry-config", "{\"retries\":2}", "unknown field `retries`, expected one of"),
            ("x-gantry-strict", "1", "expected `true` or `false`"),
            ("x-gantry-strict", "banana", "expected `true` or `false`"),
            ("x-gantry-strict", "", "expected `true` or `false`"),
            ("x-tfy-strict-openai", "no", "expected `true` or `false`"),
        ];
        for (name, value, expected) in cases {
            let message = read(&[(name, value)]).unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert!(message.contains(name), "{message}");
        }
    }
}
