//! Headers of upstreams' replies that concern the caller: one closed list, and what dialects add.
//!
//! Everything else stays with the gateway: cookies, reporting endpoints, names of organisations and
//! accounts, what describes the connection or the machines behind it. What Gantry writes itself
//! (`content-type`, `date`, request ids) is not listed either.

/// Whether a reply header concerns callers whatever the dialect; `name` is in lower case.
pub(crate) fn of_any(name: &[u8]) -> bool {
    matches!(
        name,
        b"cache-control"
            | b"content-disposition"
            | b"content-language"
            // They hold for the very bytes; the gateway keeps them back when it changed some.
            | b"content-digest"
            | b"content-md5"
            | b"digest"
            | b"etag"
            | b"last-modified"
            | b"repr-digest"
            | b"retry-after"
            // Clients of OpenAI and Anthropic obey these two; other vendors copy them.
            | b"retry-after-ms"
            | b"x-should-retry"
    ) || is_usual_limit(name)
}

/// Rate limits in the spelling that most vendors use, and in that of the IETF's draft.
fn is_usual_limit(name: &[u8]) -> bool {
    name.starts_with(b"x-ratelimit-") || name.starts_with(b"ratelimit")
}
