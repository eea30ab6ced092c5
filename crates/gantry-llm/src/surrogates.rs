//! Halves of surrogate pairs in JSON text: `\ud83d` without its `\ude42`.
//!
//! Some servers and clients cut a character in two, and strict readers refuse the whole text for
//! it. Such a half becomes U+FFFD, for callers and upstreams alike, translated or not; who takes
//! a body in calls [`mended`], and `rejoin` does what goes over several events. It never touches
//! text that has both halves.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Bytes of `\uXXXX`.
pub(crate) const ESCAPE_BYTES: usize = 6;

/// What stands for a character that nobody knows, spelled as long as a half.
pub(crate) const UNKNOWN: &[u8; ESCAPE_BYTES] = b"\\ufffd";

/// A half, or nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    High,
    Low,
}

/// The half at the beginning of `json`, if an escape of one stands there.
pub(crate) fn half(json: &[u8]) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', kind, a, b, ..] = json else { return None };
    if !(a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
        return None;
    }
    match kind {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::High),
        b'c'..=b'f' | b'C'..=b'F' => Some(Half::Low),
        _ => None,
    }
}

/// Whether there may be a half, alone or not. Quick, and right in all but odd cases.
pub(crate) fn occur(json: &[u8]) -> bool {
    static UNIT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\\u"));
    UNIT.find_iter(json).any(|at| json.get(at..).is_some_and(|rest| half(rest).is_some()))
}

/// The places of halves that stand alone, and which they are. Nothing but a string may hold a
/// backslash, so `json` may be any piece of valid JSON that begins outside of an escape.
pub(crate) fn alone(json: &[u8]) -> impl Iterator<Item = (usize, Half)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr(b'\\', json.get(at..)?)?;
            let rest = json.get(at..)?;
            let next = rest.get(ESCAPE_BYTES..).and_then(half);
            let (here, found) = (at, half(rest));
            at += match (found, next) {
                (Some(Half::High), Some(Half::Low)) => 2 * ESCAPE_BYTES,
                (Some(_), _) => ESCAPE_BYTES,
                (None, _) => 2,
            };
            if let Some(half) = found.filter(|_| at - here == ESCAPE_BYTES) {
                return Some((here, half));
            }
        }
    })
}

/// Puts U+FFFD in the place of each half that stands alone. No other byte moves.
pub(crate) fn mend(json: &mut [u8]) {
    let places: Vec<usize> = alone(json).map(|(at, _)| at).collect();
    for at in places {
        if let Some(half) = json.get_mut(at..at + ESCAPE_BYTES) {
            half.copy_from_slice(UNKNOWN);
        }
    }
}

/// A body of JSON without halves that stand alone; it is as long as before.
#[must_use]
pub fn mended(body: Bytes) -> Bytes {
    if !occur(&body) || alone(&body).next().is_none() {
        return body;
    }
    let mut body = body.try_into_mut().unwrap_or_else(|body| BytesMut::from(&*body));
    mend(&mut body);
    body.freeze()
}

/// The same of text.
pub(crate) fn mended_text(json: &str) -> Cow<'_, str> {
    if !occur(json.as_bytes()) || alone(json.as_bytes()).next().is_none() {
        return Cow::Borrowed(json);
    }
    let mut bytes = json.as_bytes().to_vec();
    mend(&mut bytes);
    String::from_utf8(bytes).map_or(Cow::Borrowed(json), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::{mended, mended_text};
    use bytes::Bytes;

    #[test]
    fn halves_that_stand_alone_are_replaced_and_nothing_else() {
        for (from, to) in [
            (r#"["\ud83d\ude42"]"#, r#"["\ud83d\ude42"]"#),
            (r#"["\uD83D\uDE42"]"#, r#"["\uD83D\uDE42"]"#),
            (r#"["a\ud83d"]"#, r#"["a\ufffd"]"#),
            (r#"["\ude42b"]"#, r#"["\ufffdb"]"#),
            (r#"["\ud83d\ud83d\ude42"]"#, r#"["\ufffd\ud83d\ude42"]"#),
            (r#"["\ude42\ud83d"]"#, r#"["\ufffd\ufffd"]"#),
            (r#"["\uD83Dx\n\udE42"]"#, r#"["\ufffdx\n\ufffd"]"#),
            (r#"["\ud83d\u0041"]"#, r#"["\ufffd\u0041"]"#),
            (r#"["\ud83d","\ude42"]"#, r#"["\ufffd","\ufffd"]"#),
            (r#"["\\ud83d"]"#, r#"["\\ud83d"]"#),
            (r#"["\\\ud83d"]"#, r#"["\\\ufffd"]"#),
            (r#"{"\udfff":"\ud7ff\ue000"}"#, r#"{"\ufffd":"\ud7ff\ue000"}"#),
            ("", ""),
        ] {
            assert_eq!(mended_text(from), to);
            assert_eq!(mended(Bytes::copy_from_slice(from.as_bytes())), to);
        }
    }
}
