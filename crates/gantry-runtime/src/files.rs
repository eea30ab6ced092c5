//! Files that hold secrets: replaced whole, for their owner only.
//!
//! Whoever keeps a snapshot or credentials on disk uses it. It never leaves half a file in the
//! place of a whole one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file by `parts`, one after the other, so that an end at any moment leaves the one or
/// the other. It is made for its owner only.
///
/// # Errors
/// When it cannot be written.
pub fn replace_private(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let begun = path.with_extension("part");
    let mut file = create(&begun)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    std::fs::rename(&begun, path)
}

/// Opens a file for writing anew, readable by its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
