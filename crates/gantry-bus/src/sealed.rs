//! The last snapshot on disk, sealed: a gateway starts from it when the control plane is away.
//!
//! The key is derived from the gateway's own token, so the file is worth nothing without it.

use crate::format::{self, Snapshot};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use gantry_runtime::files::replace_private;
use std::io;
use std::path::PathBuf;

/// First bytes of the file: what it is, and the version of the envelope. A file of sections is
/// read by every release that knows them, whatever their entries hold.
const MAGIC: &[u8; 8] = b"gantrys2";

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("make the snapshot file's key")]
    Key,
    #[error("read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("use {path}: it is damaged; delete it")]
    Damaged { path: PathBuf },
    #[error("use {path}: it is no snapshot file")]
    Foreign { path: PathBuf },
    #[error("use {path}: it was sealed with another token; delete it")]
    OtherToken { path: PathBuf },
    #[error("understand the snapshot in {path}")]
    Content { path: PathBuf, source: serde_json::Error },
    #[error("seal the snapshot")]
    Seal,
    #[error("write {path}")]
    Write { path: PathBuf, source: io::Error },
}

/// The file of one gateway.
pub struct SnapshotFile {
    path: PathBuf,
    key: LessSafeKey,
}

impl SnapshotFile {
    /// # Errors
    /// When no key can be made, which no token causes.
    pub fn new(path: PathBuf, token: &str) -> Result<Self, Error> {
        let material = format!("gantry snapshot file\0{token}");
        let digest = digest::digest(&digest::SHA256, material.as_bytes());
        let key = UnboundKey::new(&AES_256_GCM_SIV, digest.as_ref()).map_err(|_| Error::Key)?;
        Ok(Self { path, key: LessSafeKey::new(key) })
    }

    /// The snapshot, or `None` when there is no file yet.
    ///
    /// # Errors
    /// When the file is damaged or was sealed with another token.
    pub fn read(&self) -> Result<Option<Snapshot>, Error> {
        let path = || self.path.clone();
        let mut sealed = match std::fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path: path(), source }),
        };
        let head = MAGIC.len() + NONCE_LEN;
        let Some((head, body)) = sealed.split_at_mut_checked(head) else {
            return Err(Error::Damaged { path: path() });
        };
        let nonce = head
            .strip_prefix(MAGIC)
            .and_then(|nonce| Nonce::try_assume_unique_for_key(nonce).ok())
            .ok_or_else(|| Error::Foreign { path: path() })?;
        let plain = self.key.open_in_place(nonce, Aad::from(MAGIC), body);
        let plain = plain.map_err(|_| Error::OtherToken { path: path() })?;
        let content = |source| Error::Content { path: path(), source };
        Ok(Some(format::read(plain).map_err(content)?))
    }

    /// Replaces the file whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut nonce = [0u8; NONCE_LEN];
        gantry_runtime::ids::random_bytes(&mut nonce).map_err(|_| Error::Seal)?;
        let mut body = format::write(snapshot)
            .map_err(|source| Error::Content { path: self.path.clone(), source })?;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(MAGIC),
                &mut body,
            )
            .map_err(|_| Error::Seal)?;
        replace_private(&self.path, &[MAGIC.as_slice(), &nonce, &body])
            .map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::secret::Secret;
    use gantry_model::snapshot::Secrets;

    #[test]
    fn seals_what_it_writes_and_opens_it_with_the_same_token_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot.sealed");
        let file = SnapshotFile::new(path.clone(), "tfy_a").unwrap();
        assert!(file.read().unwrap().is_none());
        let values = [("env://K".to_owned(), Secret::new("sk-very-secret"))].into();
        let secrets = Secrets::new(values, &|_| "digest".to_owned());
        let snapshot = Snapshot { secrets, ..Default::default() };
        file.write(&snapshot).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(14).any(|part| part == b"sk-very-secret"));
        let back = file.read().unwrap().unwrap();
        assert_eq!(back.secrets.get("env://K").unwrap().expose(), "sk-very-secret");
        let other = SnapshotFile::new(path.clone(), "tfy_b").unwrap();
        assert!(other.read().unwrap_err().to_string().contains("another token"));
        std::fs::write(&path, b"short").unwrap();
        assert!(file.read().unwrap_err().to_string().contains("damaged"));
    }
}
