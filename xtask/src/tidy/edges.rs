//! Which crate may depend on which: the map of the house as data.
//!
//! An edge that is not here is a decision: add it with a page in `docs/decisions/`.

use super::finding::Finding;
use super::graph::{Graph, Package};

/// Crates of this repository and the ones each may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gantry-model", &[]),
    ("gantry-kinds", &["gantry-model"]),
    ("gantry-llm", &["gantry-model", "gantry-kinds"]),
    ("gantry-runtime", &["gantry-model"]),
    ("gantry-http", &["gantry-model", "gantry-runtime"]),
    ("gantry-cloud", &["gantry-model", "gantry-runtime", "gantry-http"]),
    (
        "gantry-providers",
        &["gantry-model", "gantry-llm", "gantry-runtime", "gantry-http", "gantry-cloud"],
    ),
    ("gantry-telemetry", &["gantry-model", "gantry-runtime", "gantry-http"]),
    ("gantry-bus", &["gantry-model", "gantry-runtime", "gantry-http", "gantry-telemetry"]),
    (
        "gantry-lake",
        &["gantry-model", "gantry-runtime", "gantry-http", "gantry-cloud", "gantry-telemetry"],
    ),
    (
        "gantry-gateway",
        &[
            "gantry-model",
            "gantry-llm",
            "gantry-runtime",
            "gantry-http",
            "gantry-providers",
            "gantry-telemetry",
        ],
    ),
    ("gantry-store", &["gantry-model", "gantry-runtime"]),
    ("gantry-control", &["gantry-model", "gantry-kinds", "gantry-runtime", "gantry-store"]),
    (
        "gantry",
        &[
            "gantry-model",
            "gantry-kinds",
            "gantry-llm",
            "gantry-runtime",
            "gantry-http",
            "gantry-cloud",
            "gantry-providers",
            "gantry-telemetry",
            "gantry-bus",
            "gantry-lake",
            "gantry-gateway",
            "gantry-store",
            "gantry-control",
        ],
    ),
    ("gantry-testkit", &["gantry-model", "gantry-kinds"]),
    ("gantry-bench", &[]),
    ("xtask", &["gantry-model", "gantry-kinds", "gantry-testkit"]),
];

/// The one crate that tests may use everywhere, beside what their crate may use anyway.
const FOR_TESTS: &str = "gantry-testkit";

/// Packages with one home each, so that nothing else learns of them.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["gantry", "xtask"]),
    ("arrow", &["gantry-lake"]),
    ("axum", &["gantry-control"]),
    ("clap", &["gantry", "xtask"]),
    ("datafusion", &["gantry-lake"]),
    ("object_store", &["gantry-lake"]),
    ("opentelemetry-proto", &["gantry-telemetry"]),
    ("parquet", &["gantry-lake"]),
    ("sqlx", &["gantry-store"]),
];

/// Packages that others bring along and that our own code does not use, with what it uses.
const NOT_OURS: &[(&str, &str)] =
    &[("chrono", "`time`"), ("lazy_static", "`std::sync::LazyLock`"), ("rand", "an injected seed")];

/// Crates that are pure, and what must not be anywhere below them.
const PURE: &[&str] = &["gantry-model", "gantry-kinds", "gantry-llm"];
const IMPURE: &[&str] = &["tokio", "hyper", "mio", "socket2", "async-trait", "futures-util"];

/// Checks the edges between our crates and to the packages with a home.
pub(super) fn check(graph: &Graph, found: &mut Vec<Finding>) {
    for member in graph.members() {
        check_ours(graph, member, found);
        check_homes(graph, member, found);
        check_purity(graph, member, found);
        if !member.has_workspace_lints {
            let advice = "add `[lints]` with `workspace = true`".to_owned();
            found.push(finding(member, "workspace-lints", advice));
        }
    }
}

fn check_ours(graph: &Graph, member: &Package, found: &mut Vec<Finding>) {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == member.name) else {
        let advice = format!("`{}` is not in the map: add it to `tidy/edges.rs`", member.name);
        found.push(finding(member, "crate-edge", advice));
        return;
    };
    let ours = |id: &&String| graph.members.contains(id);
    let bad = member.needs.iter().filter(ours).map(|id| graph.name(id));
    let bad = bad.filter(|name| !allowed.contains(name));
    let tests = member.needs_for_tests.iter().filter(ours).map(|id| graph.name(id));
    let tests = tests.filter(|name| !allowed.contains(name) && *name != FOR_TESTS);
    for name in bad.chain(tests) {
        let advice = format!("`{}` must not depend on `{name}`", member.name);
        found.push(finding(member, "crate-edge", advice));
    }
}

fn check_homes(graph: &Graph, member: &Package, found: &mut Vec<Finding>) {
    for id in &member.needs {
        let name = graph.name(id);
        let home = HOMES.iter().find(|(package, _)| *package == name).map(|(_, homes)| homes);
        if let Some(homes) = home.filter(|homes| !homes.contains(&member.name.as_str())) {
            let advice = format!("`{name}` belongs to {} alone: ask that crate", homes.join(", "));
            found.push(finding(member, "crate-edge", advice));
        }
        if let Some((_, instead)) = NOT_OURS.iter().find(|(package, _)| *package == name) {
            let advice = format!("`{name}` is not for our own code: use {instead}");
            found.push(finding(member, "crate-edge", advice));
        }
    }
}

fn check_purity(graph: &Graph, member: &Package, found: &mut Vec<Finding>) {
    if !PURE.contains(&member.name.as_str()) {
        return;
    }
    for name in graph.closure(member).into_iter().filter(|name| IMPURE.contains(name)) {
        let advice = format!("`{}` is pure, but `{name}` is below it", member.name);
        found.push(finding(member, "crate-edge", advice));
    }
}

fn finding(member: &Package, rule: &'static str, advice: String) -> Finding {
    Finding { file: member.manifest.clone(), line: 1, rule, advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::testing::graph;

    #[track_caller]
    fn assert_advice(graph: &Graph, expected: &[&str]) {
        let mut found = Vec::new();
        check(graph, &mut found);
        let advice: Vec<_> = found.iter().map(|finding| finding.advice.as_str()).collect();
        assert_eq!(advice, expected);
    }

    #[test]
    fn allows_the_edges_of_the_map_only() {
        let model = ("gantry-model", &[][..], &[][..]);
        let good = graph(2, &[model, ("gantry-store", &["gantry-model"], &[])]);
        assert_advice(&good, &[]);
        let planes = graph(
            3,
            &[
                model,
                ("gantry-control", &["gantry-gateway"], &[]),
                ("gantry-gateway", &["gantry-model"], &["gantry-control"]),
            ],
        );
        let expected = [
            "`gantry-control` must not depend on `gantry-gateway`",
            "`gantry-gateway` must not depend on `gantry-control`",
        ];
        assert_advice(&planes, &expected);
        let unknown = graph(1, &[("gantry-new", &[], &[])]);
        assert_advice(&unknown, &["`gantry-new` is not in the map: add it to `tidy/edges.rs`"]);
    }

    #[test]
    fn keeps_packages_in_their_homes_and_pure_crates_pure() {
        let sql = graph(1, &[("gantry-control", &["sqlx"], &[]), ("sqlx", &[], &[])]);
        assert_advice(&sql, &["`sqlx` belongs to gantry-store alone: ask that crate"]);
        let impure = graph(
            1,
            &[("gantry-llm", &["h2"], &["tokio"]), ("h2", &["tokio"], &[]), ("tokio", &[], &[])],
        );
        assert_advice(&impure, &["`gantry-llm` is pure, but `tokio` is below it"]);
        let tests_only = graph(1, &[("gantry-llm", &[], &["tokio"]), ("tokio", &[], &[])]);
        assert_advice(&tests_only, &[]);
    }
}
