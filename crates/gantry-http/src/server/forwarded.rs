//! Who a request is from when a proxy passed it on (`x-forwarded-for`, or `forwarded`, RFC 7239).
//!
//! Asked for each request on ports with trusted proxies. Each proxy adds, at the end, whom it got
//! the request from; so the list is read from its end, as far as those named are trusted. What a
//! client wrote there itself stands before that and is never believed.

use crate::http1::Fields;
use crate::networks::Networks;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Entries that are looked at: more proxies in a row than there are anywhere.
const ENTRIES_MAX: usize = 16;

/// Which field the trusted proxies set. Only one, because a proxy passes on what a client wrote
/// into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

impl ClientHeader {
    fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }

    /// The client's address in one entry; `None` when it is hidden or none. Port 0 stands for one
    /// that was not said.
    fn address(self, entry: &str) -> Option<SocketAddr> {
        match self {
            Self::XForwardedFor => node(entry),
            Self::Forwarded => entry.split(';').find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                name.eq_ignore_ascii_case("for").then(|| node(value.trim_matches('"')))?
            }),
        }
    }
}

/// The client of a request that came from `peer`: the last in the list that is not trusted, or the
/// first of all when all are. Where an entry is unreadable, the one behind it stands.
pub(super) fn client(
    peer: SocketAddr,
    fields: &Fields,
    header: ClientHeader,
    trusted: &Networks,
) -> SocketAddr {
    let mut client = peer;
    let name = header.name();
    let mut lines: Vec<&[u8]> =
        fields.iter().filter(|field| field.is(name)).map(|field| field.value()).collect();
    lines.reverse();
    let entries = lines.into_iter().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for entry in entries.take(ENTRIES_MAX) {
        if !trusted.contain(client.ip()) {
            break;
        }
        let entry = std::str::from_utf8(entry).ok().map(str::trim);
        match entry.and_then(|entry| header.address(entry)) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 0));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Some(SocketAddr::new(inner.parse().ok()?, 0));
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn client_of(peer: &str, header: ClientHeader, lines: &[(&str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(str::to_owned).to_vec();
        let trusted = Networks::try_from(trusted).unwrap();
        let map: HeaderMap = lines
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let fields = Fields::from_map(&map);
        client(peer.parse().unwrap(), &fields, header, &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_last_that_is_not_trusted() {
        let cases: [(&str, &[&str], &str); 12] = [
            ("10.0.0.1:5", &[], "10.0.0.1:5"),
            ("10.0.0.1:5", &["192.0.2.1"], "192.0.2.1:0"),
            // What the client wrote itself stands before what the proxies know.
            ("10.0.0.1:5", &["1.1.1.1, 192.0.2.1"], "192.0.2.1:0"),
            ("10.0.0.1:5", &["1.1.1.1", "192.0.2.1, 10.0.0.7"], "192.0.2.1:0"),
            ("10.0.0.1:5", &["10.0.0.9, 10.0.0.8"], "10.0.0.9:0"),
            ("10.0.0.1:5", &["1.1.1.1, nonsense, 10.0.0.8"], "10.0.0.8:0"),
            ("10.0.0.1:5", &["1.1.1.1,"], "10.0.0.1:5"),
            ("10.0.0.1:5", &["2001:db8::1"], "[2001:db8::1]:0"),
            ("10.0.0.1:5", &["[2001:db8::1]:80"], "[2001:db8::1]:80"),
            ("[fd00::1]:5", &["192.0.2.1:80"], "192.0.2.1:80"),
            ("[::ffff:10.0.0.1]:5", &["192.0.2.1"], "192.0.2.1:0"),
            // From anybody else it is not looked at.
            ("192.0.2.9:5", &["1.1.1.1"], "192.0.2.9:5"),
        ];
        for (peer, lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
            let found = client_of(peer, ClientHeader::XForwardedFor, &lines);
            assert_eq!(found, expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_the_proxies_set_it_and_the_other_then_is_not() {
        let cases = [
            ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1:0"),
            ("for=1.1.1.1, For=\"[2001:db8::1]:80\"", "[2001:db8::1]:80"),
            ("for=192.0.2.1, proto=http;for=10.0.0.3", "192.0.2.1:0"),
            ("for=_hidden", "10.0.0.1:5"),
            ("for=unknown", "10.0.0.1:5"),
            ("by=1.1.1.1", "10.0.0.1:5"),
        ];
        for (line, expected) in cases {
            let lines = [("forwarded", line), ("x-forwarded-for", "6.6.6.6")];
            let found = client_of("10.0.0.1:5", ClientHeader::Forwarded, &lines);
            assert_eq!(found, expected, "{line}");
            let lines = [("forwarded", line), ("x-forwarded-for", "7.7.7.7")];
            let found = client_of("10.0.0.1:5", ClientHeader::XForwardedFor, &lines);
            assert_eq!(found, "7.7.7.7:0");
        }
    }

    #[test]
    fn an_endless_list_is_read_as_far_as_there_are_proxies() {
        let long = "10.0.0.2, ".repeat(1000) + "10.0.0.3";
        let lines = [("x-forwarded-for", long.as_str())];
        let found = client_of("10.0.0.1:5", ClientHeader::XForwardedFor, &lines);
        assert_eq!(found, "10.0.0.2:0");
    }
}
