//! Packages that must not be in the resolved tree, and licences that may be.

use super::finding::Finding;
use super::graph::Graph;
use super::licence;

/// Banned packages and what stands in for them.
const BANNED: &[(&str, &str)] = &[
    ("native-tls", "use `rustls` with `aws-lc-rs`"),
    ("openssl", "use `rustls` with `aws-lc-rs`"),
    ("openssl-sys", "use `rustls` with `aws-lc-rs`"),
    ("reqwest", "use the client of `gantry-http`"),
    ("ring", "use `aws-lc-rs`"),
    ("serde_yaml", "it is unmaintained: manifests are read with `saphyr-parser`"),
];

/// Licences that a package may be under.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks every package of the graph.
pub(super) fn check(graph: &Graph, found: &mut Vec<Finding>) {
    for (id, package) in &graph.packages {
        let (name, version) = (&package.name, &package.version);
        if let Some((_, instead)) = BANNED.iter().find(|(banned, _)| banned == name) {
            let by = needed_by(graph, id).join(", ");
            let advice = format!("`{name}` {version}, needed by {by}, is banned: {instead}");
            found.push(finding("banned-package", advice));
        }
        if let Err(reason) = licence::check(package.license.as_deref(), LICENCES) {
            let advice = format!("`{name}` {version}: {reason}");
            found.push(finding("licence", advice));
        }
    }
}

fn needed_by<'a>(graph: &'a Graph, id: &str) -> Vec<&'a str> {
    let needs = |needs: &[String]| needs.iter().any(|need| need == id);
    graph
        .packages
        .values()
        .filter(|package| needs(&package.needs) || needs(&package.needs_for_tests))
        .map(|package| package.name.as_str())
        .collect()
}

fn finding(rule: &'static str, advice: String) -> Finding {
    Finding { file: "Cargo.lock".to_owned(), line: 1, rule, advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::testing::graph;

    #[test]
    fn finds_banned_packages_and_says_who_needs_them() {
        let mut found = Vec::new();
        check(&graph(1, &[("gantry", &["rustls"], &[]), ("rustls", &[], &[])]), &mut found);
        assert_eq!(found, []);
        check(&graph(1, &[("gantry", &[], &["ring"]), ("ring", &[], &[])]), &mut found);
        let advice: Vec<_> = found.iter().map(|finding| finding.advice.as_str()).collect();
        assert_eq!(advice, ["`ring` 1.0.0, needed by gantry, is banned: use `aws-lc-rs`"]);
    }

    #[test]
    fn finds_licences_that_are_not_allowed() {
        let mut graph = graph(1, &[("gantry", &[], &[])]);
        graph.packages.get_mut("gantry").unwrap().license = Some("GPL-3.0-only".to_owned());
        let mut found = Vec::new();
        check(&graph, &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, "licence");
    }
}
