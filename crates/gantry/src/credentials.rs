//! Address and token that a control plane leaves in its data directory for the commands on the
//! same machine.

use anyhow::Context;
use gantry_runtime::files::replace_private;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Address and token of a control plane.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Credentials {
    pub(crate) host: String,
    pub(crate) token: String,
}

/// Where they lie below a data directory.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

/// What was left there; `None` also when it is unreadable.
pub(crate) fn read(data_dir: &Path) -> Option<Credentials> {
    serde_json::from_slice(&std::fs::read(path(data_dir)).ok()?).ok()
}

/// Leaves them, for their owner's eyes only.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(data_dir: &Path, credentials: &Credentials) -> anyhow::Result<()> {
    let path = path(data_dir);
    let bytes = serde_json::to_vec_pretty(credentials)?;
    if std::fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    replace_private(&path, &[&bytes]).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn they_are_replaced_whole_and_only_when_they_changed() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let leave = |host: &str| {
            let credentials = Credentials { host: host.to_owned(), token: "tfy_first".to_owned() };
            write(dir.path(), &credentials).unwrap();
        };
        let inode = || std::fs::metadata(path(dir.path())).unwrap().ino();
        assert!(read(dir.path()).is_none());
        leave("http://127.0.0.1:7100");
        // A second name keeps the old file's inode from being used again.
        std::fs::hard_link(path(dir.path()), dir.path().join("old")).unwrap();
        let before = inode();
        leave("http://127.0.0.1:7100");
        assert_eq!(inode(), before);
        leave("http://127.0.0.1:7200");
        assert_ne!(inode(), before, "another file in its place");
        let saved = read(dir.path()).unwrap();
        assert!(saved.host.ends_with(":7200") && saved.token == "tfy_first");
        assert!(!path(dir.path()).with_extension("part").exists());
    }
}
