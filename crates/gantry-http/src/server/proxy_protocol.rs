//! The PROXY protocol, versions 1 and 2: a proxy says before the first byte who its client is.
//!
//! Read from a connection whose other side is a configured proxy, and from no other. It reads not
//! a byte more than the header, so that TLS or HTTP can follow.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, its end included (section 2.1).
const V1_BYTES_MAX: usize = 107;

/// Longest rest of a header of version 2 that is read; two Unix paths and facts on TLS fit.
const V2_BYTES_MAX: usize = 4 * 1024;

/// Why the header cannot be used; the connection is closed then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("read the PROXY header")]
    Read(#[from] io::Error),
    #[error("find a PROXY header at the connection's beginning")]
    None,
    #[error("read the PROXY header: {0}")]
    Malformed(&'static str),
}

/// Who the proxy's client is; `None` when the proxy speaks for itself, as for a health check, or
/// does not know.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, Error> {
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == SIGNATURE {
        return read_v2(stream).await;
    }
    if !begin.starts_with(b"PROXY ") {
        return Err(Error::None);
    }
    let mut line = begin.to_vec();
    // Byte by byte, because what follows is not ours; once per connection.
    while !line.ends_with(b"\r\n") {
        if line.len() == V1_BYTES_MAX {
            return Err(Error::Malformed("it is longer than 107 bytes"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_v1(&line).map_err(Error::Malformed)
}

/// Takes a line of version 1 apart, its end included.
fn parse_v1(line: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is no text")?;
    let text = text.strip_suffix("\r\n").unwrap_or(text);
    let mut words = text.split(' ').skip(1);
    let kind = words.next().unwrap_or_default();
    if kind == "UNKNOWN" {
        return Ok(None);
    }
    let mut address = || words.next()?.parse::<IpAddr>().ok();
    let (source, destination) = (address(), address());
    let mut port = || {
        let digits = words.next()?;
        // The standard library takes a sign too.
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok())?
    };
    let (source_port, destination_port) = (port(), port());
    if words.next().is_some() {
        return Err("there is something behind the ports");
    }
    let (Some(source), Some(destination)) = (source, destination) else {
        return Err("an address is none");
    };
    let (Some(port), Some(_)) = (source_port, destination_port) else {
        return Err("a port is none");
    };
    let fits = match kind {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => return Err("it is neither of TCP4, TCP6 and UNKNOWN"),
    };
    fits.then(|| Some(SocketAddr::new(source, port))).ok_or("an address is of another family")
}

/// Reads what follows the signature of version 2.
async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, Error> {
    let version_and_command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > V2_BYTES_MAX {
        return Err(Error::Malformed("it is longer than 4 KiB"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let local = match version_and_command {
        0x20 => true,
        0x21 => false,
        command if command >> 4 == 2 => return Err(Error::Malformed("its command is unknown")),
        _ => return Err(Error::Malformed("its version is not 2")),
    };
    let source = source_v2(family, &rest).map_err(Error::Malformed)?;
    Ok(source.filter(|_| !local))
}

/// The source in a header of version 2. What follows the addresses (TLVs) is not looked at.
fn source_v2(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let short = "it is too short for its addresses";
    match family {
        // Over TCP.
        0x11 => {
            let addresses = rest.first_chunk::<12>().ok_or(short)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            Ok(Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)))
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
            let [high, low, _, _] = *rest.get(16..).and_then(<[u8]>::first_chunk).ok_or(short)?;
            let port = u16::from_be_bytes([high, low]);
            Ok(Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port)))
        }
        // Unspecified, datagrams, Unix sockets: there is no address for us.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Ok(None),
        _ => Err("its address family is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header is read as, and what is left behind it.
    async fn read_text(header: &[u8]) -> (Result<Option<String>, String>, Vec<u8>) {
        let sent = [header, b"GET /"].concat();
        let mut stream = sent.as_slice();
        let read = read(&mut stream).await;
        let read = read.map(|peer| peer.map(|peer| peer.to_string()));
        (read.map_err(|error| error.to_string()), stream.to_vec())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn the_clients_address_is_read_and_not_a_byte_more() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];
        let tlvs = [&v4[..], &[0x02, 0, 3], b"a.b", &[0x04, 0, 1, 0]].concat();
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[32], v6[33]) = (0x20, 0x01, 7, 0x01, 0xbb);
        let v4_client = Some("192.0.2.1:56324");
        let cases: [(Vec<u8>, Option<&str>); 11] = [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n".into(), v4_client),
            (b"PROXY TCP6 2001::7 ::1 443 80\r\n".into(), Some("[2001::7]:443")),
            (b"PROXY UNKNOWN\r\n".into(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".into(), None),
            (v2(0x21, 0x11, &v4), v4_client),
            (v2(0x21, 0x11, &tlvs), v4_client),
            (v2(0x21, 0x21, &v6), Some("[2001::7]:443")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0x00, b""), None),
            (v2(0x21, 0x31, &[b'/'; 216]), None),
            (v2(0x21, 0x00, b"whatever"), None),
        ];
        for (header, expected) in cases {
            let (found, left) = read_text(&header).await;
            assert_eq!(found, Ok(expected.map(str::to_owned)), "{}", header.escape_ascii());
            assert_eq!(left, b"GET /", "{}", header.escape_ascii());
        }
    }

    #[tokio::test]
    async fn what_is_no_header_of_a_proxy_is_an_error() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let cases: [(Vec<u8>, &str); 14] = [
            (b"GET / HTTP/1.1\r\n".into(), "find a PROXY header"),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03x".into(), "find a PROXY header"),
            (long.into(), "longer than 107 bytes"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n".into(), "a port is none"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 70000\r\n".into(), "a port is none"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".into(), "a port is none"),
            (b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n".into(), "an address is none"),
            (b"PROXY TCP4 ::1 ::1 1 2\r\n".into(), "another family"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".into(), "behind the ports"),
            (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".into(), "neither of TCP4"),
            (v2(0x11, 0x11, &[0; 12]), "version is not 2"),
            (v2(0x22, 0x11, &[0; 12]), "command is unknown"),
            (v2(0x21, 0x21, &[0; 35]), "too short"),
            (v2(0x21, 0x00, &[0; V2_BYTES_MAX + 1]), "longer than 4 KiB"),
        ];
        for (header, expected) in cases {
            let error = read_text(&header).await.0.unwrap_err();
            assert!(error.contains(expected), "{}: {error}", header.escape_ascii());
        }
        let cut = read(&mut &b"PROXY TCP4 1.2.3.4"[..]).await.unwrap_err();
        assert!(matches!(cut, Error::Read(_)), "{cut}");
    }
}
