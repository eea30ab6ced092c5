//! The text files of the repository, Rust ones parsed: what the rules of tidy look at.
//!
//! Build outputs and what git ignores by folder are left out. It never writes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::finding::Finding;

/// Folders that hold nothing anybody wrote here.
const SKIPPED_FOLDERS: &[&str] = &["target", "node_modules", "__pycache__", ".pytest_cache"];

/// Dot folders that do hold our files.
const DOT_FOLDERS: &[&str] = &[".cargo", ".ci", ".github"];

/// What a file is written in; rules choose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    /// Python, JavaScript and shell.
    Script,
    Markdown,
    /// Configuration: TOML and YAML.
    Config,
}

/// One text file.
pub(super) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) language: Language,
    pub(super) text: String,
    /// The syntax tree; `None` for other languages and for Rust that does not parse.
    pub(super) tree: Option<syn::File>,
    /// Folder that relative links start from.
    pub(super) folder: PathBuf,
}

impl Source {
    /// A source from its text; a Rust file that does not parse is a finding of rustc, not of tidy.
    pub(super) fn new(path: &str, language: Language, text: String, folder: PathBuf) -> Self {
        let tree = match language {
            Language::Rust => syn::parse_file(&text).ok(),
            Language::Script | Language::Markdown | Language::Config => None,
        };
        Self { path: path.to_owned(), language, text, tree, folder }
    }

    /// A finding in this file.
    pub(super) fn finding(&self, line: usize, rule: &'static str, advice: String) -> Finding {
        Finding { file: self.path.clone(), line, rule, advice }
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.starts_with("crates/gantry-testkit/")
    }

    /// Whether the file belongs to a program rather than to a library.
    pub(super) fn is_program(&self) -> bool {
        self.path.starts_with("crates/gantry/")
            || self.path.starts_with("xtask/")
            || self.path.starts_with("bench/")
            || self.path.contains("/src/bin/")
            || self.path.contains("/examples/")
            || self.path.ends_with("/build.rs")
    }
}

/// Reads all text files below `root`, sorted by path.
///
/// # Errors
/// When a folder or a file cannot be read.
pub(super) fn collect(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type()?.is_dir();
            if is_folder && is_ours(&name) {
                folders.push(entry.path());
            } else if let Some(language) = language(&name, &folder).filter(|_| !is_folder) {
                found.push(read(root, &entry.path(), language)?);
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_ours(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && !DOT_FOLDERS.contains(&folder);
    !hidden && !SKIPPED_FOLDERS.contains(&folder)
}

fn language(name: &str, folder: &Path) -> Option<Language> {
    let in_ci = folder.file_name().is_some_and(|folder| folder == ".ci");
    if name == "dev" || (name == "run" && in_ci) {
        return Some(Language::Script);
    }
    match Path::new(name).extension()?.to_str()? {
        "rs" => Some(Language::Rust),
        "py" | "js" | "mjs" | "sh" | "ts" => Some(Language::Script),
        "md" => Some(Language::Markdown),
        "toml" | "yaml" | "yml" => Some(Language::Config),
        _ => None,
    }
}

fn read(root: &Path, path: &Path, language: Language) -> anyhow::Result<Source> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let folder = path.parent().unwrap_or(root).to_path_buf();
    Ok(Source::new(&relative, language, text, folder))
}

/// Helpers for the tests of the rules.
#[cfg(test)]
pub(super) mod testing {
    use super::{Finding, Language, PathBuf, Source};

    /// A Rust source of the gateway crate.
    pub(in crate::tidy) fn rust(text: &str) -> Source {
        rust_at("crates/gantry-gateway/src/x.rs", text)
    }

    /// A Rust source at a path.
    pub(in crate::tidy) fn rust_at(path: &str, text: &str) -> Source {
        let source = Source::new(path, Language::Rust, text.to_owned(), PathBuf::new());
        assert!(source.tree.is_some(), "the snippet does not parse:\n{text}");
        source
    }

    /// The rules and lines of findings.
    pub(in crate::tidy) fn seen(findings: &[Finding]) -> Vec<(&'static str, usize)> {
        findings.iter().map(|finding| (finding.rule, finding.line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_files_are_tests_and_which_are_programs() {
        let cases = [
            ("crates/gantry-llm/src/scan.rs", false, false),
            ("crates/gantry-llm/src/scan/tests.rs", true, false),
            ("crates/gantry-llm/tests/it/main.rs", true, false),
            ("crates/gantry-testkit/src/bin/mock-upstream.rs", true, true),
            ("crates/gantry/src/main.rs", false, true),
            ("xtask/src/main.rs", false, true),
        ];
        for (path, test, program) in cases {
            let source = Source::new(path, Language::Rust, String::new(), PathBuf::new());
            assert_eq!((source.is_test(), source.is_program()), (test, program), "{path}");
        }
    }

    #[test]
    fn reads_the_sources_of_this_repository_without_build_outputs() {
        let sources = collect(&crate::workspace::root()).unwrap();
        let paths: Vec<_> = sources.iter().map(|source| source.path.as_str()).collect();
        assert!(paths.contains(&"xtask/src/tidy/sources.rs"));
        assert!(!paths.iter().any(|path| path.starts_with("target/")));
    }
}
