//! Calls and macros that are banned in some places only, which clippy's lists cannot express.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::sources::Source;

/// Macros that write to the terminal; libraries use `tracing`.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];

/// A banned call: the last segments of its path, where it is allowed, and what to do instead.
struct Call {
    path: &'static [&'static str],
    allowed: fn(&Source, bool) -> bool,
    instead: &'static str,
}

/// The second argument of `allowed` tells whether the call stands in test code.
const CALLS: &[Call] = &[
    Call {
        path: &["thread", "sleep"],
        allowed: |source, _| is_tool(source),
        instead: "it blocks a thread of the runtime: wait for an event or for the clock",
    },
    Call {
        path: &["time", "sleep"],
        allowed: |source, test| !test || is_testkit(source) || has_paused_time(source),
        instead: "a sleep in a test is a defect: wait for what you expect, on paused time",
    },
    Call {
        path: &["process", "exit"],
        allowed: |source, _| source.is_program(),
        instead: "it skips destructors: return an error to `main`",
    },
    Call {
        path: &["env", "var"],
        allowed: |source, test| test || reads_environment(source),
        instead: "the environment is read once at boot: take the value as a parameter",
    },
    Call {
        path: &["env", "vars"],
        allowed: |source, test| test || reads_environment(source),
        instead: "the environment is read once at boot: take the values as a parameter",
    },
    Call {
        path: &["env", "set_var"],
        allowed: |_, _| false,
        instead: "it races with every other thread: take the value as a parameter",
    },
    Call {
        path: &["rand", "rng"],
        allowed: |_, _| false,
        instead: "randomness is injected: take a seed",
    },
    Call {
        path: &["rand", "random"],
        allowed: |_, _| false,
        instead: "randomness is injected: take a seed",
    },
];

fn is_testkit(source: &Source) -> bool {
    source.path.starts_with("crates/gantry-testkit/")
}

/// Tests on paused time pass a sleep at once; it only says how far the clock goes.
fn has_paused_time(source: &Source) -> bool {
    source.text.contains("start_paused = true") || source.text.contains("time::pause()")
}

/// Programs for developers, which have no runtime to block.
fn is_tool(source: &Source) -> bool {
    let tool = ["xtask/", "bench/"].iter().any(|folder| source.path.starts_with(folder));
    tool || source.path.contains("/examples/")
}

fn reads_environment(source: &Source) -> bool {
    source.is_program() || source.path.starts_with("crates/gantry-runtime/")
}

/// Checks one file.
pub(super) fn check(source: &Source, found: &mut Vec<Finding>) {
    let Some(tree) = &source.tree else { return };
    Calls { source, found, in_test: source.is_test() }.visit_file(tree);
}

/// Walks the paths and macros of a file.
struct Calls<'a> {
    source: &'a Source,
    found: &'a mut Vec<Finding>,
    in_test: bool,
}

impl<'ast> Visit<'ast> for Calls<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let outer = self.in_test;
        self.in_test = outer || is_test_only(&item.attrs);
        visit::visit_item_mod(self, item);
        self.in_test = outer;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let banned = CALLS.iter().find(|call| ends_with(path, call.path));
        if let Some(call) = banned.filter(|call| !(call.allowed)(self.source, self.in_test)) {
            let advice = format!("`{}`: {}", call.path.join("::"), call.instead);
            self.found.push(self.source.finding(path.span().start().line, "banned-call", advice));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let prints = PRINTING.iter().find(|name| call.path.is_ident(name));
        if let Some(name) = prints.filter(|_| !self.in_test && !self.source.is_program()) {
            let advice = format!("`{name}!` in a library: log an event with `tracing`");
            self.found.push(self.source.finding(call.span().start().line, "printing", advice));
        }
        visit::visit_macro(self, call);
    }
}

/// Whether a path ends in these segments.
fn ends_with(path: &syn::Path, segments: &[&str]) -> bool {
    let mut have = path.segments.iter().rev();
    segments.iter().rev().all(|want| have.next().is_some_and(|segment| segment.ident == want))
}

/// Whether an item is compiled for tests only.
pub(super) fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::testing::{rust_at, seen};

    #[test]
    fn finds_banned_calls_where_they_are_banned() {
        let library = "crates/gantry-gateway/src/x.rs";
        let test = "crates/gantry-gateway/tests/it/main.rs";
        let cases = [
            (library, "fn f() {\nstd::thread::sleep(d) }", Some(("banned-call", 2))),
            (library, "async fn f() { tokio::time::sleep(d).await }", None),
            (test, "async fn f() { tokio::time::sleep(d).await }", Some(("banned-call", 1))),
            (library, "#[cfg(test)] mod t { fn f() { time::sleep(d) } }", Some(("banned-call", 1))),
            (library, "fn f() { std::env::var(\"A\") }", Some(("banned-call", 1))),
            ("crates/gantry-runtime/src/boot.rs", "fn f() { std::env::var(\"A\") }", None),
            (test, "/* start_paused = true */ fn f() { time::sleep(d) }", None),
            (library, "fn f() { println!(\"a\") }", Some(("printing", 1))),
            (test, "fn f() { println!(\"a\") }", None),
            ("crates/gantry/src/main.rs", "fn f() { println!(\"a\") }", None),
            (library, "fn f() { sleep_well(); process::run() }", None),
        ];
        for (path, text, expected) in cases {
            let mut found = Vec::new();
            check(&rust_at(path, text), &mut found);
            assert_eq!(seen(&found), Vec::from_iter(expected), "{path}: {text}");
        }
    }
}
