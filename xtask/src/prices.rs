//! `cargo xtask prices`: writes the price catalogue from an open data package. Called by `main`.
//!
//! It reads an unpacked `genai-prices` package and never the network, so that an import is
//! repeatable; `docs/prices.md` has the commands. It refuses what it does not understand, because
//! a price dropped in silence is a wrong bill.

mod compare;
mod import;
mod patterns;
mod python;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gantry_kinds::price::{PriceCatalogue, provider_map};

/// The one release that is imported; a newer one is a change here and in
/// `crates/gantry-kinds/data/prices.requirements.txt`.
const PACKAGE: &str = "genai-prices";
const VERSION: &str = "0.2.3";
/// Day on which that release was published.
const PUBLISHED: &str = "2026-11-10";

/// Arguments of `cargo xtask prices`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder that the package was installed into, with `genai_prices/` in it.
    #[arg(long, required_unless_present = "compare")]
    from: Option<PathBuf>,
    /// Write nothing; print what is different and missing here beside the catalogues that the
    /// packages in this folder carry (litellm, tokencost).
    #[arg(long, value_name = "FOLDER", conflicts_with = "from")]
    compare: Option<PathBuf>,
    /// Write nothing; fail when the file in the repository differs.
    #[arg(long)]
    check: bool,
    /// The file to write.
    #[arg(long, default_value = "crates/gantry-kinds/data/prices.tsv")]
    to: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.compare {
        return compare::run(folder);
    }
    let from = args.from.as_deref().context("--from names no folder")?;
    ensure_version(from)?;
    let source = from.join("genai_prices/data.py");
    let text = std::fs::read_to_string(&source)
        .with_context(|| format!("failed to read {}", source.display()))?;
    let providers = python::assigned(&text, "providers")?;
    let wanted: BTreeSet<&str> = provider_map().map(|(_, theirs)| theirs).collect();
    let imported = import::run(&providers, &wanted)?;
    let catalogue = format!("{}{}", header(), imported.text);
    let checked = PriceCatalogue::new(&catalogue)?;
    println!(
        "{} models ({} without a price for tokens, {} rates rounded) from {PACKAGE} {VERSION}",
        checked.models(),
        imported.unpriced,
        imported.rounded
    );
    if args.check {
        let present = std::fs::read_to_string(&args.to)?;
        ensure!(present == catalogue, "{} differs from the package", args.to.display());
        return Ok(());
    }
    std::fs::write(&args.to, catalogue)
        .with_context(|| format!("failed to write {}", args.to.display()))
}

/// The package's own metadata must name the pinned release.
fn ensure_version(from: &Path) -> anyhow::Result<()> {
    let metadata = from.join(format!("genai_prices-{VERSION}.dist-info/METADATA"));
    let text = std::fs::read_to_string(&metadata).with_context(|| {
        format!("failed to read {}; {PACKAGE} {VERSION} is needed", metadata.display())
    })?;
    let found = text.lines().find_map(|line| line.strip_prefix("Version: "));
    ensure!(found == Some(VERSION), "found {PACKAGE} {found:?}, expected {VERSION}");
    Ok(())
}

fn header() -> String {
    format!(
        "# Public prices of model calls. Written by `cargo xtask prices`: do not edit.\n\
         # Source: {PACKAGE} {VERSION} of PyPI, published {PUBLISHED}.\n\
         # Copyright (c) Pydantic Services Inc. 2025 to present. MIT licence; its text is in\n\
         # docs/prices.md, which also describes this format.\n\
         # Columns: provider, model, patterns of names, prices in dollars for a million tokens.\n\
         %release {PACKAGE}-{VERSION}\n"
    )
}
