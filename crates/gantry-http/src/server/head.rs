//! Takes a request's head apart (RFC 9112, sections 2 to 6). It reads nothing itself.

use super::Limits;
use super::request::{Rejected, Rejection};
use crate::http1::{FIELDS_MAX, Fields, Framing, check_host, stays_open};
use bytes::Bytes;
use http::{Method, Uri};
use httparse::{Error, ParserConfig, Status};
use std::mem::MaybeUninit;

/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// A head, taken apart.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) fields: Fields,
    pub(super) framing: Framing,
    pub(super) manner: Manner,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// HTTP/1.1, so that a reply may be chunked.
    pub(super) since_1_1: bool,
    /// The connection stays open for another request.
    pub(super) stays: bool,
    /// The reply is a head without a body (`HEAD`).
    pub(super) head_only: bool,
}

/// Whether what came after the first `looked_at` bytes can make a difference: a head that drips is
/// not taken apart anew for each of its bytes.
pub(super) fn is_worth_a_look(held: &[u8], looked_at: usize, limits: &Limits) -> bool {
    let came = held.get(looked_at..).unwrap_or_default();
    let begins_tls = looked_at == 0 && came.first() == Some(&TLS_HANDSHAKE);
    begins_tls || came.contains(&b'\n') || held.len() >= limits.head_bytes_max
}

/// The head at the beginning of `held`, which loses it; `None` when more has to come.
pub(super) fn take(held: &mut Bytes, limits: &Limits) -> Result<Option<Head>, Rejected> {
    if held.first() == Some(&TLS_HANDSHAKE) {
        return Err(Rejected { why: Rejection::Tls, target: String::new() });
    }
    let raw = held.clone();
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut more;
    let room = match room.get_mut(..limits.headers_max) {
        Some(room) => room,
        None => {
            more = vec![MaybeUninit::uninit(); limits.headers_max];
            more.as_mut_slice()
        }
    };
    let mut parsed = httparse::Request::new(&mut []);
    let config = ParserConfig::default();
    let outcome = config.parse_request_with_uninit_headers(&mut parsed, &raw, room);
    let reject = |why| Rejected { why, target: parsed.path.unwrap_or_default().to_owned() };
    let length = match outcome {
        Ok(Status::Complete(length)) if length <= limits.head_bytes_max => length,
        Ok(Status::Partial) if raw.len() < limits.head_bytes_max => return Ok(None),
        Ok(_) => return Err(reject(Rejection::HeadTooLarge { limit: limits.head_bytes_max })),
        Err(error) => return Err(reject(rejection(error, limits))),
    };
    let head = understand(&parsed, &raw, length)
        .map_err(|why| reject(Rejection::Malformed(why)))?
        .ok_or_else(|| reject(Rejection::TransferCoding))?;
    drop(held.split_to(length));
    Ok(Some(head))
}

fn rejection(error: Error, limits: &Limits) -> Rejection {
    match error {
        Error::TooManyHeaders => Rejection::TooManyFields { limit: limits.headers_max },
        Error::Version => Rejection::Version,
        other => Rejection::Malformed(other.to_string()),
    }
}

/// What a whole head says; `None` when the body comes in a coding that is not known here.
fn understand(
    parsed: &httparse::Request<'_, '_>,
    raw: &Bytes,
    length: usize,
) -> Result<Option<Head>, String> {
    let method = parsed.method.unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let target = parsed.path.unwrap_or_default().as_bytes();
    let uri = Uri::from_maybe_shared(raw.slice_ref(target));
    let uri = uri.map_err(|error| format!("the path: {error}"))?;
    let fields = Fields::of(raw.slice(..length), parsed.headers);
    let since_1_1 = parsed.version == Some(1);
    check_host(&fields, since_1_1).map_err(|error| error.to_string())?;
    let framing = Framing::of_request(&fields, since_1_1).map_err(|error| error.to_string())?;
    let Some(framing) = framing else { return Ok(None) };
    let expects = fields.get("expect").is_some_and(|it| it.eq_ignore_ascii_case(b"100-continue"));
    let manner = Manner {
        since_1_1,
        stays: stays_open(&fields, since_1_1),
        head_only: method == Method::HEAD,
    };
    let expects_continue = expects && since_1_1 && !framing.ended();
    Ok(Some(Head { method, uri, fields, framing, manner, expects_continue }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { head_bytes_max: 200, headers_max: 3, ..Limits::default() }
    }

    fn taken(text: &str) -> Result<Option<Head>, Rejected> {
        take(&mut Bytes::copy_from_slice(text.as_bytes()), &limits())
    }

    #[test]
    fn takes_a_head_and_leaves_what_follows() {
        let text = b"POST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\nbodyGET";
        for end in 0..text.len() - 7 {
            let mut held = Bytes::copy_from_slice(&text[..end]);
            assert!(take(&mut held, &limits()).unwrap().is_none(), "{end}");
            assert_eq!(held.len(), end);
        }
        let mut held = Bytes::from_static(text);
        let head = take(&mut held, &limits()).unwrap().unwrap();
        assert_eq!(held, "bodyGET");
        assert_eq!((head.method.as_str(), head.uri.to_string()), ("POST", "/v1/x?y=1".to_owned()));
        assert_eq!(head.fields.get("host"), Some(&b"a"[..]));
        assert!(matches!(head.framing, Framing::Length(4)));
        assert!(head.manner.stays && head.manner.since_1_1 && !head.manner.head_only);
    }

    #[test]
    fn says_how_the_caller_wants_to_be_answered() {
        let manner = |text: &str| {
            let head = taken(text).unwrap().unwrap();
            (head.manner.stays, head.manner.since_1_1, head.expects_continue)
        };
        assert_eq!(manner("GET / HTTP/1.0\r\n\r\n"), (false, false, false));
        assert!(manner("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n").0);
        assert!(!manner("GET / HTTP/1.1\r\nhost: x\r\nconnection: te, Close\r\n\r\n").0);
        let expect = "expect: 100-Continue\r\n";
        assert!(
            !manner(&format!("PUT / HTTP/1.1\r\nhost: x\r\n{expect}\r\n")).2,
            "there is no body"
        );
        assert!(
            manner(&format!("PUT / HTTP/1.1\r\nhost: x\r\n{expect}content-length: 1\r\n\r\n")).2
        );
    }

    #[test]
    fn refuses_what_is_no_head_of_ours_and_says_why() {
        let long = format!("GET /long HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(200));
        let endless = format!("GET /endless HTTP/1.1\r\nx: {}", "x".repeat(200));
        let many = format!("GET /many HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(4));
        let gzipped = "PUT /g HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n";
        let cases = [
            (long.as_str(), "larger than 200 bytes", "/long", 431),
            (&endless, "larger than 200 bytes", "/endless", 431),
            (&many, "more than 3 header fields", "/many", 431),
            ("\x16\x03\x01\x02", "use http://", "", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM", "only HTTP/1.1 and HTTP/1.0", "*", 505),
            ("GET /a HTTP/1.1\r\nbad field\r\n\r\n", "malformed: invalid header name", "/a", 400),
            ("GET http:// HTTP/1.1\r\n\r\n", "malformed: the path", "http://", 400),
            (gzipped, "only the transfer coding `chunked`", "/g", 501),
            ("{\"a\":1}\r\n\r\n", "malformed: ", "", 400),
            ("GET /h HTTP/1.1\r\na: b\r\n\r\n", "malformed: there is no host", "/h", 400),
        ];
        for (text, message, target, status) in cases {
            let rejected = taken(text).err().expect(text);
            assert!(rejected.why.to_string().contains(message), "{}", rejected.why);
            assert_eq!(
                (rejected.target.as_str(), rejected.why.status().as_u16()),
                (target, status)
            );
        }
        let smuggled = "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\
                        transfer-encoding: chunked\r\n\r\n";
        let why = taken(smuggled).err().unwrap().why.to_string();
        assert!(why.contains("both a content-length and a transfer-encoding"), "{why}");
    }
}
