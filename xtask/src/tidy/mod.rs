//! `cargo xtask tidy`: the house rules that neither rustc nor clippy can see.
//!
//! `main` and `check` call it. Each rule is one file that turns sources, the crate graph or
//! documents into findings. There is no exemption list: a rule that is wrong is changed for all.
//! It reads only; it never reaches the network once the dependencies are there.

mod banned;
mod circles;
mod docs;
mod edges;
mod finding;
mod graph;
mod licence;
mod modules;
mod packages;
mod size;
mod sources;
mod text;
mod values;

use anyhow::bail;

use self::finding::Finding;
use crate::workspace;

/// Arguments of `cargo xtask tidy`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Prints every finding as `file:line: rule: what to do`.
///
/// # Errors
/// When there is a finding, and when the sources or the crate graph cannot be read.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy has 1 finding"),
        many => bail!("tidy has {many} findings"),
    }
}

/// All findings, sorted by file and line.
fn findings() -> anyhow::Result<Vec<Finding>> {
    let root = workspace::root();
    let sources = sources::collect(&root)?;
    let graph = graph::load(&root)?;
    let mut found = Vec::new();
    for source in &sources {
        size::check(source, &mut found);
        text::check(source, &mut found);
        banned::check(source, &mut found);
        docs::check_links(source, &mut found);
    }
    values::check(&sources, &mut found);
    circles::check(&sources, &mut found);
    docs::check_architecture(&sources, &graph, &mut found);
    edges::check(&graph, &mut found);
    packages::check(&graph, &mut found);
    found.sort();
    found.dedup();
    Ok(found)
}
