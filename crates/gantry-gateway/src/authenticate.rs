//! Stage 2, authenticate: from a token to a caller, in memory.
//!
//! A token, opaque or a JWT that the control plane signed, is looked up by its SHA-256 digest. A
//! signature alone would not do: a revoked JWT is still well signed, but no longer in the snapshot.

use crate::receive::Inbound;
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::Snapshot;
use gantry_http::http1::Fields;
use gantry_model::snapshot::Caller;
use gantry_runtime::clock::Clock;
use std::sync::Arc;

/// Who is calling, and by which token.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) caller: Arc<Caller>,
    pub(crate) key_name: Arc<str>,
}

/// Finds the caller of the request's token.
pub(crate) fn authenticate(
    clock: &Clock,
    snapshot: &Snapshot,
    inbound: &Inbound,
) -> Result<Identified, Refusal> {
    let token = token(&inbound.headers)?;
    let key = snapshot.keys.get(&digest(token));
    let key = key.ok_or_else(|| refused("the token is not known; check it, or create one"))?;
    if key.expires_at_ms.is_some_and(|end| end <= clock.unix_ms()) {
        return Err(refused("the token has expired; ask for a new one"));
    }
    Ok(Identified { caller: key.caller.clone(), key_name: key.name.clone() })
}

const BEARER: &str = "bearer";

/// Headers that hold nothing but a token, as clients of Anthropic, Azure and Google send it.
const PLAIN: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

fn token(headers: &Fields) -> Result<&str, Refusal> {
    let bearer = headers.text("authorization").map(|text| {
        // White space at the end of a field is not part of it: an empty token leaves the scheme.
        let (scheme, rest) = text.trim().split_once([' ', '\t']).unwrap_or_else(|| {
            if text.trim().eq_ignore_ascii_case(BEARER) { (text, "") } else { ("", text) }
        });
        let scheme = scheme.trim();
        if scheme.is_empty() || scheme.eq_ignore_ascii_case(BEARER) { rest.trim() } else { "" }
    });
    let plain =
        || PLAIN.iter().find_map(|name| headers.text(name).filter(|text| !text.trim().is_empty()));
    let token = match bearer {
        Some(token) if !token.is_empty() => Some(token),
        _ => plain().map(str::trim),
    };
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        refused(
            "no token; send `Authorization: Bearer <token>`, `x-api-key`, `api-key` or \
             `x-goog-api-key`",
        )
    })
}

fn digest(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().unwrap_or([0; 32])
}

fn refused(public: &str) -> Refusal {
    Refusal::caller(RefusalKind::Unauthenticated, public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_token_from_any_of_its_headers() {
        let cases = [
            ("authorization", "Bearer tfy_a", Some("tfy_a")),
            ("authorization", "bearer  tfy_a ", Some("tfy_a")),
            ("authorization", "Basic dXNlcg==", None),
            ("authorization", "Bearer ", None),
            ("authorization", "Bearer", None),
            ("authorization", "bearer   ", None),
            ("authorization", "Bearer\ttfy_a", Some("tfy_a")),
            ("authorization", "tfy_a", Some("tfy_a")),
            ("authorization", "", None),
            ("x-goog-api-key", "tfy_e", Some("tfy_e")),
            ("x-goog-api-key", " ", None),
            ("x-api-key", "tfy_b", Some("tfy_b")),
            ("api-key", "tfy_c", Some("tfy_c")),
            ("cookie", "tfy_d", None),
        ];
        for (name, value, expected) in cases {
            let headers: Fields = [(name, value)].into_iter().collect();
            assert_eq!(token(&headers).ok(), expected, "{name}: {value}");
        }
    }
}
