//! Takes Gantry's credentials out of what an upstream says went wrong.
//!
//! Some upstreams repeat the key that they refuse. The attempt loop and the pump call this on every
//! failure, before its words reach a caller, a record or a log. Of a good reply only the header
//! fields are looked through.

use super::failure::{Failure, UpstreamReply};
use crate::route::Hop;
use crate::snapshot::{Model, Policy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gantry_http::http1::Fields;
use gantry_llm::errors::ErrorView;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName};
use std::sync::Arc;

/// Stands in place of a credential.
const STARS: &[u8] = b"***";

/// Shorter values, in bytes, are left: they would match words that are no credentials.
const SECRET_BYTES_MIN: usize = 8;

/// What must not be shown of one target's call.
#[derive(Debug)]
pub(super) struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// The values of the headers that Gantry itself adds for this model and its route.
    pub(super) fn of(model: &Model, policies: &[Arc<Policy>]) -> Self {
        let own = std::iter::once(&model.upstream.headers);
        let maps = own.chain(policies.iter().map(|policy| &policy.set_headers));
        let dialect = model.dialect();
        let mut public = dialect.feature_headers().to_vec();
        public.extend(dialect.version_header(model.quirks()).map(|(name, _)| name));
        Self::in_headers(maps, &public)
    }

    fn in_headers<'h>(maps: impl Iterator<Item = &'h HeaderMap>, public: &[&str]) -> Self {
        let mut values = Vec::new();
        maps.for_each(|headers| collect(headers, public, &mut values));
        let slashed: Vec<Vec<u8>> = values.iter().filter_map(|value| slashes(value)).collect();
        values.extend(slashed);
        values.retain(|value| value.len() >= SECRET_BYTES_MIN);
        // The longest first, so that none is cut in two by a part of it.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// Everything that a failure says.
    pub(super) fn scrub(&self, failure: &mut Failure) {
        let Some(UpstreamReply { fields, body, .. }) = failure.reply.as_deref_mut() else {
            self.view(&mut failure.error);
            return;
        };
        if !self.said(&mut failure.error, body) {
            // An empty body is printed anew.
            *body = Bytes::new();
        }
        self.fields(fields);
    }

    /// An error and the bytes it was read from; says whether the bytes may be shown. They may not
    /// where escapes of JSON can hide a credential.
    pub(super) fn said(&self, view: &mut ErrorView, bytes: &mut Bytes) -> bool {
        let shown = self.view(view);
        self.bytes(bytes);
        !shown || find(bytes, b"\\u00").is_none()
    }

    /// An error's words; says whether there was something to take out.
    fn view(&self, view: &mut ErrorView) -> bool {
        let mut found = self.text(&mut view.message);
        for text in [&mut view.code, &mut view.param].into_iter().flatten() {
            found |= self.text(text);
        }
        found
    }

    pub(super) fn text(&self, text: &mut String) -> bool {
        let cleaned = self.cleaned(text.as_bytes());
        if let Some(cleaned) = &cleaned {
            *text = String::from_utf8_lossy(cleaned).into_owned();
        }
        cleaned.is_some()
    }

    pub(super) fn bytes(&self, bytes: &mut Bytes) -> bool {
        let cleaned = self.cleaned(bytes);
        let found = cleaned.is_some();
        if let Some(cleaned) = cleaned {
            *bytes = cleaned.into();
        }
        found
    }

    /// Header fields that show one are left out.
    pub(super) fn fields(&self, fields: &mut Fields) {
        let shows = |value: &[u8]| self.0.iter().any(|secret| find(value, secret).is_some());
        if !fields.iter().any(|field| shows(field.value())) {
            return;
        }
        let map = fields.to_map();
        let kept = map.iter().filter(|(_, value)| !shows(value.as_bytes()));
        *fields =
            kept.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    }

    /// The text without them; `None` when there are none in it.
    fn cleaned(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut cleaned: Option<Vec<u8>> = None;
        for secret in &self.0 {
            let now = cleaned.as_deref().unwrap_or(text);
            if let Some(replaced) = replaced(now, secret) {
                cleaned = Some(replaced);
            }
        }
        cleaned
    }
}

/// Whether header fields of a good reply may show a credential, which [`Secrets::fields`] then
/// finds out. It costs no memory, since every reply is asked.
pub(super) fn may_show(fields: &Fields, hop: &Hop) -> bool {
    let own = std::iter::once(&hop.model.upstream.headers);
    let maps = own.chain(hop.policies.iter().map(|policy| &policy.set_headers));
    let shows = |value: &[u8]| {
        let bare = value.iter().position(|byte| *byte == b' ').and_then(|at| value.get(at + 1..));
        let bare = bare.unwrap_or(value);
        bare.len() >= SECRET_BYTES_MIN
            && fields.iter().any(|field| find(field.value(), bare).is_some())
    };
    // What stands in a `basic` credential is found by the longer look.
    let hidden = |value: &[u8]| value.get(..6).is_some_and(|b| b.eq_ignore_ascii_case(b"basic "));
    maps.flat_map(HeaderMap::values)
        .any(|value| hidden(value.as_bytes()) || shows(value.as_bytes()))
}

/// The credentials in `headers`: each value, and what stands behind the name of a scheme.
fn collect(headers: &HeaderMap, public: &[&str], values: &mut Vec<Vec<u8>>) {
    for (_, value) in headers.iter().filter(|(name, _)| !is_public(name, public)) {
        let value = value.as_bytes();
        values.push(value.to_vec());
        let mut words = value.splitn(2, |byte| *byte == b' ');
        let (Some(scheme), Some(rest)) = (words.next(), words.next()) else { continue };
        values.push(rest.to_vec());
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Ok(pair) = STANDARD.decode(rest)
            && let Some(colon) = pair.iter().position(|byte| *byte == b':')
        {
            values.push(pair.get(colon + 1..).unwrap_or_default().to_vec());
        }
    }
}

/// Headers whose values are no secrets and common words in errors; `public` are the dialect's.
fn is_public(name: &HeaderName, public: &[&str]) -> bool {
    [HOST, ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT].contains(name)
        || public.contains(&name.as_str())
}

/// The spelling of JSON printers that escape slashes.
fn slashes(value: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.contains('/'))?;
    Some(text.replace('/', "\\/").into_bytes())
}

fn find(text: &[u8], secret: &[u8]) -> Option<usize> {
    text.windows(secret.len()).position(|part| part == secret)
}

fn replaced(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut at = find(text, secret)?;
    let mut rest = text;
    let mut out = Vec::with_capacity(text.len());
    loop {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(STARS);
        rest = rest.get(at + secret.len()..).unwrap_or_default();
        match find(rest, secret) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn secrets(headers: &[(&'static str, &'static str)]) -> Secrets {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        Secrets::in_headers(std::iter::once(&map), &["anthropic-version"])
    }

    #[test]
    fn credentials_of_every_form_become_stars() {
        let cases = [
            ("authorization", "Bearer sk-12345678", "bad sk-12345678!", "bad ***!"),
            ("authorization", "Bearer sk-12345678", "`Bearer sk-12345678`", "`***`"),
            ("x-api-key", "sk-ant-0000", "sk-ant-0000sk-ant-0000", "******"),
            ("api-key", "0123456789abcdef", "key 0123456789ABCDEF", "key 0123456789ABCDEF"),
            ("authorization", "Basic dXNlcjpwYXNzd29yZA==", "no `password`", "no `***`"),
            ("x-api-key", "ab/cd/ef+g=", r"no ab\/cd\/ef+g=", "no ***"),
            ("x-team", "search", "team search", "team search"),
            ("content-type", "application/json", "send application/json", "send application/json"),
            ("anthropic-version", "2023-06-01", "use 2023-06-01", "use 2023-06-01"),
        ];
        for (name, value, said, expected) in cases {
            let mut text = said.to_owned();
            let found = secrets(&[(name, value)]).text(&mut text);
            assert_eq!((text.as_str(), found), (expected, said != expected), "{name}: {value}");
        }
    }

    #[test]
    fn a_secret_inside_another_leaves_no_rest_of_it() {
        let mut text = "sk-12345678-long and sk-12345678".to_owned();
        secrets(&[("x-one", "sk-12345678"), ("x-two", "sk-12345678-long")]).text(&mut text);
        assert_eq!(text, "*** and ***");
    }
}
