//! Networks of IP addresses, such as `10.0.0.0/8`: which other side is trusted.
//!
//! Read from the boot configuration, asked by the server for each connection.

use serde::Deserialize;
use std::net::IpAddr;
use std::str::FromStr;

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(Vec<Network>);

/// One network. An IPv4 address and the IPv6 form of the same are one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many leading bits count.
    bits: u32,
}

/// Why a text is no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{found}` is no network: expected an address or a network such as 10.0.0.0/8 or fd00::/8")]
pub struct Error {
    found: String,
}

impl Networks {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.leading_zeros() >= self.bits
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error { found: text.to_owned() };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        // Digits only: the standard library takes a sign too.
        let digits = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            Some(bits) if digits(bits) => bits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
            None => most,
        };
        let canonical = address.to_canonical();
        match (bits <= most, canonical == address) {
            (true, true) => Ok(Self { address, bits }),
            // The IPv6 form of an IPv4 network: its first 96 bits are the same for all.
            (true, false) if bits >= 96 => Ok(Self { address: canonical, bits: bits - 96 }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = Error;

    fn try_from(texts: Vec<String>) -> Result<Self, Error> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_by_its_leading_bits() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.6", false),
            ("192.168.1.6/31", "192.168.1.7", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "8.8.8.8", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ];
        for (network, address, expected) in cases {
            let networks = Networks::try_from(vec![network.to_owned()]).unwrap();
            assert_eq!(networks.contain(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.0.0.0/33", "10.0.0/8", "::/129", "::ffff:10.0.0.0/95", "a/8", "1.2.3.4/+8"]
        {
            let error = Networks::try_from(vec![text.to_owned()]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}` is no network")), "{error}");
        }
    }
}
