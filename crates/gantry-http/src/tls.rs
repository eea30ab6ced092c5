//! TLS towards upstreams: rustls with the system's roots, and per-model exceptions.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, OnceLock};

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

/// The configuration for `settings`; the usual one is made once and shared.
///
/// # Errors
/// When `ca_cert` holds no certificate.
pub fn client_config(settings: Option<&TlsSettings>) -> Result<Arc<ClientConfig>, Error> {
    static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    match settings {
        Some(settings) if settings.reject_unauthorized == Some(false) => trusting(),
        Some(TlsSettings { ca_cert: Some(pem), .. }) => {
            let mut roots = system_roots();
            add_pem(&mut roots, pem)?;
            verified(roots)
        }
        _ => {
            if let Some(config) = USUAL.get() {
                return Ok(config.clone());
            }
            let config = verified(system_roots())?;
            Ok(USUAL.get_or_init(|| config).clone())
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

fn system_roots() -> RootCertStore {
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
