//! Makes tokens. A token leaves this process once, in the reply to who asked for it; only its
//! digest is stored.

use crate::Error;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use gantry_model::snapshot::JwtKey;
use gantry_runtime::ids::random_bytes;
use serde::Serialize;

/// Every opaque token begins with it; TrueFoundry's clients tell it from a JWT by that.
pub(crate) const PREFIX: &str = "tfy_";

/// Life of a JWT whose account states no end, in milliseconds: ten years. A JWT must have an end
/// (TrueFoundry's clients read `exp`); deleting the account ends it earlier.
pub(crate) const JWT_LIFE_MS: u64 = 10 * 365 * 24 * 3_600_000;

/// `tfy_` and 256 random bits in 43 base64url characters.
pub(crate) fn opaque() -> Result<Secret, Error> {
    let mut bytes = [0u8; 32];
    random_bytes(&mut bytes)?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// A random id: 32 hex digits.
pub(crate) fn id() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    random_bytes(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// What a JWT says. TrueFoundry's clients read `tenantName`, `exp`, `username` and `subjectType`
/// without checking the signature.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims<'a> {
    /// Id of the token's row.
    pub jti: &'a str,
    /// `virtualaccount:…` or `user:…`.
    pub sub: &'a str,
    pub tenant_name: &'a str,
    pub username: &'a str,
    /// `serviceaccount` or `user`.
    pub subject_type: &'a str,
    /// Seconds since the Unix epoch.
    pub iat: u64,
    /// Seconds since the Unix epoch.
    pub exp: u64,
}

/// Signs JWTs with Ed25519.
pub(crate) struct Signer {
    key: jsonwebtoken::EncodingKey,
    public: JwtKey,
    salt: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public.kid)
    }
}

impl Signer {
    /// A new key pair as the text that [`Signer::restore`] reads: PKCS #8 (RFC 5958) in base64.
    pub(crate) fn generate() -> Result<Secret, Error> {
        let failed = |_| Error::Internal("make an Ed25519 key pair".to_owned());
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let document = pair.to_pkcs8v1().map_err(failed)?;
        Ok(Secret::new(STANDARD.encode(document.as_ref())))
    }

    pub(crate) fn restore(text: &Secret) -> Result<Self, Error> {
        let bad = || Error::Internal("read the stored signing key".to_owned());
        let der = STANDARD.decode(text.expose()).map_err(|_| bad())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| bad())?;
        let public = pair.public_key().as_ref();
        let kid = gantry_store::sha256_hex(public).chars().take(16).collect();
        Ok(Self {
            key: jsonwebtoken::EncodingKey::from_ed_der(&der),
            public: JwtKey { kid, ed25519_x: URL_SAFE_NO_PAD.encode(public) },
            salt: gantry_store::sha256_hex(&[b"gantry digest salt\0".as_slice(), &der].concat()),
        })
    }

    pub(crate) fn public(&self) -> &JwtKey {
        &self.public
    }

    /// Stays the same for a tenant, and nobody else knows it.
    pub(crate) fn salt(&self) -> &str {
        &self.salt
    }

    pub(crate) fn sign(&self, claims: &Claims<'_>) -> Result<Secret, Error> {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some(self.public.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key)
            .map(Secret::new)
            .map_err(|error| Error::Internal(format!("sign a token: {error}")))
    }
}

/// Milliseconds to the seconds of JWT claims.
pub(crate) fn seconds(ms: UnixMs) -> u64 {
    ms / 1000
}
