//! TLS of a listener: certificate and key from files, read again when they change.
//!
//! A role opens it at the start and runs [`ServerTls::follow`]; handshakes take what is loaded at
//! that moment, and connections keep what they began with. A broken new file never replaces what
//! serves.

use crate::tls::provider;
use arc_swap::ArcSwap;
use gantry_runtime::tasks::Shutdown;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the files are looked at. Certificates are renewed days before they end.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Largest file that is read; chains have a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Protocols by ALPN.
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";
pub(super) const HTTP_2: &[u8] = b"h2";

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("read {path}: it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("read {path}: it must hold PEM certificates, the server's own first")]
    Certificate { path: PathBuf },
    #[error("read {path}: it must hold a private key in PEM (PKCS#8, PKCS#1 or SEC1)")]
    Key { path: PathBuf },
    #[error("use the key in {key} with the certificate in {certificate}")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("configure TLS")]
    Rustls(#[from] rustls::Error),
}

/// The TLS side of a listener; clones are the same one.
#[derive(Clone)]
pub struct ServerTls {
    files: Arc<Files>,
    pub(super) config: Arc<ServerConfig>,
}

/// Where certificate and key lie, and what of them is in use.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What the files held at the last look, usable or not.
    seen: Mutex<Contents>,
    current: ArcSwap<CertifiedKey>,
}

/// What both files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl ServerTls {
    /// Reads both files. `http2` offers HTTP/2 too. TLS 1.2 and 1.3; clients show no certificate.
    ///
    /// # Errors
    /// When a file cannot be read or used, or the two do not belong together.
    pub fn open(certificate: &Path, key: &Path, http2: bool) -> Result<Self, Error> {
        let contents = Contents { certificate: read(certificate)?, key: read(key)? };
        let current = ArcSwap::from_pointee(contents.certified(certificate, key)?);
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let files = Arc::new(Files { certificate, key, seen: Mutex::new(contents), current });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(files.clone());
        config.alpn_protocols = match http2 {
            true => vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()],
            false => vec![HTTP_1_1.to_vec()],
        };
        Ok(Self { files, config: Arc::new(config) })
    }

    /// Looks at the files now. Whether what they hold is new and in use from now on. What cannot be
    /// used is reported once, until the files change again.
    ///
    /// # Errors
    /// When they changed to what cannot be used; what was in use stays.
    pub fn reload(&self) -> Result<bool, Error> {
        self.files.reload()
    }

    /// Reads the files again when they change, until shutdown.
    pub async fn follow(self, shutdown: Shutdown) {
        let mut unreadable = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = shutdown.wait() => return,
            }
            let files = self.files.clone();
            let Ok(looked) = tokio::task::spawn_blocking(move || files.reload()).await else {
                return;
            };
            let cannot_read = matches!(looked, Err(Error::Read { .. } | Error::TooLarge { .. }));
            match looked {
                Ok(true) => tracing::info!(path = %self.path(), "certificate in use"),
                Ok(false) => {}
                // Files are away for as long as somebody replaces them; said once.
                Err(_) if unreadable && cannot_read => {}
                Err(error) => {
                    let error = gantry_runtime::errors::sentence(&error);
                    tracing::error!(error, "certificate refused, the one before stays in use");
                }
            }
            unreadable = cannot_read;
        }
    }

    fn path(&self) -> std::path::Display<'_> {
        self.files.certificate.display()
    }
}

impl Files {
    fn reload(&self) -> Result<bool, Error> {
        let contents = Contents { certificate: read(&self.certificate)?, key: read(&self.key)? };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents {
            return Ok(false);
        }
        let certified = contents.certified(&self.certificate, &self.key);
        *seen = contents;
        self.current.store(Arc::new(certified?));
        Ok(true)
    }
}

impl Contents {
    fn certified(&self, certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .ok_or_else(|| Error::Certificate { path: certificate.to_owned() })?;
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| Error::Key { path: key.to_owned() })?;
        CertifiedKey::from_der(chain, private, &provider()).map_err(|source| Error::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use io::Read as _;
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut contents = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut contents).map_err(failed)?;
    if contents.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(contents)
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({})", self.certificate.display())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerTls({})", self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("crt"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key"), made.signing_key.serialize_pem()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_are_found_without_being_asked_and_broken_ones_end_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let tls = ServerTls::open(&dir.path().join("crt"), &dir.path().join("key"), true).unwrap();
        let shutdown = Shutdown::default();
        let following = tls.clone().follow(shutdown.clone());
        let changes = async {
            let mut now = tls.files.current.load_full();
            for _ in 0..3 {
                std::fs::write(dir.path().join("key"), "broken").unwrap();
                tokio::time::sleep(LOOK_INTERVAL * 2).await;
                assert!(Arc::ptr_eq(&now, &tls.files.current.load_full()));
                std::fs::remove_file(dir.path().join("crt")).unwrap();
                tokio::time::sleep(LOOK_INTERVAL * 2).await;
                write(dir.path());
                tokio::time::sleep(LOOK_INTERVAL * 2).await;
                let next = tls.files.current.load_full();
                assert!(now.cert != next.cert);
                now = next;
            }
            shutdown.begin();
        };
        let all = async { tokio::join!(following, changes) };
        tokio::time::timeout(LOOK_INTERVAL * 30, all).await.expect("it did not end");
    }
}
