//! The last snapshot on disk, sealed: a gateway starts from it when the control plane is away.
//!
//! The key is derived from the gateway's own token, so the file is worth nothing without it.

use crate::boot::replace_private_file;
use anyhow::{Context, bail};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use gantry_model::snapshot::SnapshotSource;
use std::path::PathBuf;

/// First bytes of the file: what it is, and the version of the envelope. A file of sections is
/// read by every release that knows them, whatever their entries hold.
const MAGIC: &[u8; 8] = b"gantrys2";

pub(super) struct SnapshotFile {
    path: PathBuf,
    key: LessSafeKey,
}

impl SnapshotFile {
    /// # Errors
    /// When no key can be made, which no token causes.
    pub(super) fn new(path: PathBuf, token: &str) -> anyhow::Result<Self> {
        let material = format!("gantry snapshot file\0{token}");
        let digest = digest::digest(&digest::SHA256, material.as_bytes());
        let key = UnboundKey::new(&AES_256_GCM_SIV, digest.as_ref())
            .map_err(|_| anyhow::anyhow!("make the snapshot file's key"))?;
        Ok(Self { path, key: LessSafeKey::new(key) })
    }

    /// The snapshot, or `None` when there is no file yet.
    ///
    /// # Errors
    /// When the file is damaged or was sealed with another token.
    pub(super) fn read(&self) -> anyhow::Result<Option<SnapshotSource>> {
        let mut sealed = match std::fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("read {}", self.path.display()));
            }
        };
        let head = MAGIC.len() + NONCE_LEN;
        let Some((head, body)) = sealed.split_at_mut_checked(head) else {
            bail!("{} is damaged; delete it", self.path.display());
        };
        let nonce = head
            .strip_prefix(MAGIC)
            .and_then(|nonce| Nonce::try_assume_unique_for_key(nonce).ok())
            .with_context(|| format!("{} is no snapshot file", self.path.display()))?;
        let plain = self.key.open_in_place(nonce, Aad::from(MAGIC), body).map_err(|_| {
            anyhow::anyhow!("{} was sealed with another token; delete it", self.path.display())
        })?;
        Ok(Some(serde_json::from_slice(plain)?))
    }

    /// Replaces the file whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, snapshot: &SnapshotSource) -> anyhow::Result<()> {
        let mut nonce = [0u8; NONCE_LEN];
        gantry_runtime::ids::random_bytes(&mut nonce)?;
        let mut body = serde_json::to_vec(snapshot)?;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(MAGIC),
                &mut body,
            )
            .map_err(|_| anyhow::anyhow!("seal the snapshot"))?;
        replace_private_file(&self.path, &[MAGIC.as_slice(), &nonce, &body])
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
        let snapshot = SnapshotSource { secrets, ..Default::default() };
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
