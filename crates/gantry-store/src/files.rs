//! The store's files: data directory, master key, lock. Everything is for the owner's eyes only.

use crate::Error;
use crate::seal::{self, KEY_LEN};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const DATABASE: &str = "gantry.db";
const MASTER_KEY: &str = "master.key";
const LOCK: &str = "gantry.lock";

/// Creates the directory (0700) if it is not there.
pub(crate) fn directory(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Directory { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}

/// Takes the lock that keeps a second process out; held until the returned file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let failed = |source| Error::Directory { path: dir.to_owned(), source };
    let file = owner_only().create(true).truncate(false).open(dir.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The database file's path; the file exists afterwards, 0600. SQLite gives its `-wal` and `-shm`
/// files the permissions of the main file.
pub(crate) fn database(dir: &Path) -> Result<PathBuf, Error> {
    let path = dir.join(DATABASE);
    owner_only()
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| Error::Directory { path: path.clone(), source })?;
    Ok(path)
}

/// Reads the master key file, or makes one when `create` allows it.
///
/// It is not made beside an existing database: that would hide that the key was lost.
pub(crate) fn master_key(dir: &Path, create: bool) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let path = dir.join(MASTER_KEY);
    let problem = |problem: String| Error::MasterKey { path: path.clone(), problem };
    match File::open(&path) {
        Ok(mut file) => {
            let mode = file.metadata().map_err(|e| problem(e.to_string()))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(problem(format!(
                    "others may read it (mode {:03o}); run `chmod 600 {}`",
                    mode & 0o777,
                    path.display()
                )));
            }
            let mut text = Zeroizing::new(String::new());
            file.read_to_string(&mut text).map_err(|e| problem(e.to_string()))?;
            seal::parse_key(&text).map_err(problem)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
            let key = seal::random_key()?;
            write_key(&path, &key).map_err(|e| problem(e.to_string()))?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(problem(
            "the file is missing, and the database beside it was sealed with it; restore it, or \
             set GANTRY_MASTER_KEY"
                .to_owned(),
        )),
        Err(error) => Err(problem(error.to_string())),
    }
}

fn write_key(path: &Path, key: &[u8; KEY_LEN]) -> std::io::Result<()> {
    use base64::Engine;
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key));
    let mut file = owner_only().create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
