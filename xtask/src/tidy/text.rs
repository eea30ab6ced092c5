//! Rules on what stands in a file: module docs, left-over markers, silenced lints, ignored tests.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::sources::{Language, Source};

/// Marks of work that was left, spelled so that this file does not hold them.
const MARKERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// A module doc of fewer words says nothing.
const MODULE_DOC_WORDS_MIN: usize = 3;

/// Checks one file.
pub(super) fn check(source: &Source, found: &mut Vec<Finding>) {
    check_markers(source, found);
    if source.language == Language::Rust {
        check_module_doc(source, found);
    }
    if let Some(tree) = &source.tree {
        Attributes { source, found }.visit_file(tree);
    }
}

fn check_markers(source: &Source, found: &mut Vec<Finding>) {
    for (index, line) in source.text.lines().enumerate() {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let marker = words.into_iter().find(|word| MARKERS.contains(word));
        if let Some(marker) = marker {
            let advice = format!("{marker} in the tree: do it, or file an issue and take it out");
            found.push(source.finding(index + 1, "leftover", advice));
        }
    }
}

fn check_module_doc(source: &Source, found: &mut Vec<Finding>) {
    let doc = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    let words = doc.flat_map(str::split_whitespace).count();
    if words < MODULE_DOC_WORDS_MIN {
        let advice = "start the file with a `//!` doc: what it is for, who calls it, what it must \
                      never do";
        found.push(source.finding(1, "module-doc", advice.to_owned()));
    }
}

/// Walks the attributes of a file.
struct Attributes<'a> {
    source: &'a Source,
    found: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Attributes<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let line = attribute.span().start().line;
        if attribute.path().is_ident("ignore") && !is_run_otherwise(attribute) {
            let advice = "an ignored test proves nothing: make it pass or delete it; the process \
                          that another test starts says `runs only as the child of NAME`, a test \
                          for `./dev test` alone says `runs on PostgreSQL`";
            self.found.push(self.source.finding(line, "ignored-test", advice.to_owned()));
        }
        if silences_without_reason(attribute) {
            let advice = "say why: `#[expect(lint, reason = \"...\")]`";
            self.found.push(self.source.finding(line, "reason", advice.to_owned()));
        }
        visit::visit_attribute(self, attribute);
    }
}

/// Whether an ignored test is run all the same: as the process that another one starts, or by
/// `cargo xtask check` where there is a PostgreSQL.
fn is_run_otherwise(attribute: &syn::Attribute) -> bool {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return false };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(reason), .. }) = &pair.value else {
        return false;
    };
    let reason = reason.value();
    reason.starts_with("runs only as the child of ") || reason == "runs on PostgreSQL"
}

fn silences_without_reason(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let tokens = list.tokens.to_string();
    let silences = list.path.is_ident("allow") || list.path.is_ident("expect");
    let conditional = list.path.is_ident("cfg_attr")
        && tokens.split([' ', ',']).any(|word| word == "allow" || word == "expect");
    (silences || conditional) && !tokens.contains("reason =")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::testing::{rust, seen};

    #[test]
    fn finds_missing_docs_markers_and_silenced_lints() {
        let doc = "//! What it is for.\n";
        let cases: &[(String, &[(&str, usize)])] = &[
            (format!("{doc}fn f() {{}}"), &[]),
            ("fn f() {}".to_owned(), &[("module-doc", 1)]),
            ("//! Placeholder.\nfn f() {}".to_owned(), &[("module-doc", 1)]),
            (format!("{doc}// {}: later", MARKERS[0]), &[("leftover", 2)]),
            (format!("{doc}// a{}b", MARKERS[0]), &[]),
            (format!("{doc}#[allow(dead_code)]\nfn f() {{}}"), &[("reason", 2)]),
            (format!("{doc}#[expect(dead_code, reason = \"x\")]\nfn f() {{}}"), &[]),
            (format!("{doc}#[cfg_attr(a, allow(b))]\nfn f() {{}}"), &[("reason", 2)]),
            (format!("{doc}#![allow(dead_code)]"), &[("reason", 2)]),
            (format!("{doc}#[test]\n#[ignore]\nfn f() {{}}"), &[("ignored-test", 3)]),
            (format!("{doc}#[ignore = \"slow\"]\nfn f() {{}}"), &[("ignored-test", 2)]),
            (format!("{doc}#[ignore = \"runs only as the child of x\"]\nfn f() {{}}"), &[]),
            (format!("{doc}#[ignore = \"runs on PostgreSQL\"]\nfn f() {{}}"), &[]),
        ];
        for (text, expected) in cases {
            let mut found = Vec::new();
            check(&rust(text), &mut found);
            assert_eq!(seen(&found), *expected, "{text}");
        }
    }
}
