//! No two files take from each other, over others neither: each can be read, and moved, with what
//! stands below it alone.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::modules::Modules;
use super::sources::Source;

/// Checks all files together.
pub(super) fn check(sources: &[Source], found: &mut Vec<Finding>) {
    let modules = Modules::of(sources);
    let edges = modules.edges();
    for from in edges.keys() {
        for to in edges.get(from).into_iter().flatten() {
            let mut seen = BTreeSet::from([*to]);
            let mut open = vec![*to];
            while let Some(next) = open.pop() {
                let further = edges.get(next).into_iter().flatten();
                open.extend(further.filter(|module| seen.insert(module)));
            }
            let (Some(source), Some(other)) = (modules.source(from), modules.source(to)) else {
                continue;
            };
            if seen.contains(from) {
                let advice = format!(
                    "takes from `{}`, which takes from it in turn: let both take from a third",
                    other.path
                );
                found.push(source.finding(1, "circle", advice));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sources::Language;
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| {
            Source::new(path, Language::Rust, (*text).to_owned(), ".".into())
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        let mut found = Vec::new();
        check(&sources, &mut found);
        found.iter().map(|finding| finding.file.clone()).collect()
    }

    #[test]
    fn finds_files_that_take_from_each_other_by_whatever_way() {
        let lib = ("c/src/lib.rs", "mod a; mod b; mod d;");
        let direct = [lib, ("c/src/a.rs", "use crate::b::B;"), ("c/src/b.rs", "use super::a;")];
        assert_eq!(findings(&direct), ["c/src/a.rs", "c/src/b.rs"]);
        let by_path = [
            lib,
            ("c/src/a.rs", "fn f() { crate::b::f(); }"),
            ("c/src/b.rs", "use crate::d::{self, D};"),
            ("c/src/d/mod.rs", "fn f(a: super::a::A) {}"),
        ];
        assert_eq!(findings(&by_path).len(), 3);
        let handed_on = [
            ("c/src/lib.rs", "mod a; mod b; mod d;"),
            ("c/src/a.rs", "use crate::d::B;"),
            ("c/src/b.rs", "use crate::a::A;"),
            ("c/src/d.rs", "pub(crate) use crate::b::B;"),
        ];
        assert_eq!(findings(&handed_on), ["c/src/a.rs", "c/src/b.rs"]);
    }

    #[test]
    fn takes_a_module_and_its_parts_for_one_and_leaves_tests_out() {
        let files = [
            ("c/src/lib.rs", "mod a; use a::A; struct Root;"),
            ("c/src/a.rs", "mod part; use part::P; use crate::Root; use crate::b::B;"),
            ("c/src/a/part.rs", "use super::Q; use crate::b::B;"),
            ("c/src/b.rs", "use std::fmt; #[cfg(test)] mod tests { use crate::a::A; }"),
            ("e/src/lib.rs", "mod a; mod b;"),
            ("e/src/a.rs", "use c::b::B;"),
        ];
        assert_eq!(findings(&files), Vec::<String>::new());
    }
}
