//! `cargo xtask codegen`: writes the files that are generated from code, or checks that they are
//! as the code would write them.
//!
//! Today these are the JSON Schemas of all manifest kinds in `schemas/`, which editors use to
//! complete manifests, and `docs/records.md`. A file in `schemas/` that no kind produces is
//! removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use gantry_kinds::registry::Registry;

use crate::{records_page, workspace};

/// Arguments of `cargo xtask codegen`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail when a file is not as it would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Generates or checks.
///
/// # Errors
/// When a file cannot be read or written, and with `--check` when one is out of date.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    records_page(args.check)?;
    let folder = workspace::root().join("schemas");
    let stale = stale(&wanted()?, &present(&folder)?);
    if stale.is_empty() {
        return Ok(());
    }
    if args.check {
        let names = stale.into_keys().collect::<Vec<_>>().join(", ");
        bail!("schemas/ is out of date ({names}): run `cargo xtask codegen`");
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (name, text) in stale {
        write(&folder.join(&name), text.as_deref())?;
        println!("schemas/{name}: {}", if text.is_some() { "written" } else { "removed" });
    }
    Ok(())
}

/// Writes or checks the page on the fields of a record.
fn records_page(check: bool) -> anyhow::Result<()> {
    let path = workspace::root().join(records_page::PATH);
    let text = records_page::text();
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    if check {
        bail!("{} is out of date: run `cargo xtask codegen`", records_page::PATH);
    }
    write(&path, Some(&text))?;
    println!("{}: written", records_page::PATH);
    Ok(())
}

/// File names and texts as the code would write them.
fn wanted() -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for file in gantry_kinds::schema::files::all(&Registry::standard()) {
        let text = serde_json::to_string_pretty(&file.json)
            .with_context(|| format!("print the schema {}", file.file_name))?;
        files.insert(file.file_name, text + "\n");
    }
    Ok(files)
}

/// File names and texts as they lie in the folder; none when there is no folder.
fn present(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, text);
    }
    Ok(files)
}

/// Files that differ, with the text they should have; `None` where they should not be there.
fn stale(
    wanted: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
) -> BTreeMap<String, Option<String>> {
    let changed = wanted.iter().filter(|(name, text)| present.get(*name) != Some(text));
    let changed = changed.map(|(name, text)| (name.clone(), Some(text.clone())));
    let left = present.keys().filter(|name| !wanted.contains_key(*name));
    changed.chain(left.map(|name| (name.clone(), None))).collect()
}

fn write(path: &Path, text: Option<&str>) -> anyhow::Result<()> {
    let done = match text {
        Some(text) => fs::write(path, text),
        None => fs::remove_file(path),
    };
    done.with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn writes_what_changed_and_removes_what_is_left_over() {
        let wanted = files(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let present = files(&[("a", "1"), ("b", "old"), ("d", "4")]);
        let stale = stale(&wanted, &present);
        let stale: Vec<_> = stale.iter().map(|(n, t)| (n.as_str(), t.as_deref())).collect();
        assert_eq!(stale, [("b", Some("2")), ("c", Some("3")), ("d", None)]);
    }
}
