//! What is spoken on a port, as the boot configuration says it: TLS, HTTP/2, proxies.
//!
//! A role opens a [`Port`] at its start and hands it to [`accept`](super::accept) with the
//! listener. Nothing set means plain HTTP/1.1.

use super::forwarded::{self, ClientHeader};
use super::tls::{self, ServerTls};
use crate::http1::Fields;
use crate::networks::Networks;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of one port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortConfig {
    /// PEM file with the certificate, and those between it and the root behind it. With it the port
    /// speaks TLS only. Default: none.
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub tls_key_file: Option<PathBuf>,
    /// Speaks HTTP/2 too: by ALPN with TLS, with prior knowledge without. Default false.
    pub http2: bool,
    /// Each connection must begin with a PROXY header (version 1 or 2) of a trusted proxy. Default
    /// false.
    pub proxy_protocol: bool,
    /// Addresses and networks of the proxies that are believed about who their client is. Default:
    /// none.
    pub trusted_proxies: Networks,
    /// Where these proxies say it: `x-forwarded-for` (default) or `forwarded`.
    pub client_header: ClientHeader,
}

/// Why a port's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "set up TLS: `tls_cert_file` and `tls_key_file` go together, and `{missing}` is missing"
    )]
    Half { missing: &'static str },
    #[error("set up TLS")]
    Tls(#[from] tls::Error),
    #[error(
        "use `proxy_protocol` without `trusted_proxies`: anybody could then say who he is; list \
         the proxies' addresses or networks there"
    )]
    NobodyTrusted,
}

impl PortConfig {
    /// Reads certificate and key, if there are any.
    ///
    /// # Errors
    /// When the files cannot be used, or settings do not go together.
    pub fn open(&self) -> Result<Port, Error> {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(Error::NobodyTrusted);
        }
        let tls = match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => Some(ServerTls::open(certificate, key, self.http2)?),
            (None, None) => None,
            (Some(_), None) => return Err(Error::Half { missing: "tls_key_file" }),
            (None, Some(_)) => return Err(Error::Half { missing: "tls_cert_file" }),
        };
        Ok(Port {
            tls,
            http2: self.http2,
            proxy_protocol: self.proxy_protocol,
            trusted_proxies: self.trusted_proxies.clone(),
            client_header: self.client_header,
        })
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert_file.is_some() { "https" } else { "http" }
    }
}

/// What a port speaks and whom it believes.
#[derive(Clone, Debug, Default)]
pub struct Port {
    pub tls: Option<ServerTls>,
    pub http2: bool,
    pub proxy_protocol: bool,
    pub trusted_proxies: Networks,
    pub client_header: ClientHeader,
}

impl Port {
    /// Whether a connection is HTTP/1.1 from its first byte on.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none() && !self.http2 && !self.proxy_protocol
    }

    /// Who sent a request that came on a connection from `peer`.
    #[inline]
    pub(super) fn client(&self, peer: Option<SocketAddr>, fields: &Fields) -> Option<SocketAddr> {
        if self.trusted_proxies.is_empty() {
            return peer;
        }
        peer.map(|peer| forwarded::client(peer, fields, self.client_header, &self.trusted_proxies))
    }
}
