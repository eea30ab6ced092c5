//! What must not be in the build of the gateway alone.
//!
//! `cargo xtask check` calls it. It asks cargo for the tree and builds nothing.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::workspace;

/// How that build is chosen.
pub(crate) const SELECTION: [&str; 5] =
    ["--package", "gantry", "--no-default-features", "--features", "gateway"];

/// The lake and the store, and what makes them large.
const ABSENT: [&str; 6] =
    ["arrow", "datafusion", "gantry-control", "gantry-lake", "gantry-store", "sqlx"];

/// Checks the tree.
///
/// # Errors
/// Names the packages that have come in.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    command.args(["--format", "{p}"]).args(SELECTION).current_dir(workspace::root());
    let answer = command.output().context("start `cargo tree`")?;
    if !answer.status.success() {
        bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&answer.stderr));
    }
    let found = found(&String::from_utf8_lossy(&answer.stdout));
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "the build of the gateway alone has {} in it: `cargo tree {} --invert {}` says through \
         what; make that dependency optional, behind the feature `control-plane`",
        found.join(", "),
        SELECTION.join(" "),
        found.first().copied().unwrap_or_default()
    )
}

/// Packages of a tree that should be absent, each once.
fn found(tree: &str) -> Vec<&'static str> {
    let is_there =
        |package: &&str| tree.lines().any(|line| line.split(' ').next() == Some(package));
    ABSENT.into_iter().filter(is_there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_should_be_absent_by_its_whole_name() {
        let slim = "gantry v0.1.0 (/a)\ngantry-gateway v0.1.0 (/b)\narrowhead v1.0.0\n";
        assert!(found(slim).is_empty());
        let fat = format!("{slim}sqlx v0.9.0\nsqlx v0.9.0 (*)\ngantry-lake v0.1.0 (/c)\n");
        assert_eq!(found(&fat), ["gantry-lake", "sqlx"]);
    }
}
