//! TLS towards upstreams: rustls with the system's roots, and per-model exceptions.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// Which certificates a server may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `false` accepts any certificate. Default true.
    pub reject_unauthorized: Option<bool>,
    /// PEM certificates trusted besides the system's.
    pub ca_cert: Option<String>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read `ca_cert`: it must hold PEM certificates")]
    CaCert,
    #[error("configure TLS")]
    Rustls(#[from] rustls::Error),
}

/// The configuration for `settings`. Equal settings share one for as long as somebody uses it, and
/// with it the TLS sessions, which thus outlive the publication of a snapshot.
///
/// # Errors
/// When `ca_cert` holds no certificate.
pub fn client_config(settings: Option<&TlsSettings>) -> Result<Arc<ClientConfig>, Error> {
    static USED: Mutex<Vec<(TlsSettings, Weak<ClientConfig>)>> = Mutex::new(Vec::new());
    static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let settings = match settings {
        Some(TlsSettings { reject_unauthorized: Some(false), .. }) => {
            TlsSettings { reject_unauthorized: Some(false), ca_cert: None }
        }
        Some(TlsSettings { ca_cert: Some(pem), .. }) => {
            TlsSettings { reject_unauthorized: None, ca_cert: Some(pem.clone()) }
        }
        _ => {
            if let Some(config) = USUAL.get() {
                return Ok(config.clone());
            }
            let config = verified(system_roots().clone())?;
            return Ok(USUAL.get_or_init(|| config).clone());
        }
    };
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = used.iter().find(|(known, _)| *known == settings);
    if let Some(config) = same.and_then(|(_, config)| config.upgrade()) {
        return Ok(config);
    }
    let config = special(&settings)?;
    used.retain(|(known, config)| *known != settings && config.strong_count() > 0);
    used.push((settings, Arc::downgrade(&config)));
    Ok(config)
}

/// One that is not the usual one.
fn special(settings: &TlsSettings) -> Result<Arc<ClientConfig>, Error> {
    match &settings.ca_cert {
        None => trusting(),
        Some(pem) => {
            let mut roots = system_roots().clone();
            add_pem(&mut roots, pem)?;
            verified(roots)
        }
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn verified(roots: RootCertStore) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn trusting() -> Result<Arc<ClientConfig>, Error> {
    let verifier = Arc::new(TrustAll(provider()));
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The system's roots, read once: hundreds of files on some systems.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(read_system_roots)
}

fn read_system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "some of the system's root certificates could not be read");
    }
    let (added, _ignored) = roots.add_parsable_certificates(loaded.certs);
    tracing::debug!(added, "system's root certificates loaded");
    roots
}

fn add_pem(roots: &mut RootCertStore, pem: &str) -> Result<(), Error> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| Error::CaCert)?;
    if certificates.is_empty() {
        return Err(Error::CaCert);
    }
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(())
}

/// For `reject_unauthorized: false`: any certificate will do, signatures are still checked.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_share_their_sessions_while_somebody_uses_them() {
        let lax = TlsSettings { reject_unauthorized: Some(false), ca_cert: None };
        let usual = TlsSettings { reject_unauthorized: Some(true), ca_cert: None };
        let broken = TlsSettings { ca_cert: Some("none".to_owned()), ..TlsSettings::default() };
        let config = |settings: &TlsSettings| client_config(Some(settings)).unwrap();
        let (one, other) = (config(&lax), config(&lax));
        assert!(Arc::ptr_eq(&one, &other));
        assert!(Arc::ptr_eq(&config(&usual), &client_config(None).unwrap()));
        assert!(!Arc::ptr_eq(&one, &config(&usual)));
        let unused = Arc::downgrade(&one);
        drop((one, other));
        assert!(unused.upgrade().is_none(), "kept for nobody");
        assert!(client_config(Some(&broken)).is_err());
        assert!(client_config(Some(&broken)).is_err());
    }
}
