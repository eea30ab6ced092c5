//! `serde_json::Value` only where unknown fields are carried through. Tests may use it.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::banned::is_test_only;
use super::finding::Finding;
use super::sources::Source;

/// The pass-through places: a file, or a module with its file and its folder, and why its fields
/// are not ours to know.
const PLACES: &[(&str, &str)] = &[
    ("crates/gantry-control/src/apply.rs", "manifests of any kind"),
    ("crates/gantry-control/src/forget.rs", "rows of any kind"),
    ("crates/gantry-control/src/http", "bodies carry manifests of any kind"),
    ("crates/gantry-control/src/manifests.rs", "manifests of any kind"),
    ("crates/gantry-control/src/opaque.rs", "rows of kinds that are not known"),
    ("crates/gantry-control/src/rows.rs", "rows of any kind"),
    ("crates/gantry-lake/src/convert.rs", "fields of a record that have no column"),
    ("crates/gantry-kinds/src/kind", "manifests of any kind"),
    ("crates/gantry-kinds/src/kinds/provider_account", "JSON Schema and fields spelled otherwise"),
    ("crates/gantry-kinds/src/kinds/virtual_model", "override_params belong to the upstream"),
    ("crates/gantry-model/src/rest.rs", "bodies carry manifests of any kind"),
    ("crates/gantry-kinds/src/manifest/json.rs", "manifests of any kind"),
    ("crates/gantry-kinds/src/registry.rs", "manifests of any kind"),
    ("crates/gantry-kinds/src/schema", "JSON Schema is JSON"),
    ("crates/gantry/src/cli/manifests.rs", "manifests of any kind"),
    ("crates/gantry/src/cli/yaml.rs", "prints manifests of any kind"),
    ("crates/gantry/src/roles/discovery.rs", "manifests of any provider"),
];

/// Checks all files together: a place that no longer needs its line is a finding too.
pub(super) fn check(sources: &[Source], found: &mut Vec<Finding>) {
    check_places(sources, PLACES, found);
}

fn check_places(sources: &[Source], places: &[(&str, &str)], found: &mut Vec<Finding>) {
    let mut used = vec![false; places.len()];
    for source in sources.iter().filter(|source| !source.is_test()) {
        let Some(tree) = &source.tree else { continue };
        let mut uses = Uses { lines: Vec::new() };
        uses.visit_file(tree);
        let place = places.iter().position(|(path, _)| is_inside(&source.path, path));
        if let Some(flag) = place.and_then(|index| used.get_mut(index)) {
            *flag |= !uses.lines.is_empty();
            continue;
        }
        found.extend(uses.lines.into_iter().map(|line| {
            let advice = "`serde_json::Value` carries unknown fields through and nothing else: \
                          give the fields a type";
            source.finding(line, "json-value", advice.to_owned())
        }));
    }
    for ((path, _), _) in places.iter().zip(used).filter(|(_, used)| !used) {
        let advice = "no `serde_json::Value` there: take its line out of `tidy/values.rs`";
        let (file, advice) = ((*path).to_owned(), advice.to_owned());
        found.push(Finding { file, line: 1, rule: "json-value", advice });
    }
}

fn is_inside(path: &str, place: &str) -> bool {
    let rest = path.strip_prefix(place);
    rest.is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// Collects the lines that name `serde_json::Value` or `serde_json::Map`.
struct Uses {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_use_path(&mut self, tree: &'ast syn::UsePath) {
        if tree.ident == "serde_json" && imports_value(&tree.tree) {
            self.lines.push(tree.span().start().line);
        }
        visit::visit_use_path(self, tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter().map(|segment| segment.ident.to_string());
        let is_json = segments.next().is_some_and(|first| first == "serde_json");
        if is_json && segments.next().is_some_and(|second| is_value(&second)) {
            self.lines.push(path.span().start().line);
        }
        visit::visit_path(self, path);
    }
}

fn is_value(name: &str) -> bool {
    name == "Value" || name == "Map"
}

fn imports_value(tree: &syn::UseTree) -> bool {
    match tree {
        syn::UseTree::Name(name) => is_value(&name.ident.to_string()),
        syn::UseTree::Rename(name) => is_value(&name.ident.to_string()),
        syn::UseTree::Path(path) => is_value(&path.ident.to_string()),
        syn::UseTree::Group(group) => group.items.iter().any(imports_value),
        syn::UseTree::Glob(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::testing::{rust, rust_at, seen};

    #[test]
    fn finds_values_outside_their_places() {
        let cases: &[(&str, &[(&str, usize)])] = &[
            ("struct A { b: serde_json::Value }", &[("json-value", 1)]),
            ("\nuse serde_json::Value;", &[("json-value", 2)]),
            ("use serde_json::{Deserializer, value::RawValue, Map};", &[("json-value", 1)]),
            ("use serde_json::value::RawValue;", &[]),
            ("struct A { b: crate::Value }", &[]),
            ("#[cfg(test)] mod tests { use serde_json::Value; }", &[]),
        ];
        for (text, expected) in cases {
            let mut found = Vec::new();
            check_places(&[rust(text)], &[], &mut found);
            assert_eq!(seen(&found), *expected, "{text}");
        }
    }

    #[test]
    fn a_place_may_hold_values_and_must_hold_one() {
        let places: &[(&str, &str)] = &[("crates/a/src/pass", "it passes through")];
        let check_text = |text: &str| {
            let mut found = Vec::new();
            check_places(&[rust_at("crates/a/src/pass/x.rs", text)], places, &mut found);
            found
        };
        assert_eq!(check_text("use serde_json::Value;"), []);
        for (path, inside) in [("a/pass", true), ("a/pass.rs", true), ("a/passage.rs", false)] {
            assert_eq!(is_inside(path, "a/pass"), inside, "{path}");
        }
        assert_eq!(seen(&check_text("use serde::Serialize;")), [("json-value", 1)]);
    }
}
