//! Envelope encryption: the master key seals one data key per tenant, which seals the values.
//!
//! Only this crate calls it. It must never write a key or a clear value anywhere but into the
//! returned buffers.
//!
//! A sealed value is text: `gs1.KEYID.BASE64URL(nonce ‖ ciphertext ‖ tag)`, AES-256-GCM-SIV
//! (RFC 8452, which stays safe should a nonce ever repeat). `gs1` is the version of the format,
//! `KEYID` names the key without telling anything about it. What the value belongs to is bound as
//! associated data, so that a value moved to another row does not open.

use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gantry_model::secret::Secret;
use gantry_runtime::digest::sha256_hex;
use gantry_runtime::ids::random_bytes;
use std::fmt;
use zeroize::Zeroizing;

const VERSION: &str = "gs1";

/// Length of master and data keys, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// A key that seals and opens values.
pub(crate) struct Sealer {
    id: String,
    key: LessSafeKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.id)
    }
}

impl Sealer {
    pub(crate) fn new(bytes: &[u8; KEY_LEN]) -> Result<Self, Error> {
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, bytes).map_err(|_| Error::Random)?;
        let mut named = Zeroizing::new(b"gantry key id\0".to_vec());
        named.extend_from_slice(bytes);
        let id = sha256_hex(&named).chars().take(8).collect();
        Ok(Self { id, key: LessSafeKey::new(unbound) })
    }

    /// Seals `clear` as the value of `what`, which must be given again to open it.
    pub(crate) fn seal(&self, what: &str, clear: &[u8]) -> Result<String, Error> {
        let mut nonce = [0u8; NONCE_LEN];
        random_bytes(&mut nonce)?;
        let mut buffer = Zeroizing::new(clear.to_vec());
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(what.as_bytes()),
                &mut *buffer,
            )
            .map_err(|_| Error::Unsealable { what: what.to_owned() })?;
        let body = [&nonce[..], &buffer[..]].concat();
        Ok(format!("{VERSION}.{}.{}", self.id, URL_SAFE_NO_PAD.encode(body)))
    }

    pub(crate) fn open(&self, what: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let damaged = || Error::Unsealable { what: what.to_owned() };
        let mut parts = sealed.splitn(3, '.');
        let (version, id, body) = (parts.next(), parts.next(), parts.next());
        if version != Some(VERSION) {
            return Err(damaged());
        }
        if id != Some(self.id.as_str()) {
            return Err(Error::WrongMasterKey {
                what: what.to_owned(),
                have: self.id.clone(),
                want: id.unwrap_or_default().to_owned(),
            });
        }
        let body = URL_SAFE_NO_PAD.decode(body.unwrap_or_default()).map_err(|_| damaged())?;
        let (nonce, sealed) = body.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(what.as_bytes()), &mut buffer)
            .map_err(|_| damaged())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    pub(crate) fn open_text(&self, what: &str, sealed: &str) -> Result<Secret, Error> {
        let clear = self.open(what, sealed)?;
        let text =
            std::str::from_utf8(&clear).map_err(|_| Error::Unsealable { what: what.to_owned() })?;
        Ok(Secret::new(text))
    }

    pub(crate) fn open_key(&self, what: &str, sealed: &str) -> Result<Self, Error> {
        let clear = self.open(what, sealed)?;
        let bytes = <&[u8; KEY_LEN]>::try_from(clear.as_slice())
            .map_err(|_| Error::Unsealable { what: what.to_owned() })?;
        Self::new(bytes)
    }
}

/// What a tenant's sealed data key is bound to.
pub(crate) fn data_key_of(tenant: &str) -> String {
    format!("data key of tenant {tenant}")
}

/// A new random key.
pub(crate) fn random_key() -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let mut bytes = Zeroizing::new([0u8; KEY_LEN]);
    random_bytes(&mut *bytes)?;
    Ok(bytes)
}

/// Reads a key that an operator gave as text: 64 hex digits, or base64 of 32 bytes.
///
/// # Errors
/// A sentence that says what was found, without showing it.
pub(crate) fn parse_key(text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, String> {
    let text = text.trim();
    let bytes = if text.len() == 2 * KEY_LEN {
        decode_hex(text)
    } else {
        let padless = text.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(padless).or_else(|_| STANDARD.decode(text)).ok()
    };
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| {
        format!(
            "expected 32 bytes as base64 or as 64 hex digits, found {} characters of text; \
             `openssl rand -base64 32` makes one",
            text.len()
        )
    })
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    digits.map(|d| d.chunks_exact(2).map(|pair| pair.iter().fold(0, |a, d| a << 4 | d)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_that_was_moved_or_changed() {
        let sealer = Sealer::new(&[7; KEY_LEN]).unwrap();
        let sealed = sealer.seal("a", b"clear").unwrap();
        assert_eq!(sealer.open("a", &sealed).unwrap().as_slice(), b"clear");
        assert!(matches!(sealer.open("b", &sealed), Err(Error::Unsealable { .. })));
        let mut damaged = sealed.clone();
        damaged.replace_range(damaged.len() - 2.., "AA");
        assert!(matches!(sealer.open("a", &damaged), Err(Error::Unsealable { .. })));
        for bad in ["", "gs1", "gs2.x.y"] {
            assert!(sealer.open("a", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_both_keys_when_the_wrong_one_is_used() {
        let (one, two) = (Sealer::new(&[1; 32]).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let sealed = one.seal("tenant t", b"clear").unwrap();
        let error = two.open("tenant t", &sealed).unwrap_err().to_string();
        assert!(error.contains(&one.id) && error.contains(&two.id), "{error}");
    }

    #[test]
    fn reads_operator_keys_in_hex_and_base64_and_never_shows_a_bad_one() {
        let bytes = [0xab; 32];
        for text in ["ab".repeat(32), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
            assert_eq!(*parse_key(&text).unwrap(), bytes, "{text}");
        }
        let problem = parse_key("hunter2").unwrap_err();
        assert!(problem.contains("32 bytes") && !problem.contains("hunter2"), "{problem}");
    }
}
