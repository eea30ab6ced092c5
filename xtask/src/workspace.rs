//! Where the repository lies, for every xtask command.

use std::path::{Path, PathBuf};

/// The root folder of the repository.
///
/// It is known at compile time: xtask is built where it is used.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
