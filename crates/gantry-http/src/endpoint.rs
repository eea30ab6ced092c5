//! An upstream's address, parsed once.

use crate::tls::TlsSettings;
use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Where to connect, and with which TLS settings.
#[derive(Clone)]
pub struct Endpoint {
    /// Equal for equal addresses and TLS settings; connections are shared by it.
    pub id: u64,
    /// Host and port as sent in the `host` header.
    pub authority: String,
    pub host: String,
    pub port: u16,
    /// Path of the base URL without a trailing slash; empty for none.
    pub base_path: String,
    pub tls: Option<Tls>,
}

/// What a TLS connection needs.
#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub server_name: ServerName<'static>,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{url}` is not a URL")]
    NotAUrl { url: String, source: http::uri::InvalidUri },
    #[error("`{url}` must begin with http:// or https://")]
    Scheme { url: String },
    #[error("`{url}` names no host")]
    Host { url: String },
    #[error("set up TLS")]
    Tls(#[from] crate::tls::Error),
}

impl Endpoint {
    /// Parses `url`, such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// When it is no absolute http(s) URL, or its certificates cannot be read.
    pub fn parse(url: &str, tls: Option<&TlsSettings>) -> Result<Self, Error> {
        let uri: Uri = url
            .trim_end_matches('/')
            .parse()
            .map_err(|source| Error::NotAUrl { url: url.to_owned(), source })?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Error::Scheme { url: url.to_owned() }),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::Host { url: url.to_owned() })?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let authority = authority.rsplit('@').next().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls_settings = tls.filter(|_| secure);
        let mut hasher = DefaultHasher::new();
        (secure, &host, port).hash(&mut hasher);
        if let Some(settings) = tls_settings {
            (settings.reject_unauthorized, &settings.ca_cert).hash(&mut hasher);
        }
        let tls = secure.then(|| tls_for(&host, tls_settings, url)).transpose()?;
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { id: hasher.finish(), authority, host, port, base_path, tls })
    }

    /// Scheme, host and port, for people.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

fn tls_for(host: &str, settings: Option<&TlsSettings>, url: &str) -> Result<Tls, Error> {
    let server_name =
        ServerName::try_from(host.to_owned()).map_err(|_| Error::Host { url: url.to_owned() })?;
    Ok(Tls { config: crate::tls::client_config(settings)?, server_name })
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_addresses_and_refuses_what_is_none() {
        let endpoint = Endpoint::parse("http://[::1]:8000/v1/", None).unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("::1", 8000));
        assert_eq!(endpoint.authority, "[::1]:8000");
        assert_eq!(endpoint.base_path, "/v1");
        let cases = [
            ("ftp://x", "`ftp://x` must begin with http:// or https://"),
            ("localhost:80/v1", "`localhost:80/v1` is not a URL"),
            ("/v1", "`/v1` must begin with http:// or https://"),
        ];
        for (url, message) in cases {
            assert_eq!(Endpoint::parse(url, None).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn credentials_in_a_url_are_not_kept() {
        let endpoint = Endpoint::parse("http://user:pass@host:81/v1", None).unwrap();
        assert_eq!(endpoint.authority, "host:81");
        assert!(!format!("{endpoint:?}").contains("pass"));
    }
}
