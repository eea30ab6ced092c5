//! Whether a request says once and clearly which host it is for (RFC 9112, section 3.2).
//!
//! The server asks for every request. Gantry itself does not choose by the host, but what stands in
//! front of it may have chosen by another one. It allocates nothing.

use super::{Fields, FramingError};

/// Checks the `host` fields of a request. HTTP/1.0 knows none, so that there it may be missing.
///
/// # Errors
/// When there is none, more than one, or one that names no host.
pub fn check_host(fields: &Fields, since_1_1: bool) -> Result<(), FramingError> {
    let mut found = false;
    for field in fields.iter().filter(|field| field.is("host")) {
        if std::mem::replace(&mut found, true) {
            return Err(FramingError("there are two host fields"));
        }
        if !is_host(field.value()) {
            return Err(FramingError("the host field names no host"));
        }
    }
    if found || !since_1_1 { Ok(()) } else { Err(FramingError("there is no host field")) }
}

/// Whether `text` is `host [":" port]` (RFC 3986, section 3.2). An empty host is one: it stands for
/// a target without an authority.
fn is_host(text: &[u8]) -> bool {
    let port = match text.strip_prefix(b"[") {
        Some(literal) => {
            let end = literal.iter().position(|byte| !is_name(*byte) && *byte != b':');
            match literal.split_at_checked(end.unwrap_or_default()) {
                Some((name, [b']', port @ ..])) if !name.is_empty() => port,
                _ => return false,
            }
        }
        None => {
            let end = text.iter().position(|byte| !is_name(*byte)).unwrap_or(text.len());
            text.get(end..).unwrap_or_default()
        }
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Unreserved characters, sub-delimiters and the sign of an escape.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(hosts: &[&str], since_1_1: bool) -> Result<(), String> {
        let fields = hosts.iter().map(|host| ("Host", *host)).chain([("x-host", "a b")]).collect();
        check_host(&fields, since_1_1).map_err(|error| error.to_string())
    }

    #[test]
    fn takes_one_host_with_or_without_a_port() {
        let hosts = [
            "a",
            "api.example.com:8080",
            "10.0.0.1",
            "[::1]:80",
            "[fe80::1%25en0]",
            "",
            "my_svc",
            "a:",
        ];
        for host in hosts {
            assert_eq!(checked(&[host], true), Ok(()), "{host}");
            assert_eq!(checked(&[host], false), Ok(()), "{host}");
        }
        assert_eq!(checked(&[], false), Ok(()));
    }

    #[test]
    fn refuses_none_two_and_what_is_no_host() {
        assert_eq!(checked(&[], true), Err("there is no host field".to_owned()));
        for since_1_1 in [true, false] {
            let two = checked(&["a", "a"], since_1_1);
            assert_eq!(two, Err("there are two host fields".to_owned()));
            let hosts = [
                "a b", "http://a", "a/b", "u@a", "a:b", "a:80:80", "::1", "[::1", "[::1]x", "[]",
                "ä", "a\tb",
            ];
            for host in hosts {
                let refused = checked(&[host], since_1_1);
                assert_eq!(refused, Err("the host field names no host".to_owned()), "{host}");
            }
        }
    }
}
