//! The crate graph: edges and licences from `cargo metadata`, cut down to the packages that
//! `cargo tree` says are in use.
//!
//! `Cargo.lock` and the metadata also list packages behind features that nothing turns on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The platforms that Gantry is built for; what only others need is not looked at.
const PLATFORMS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// Workspace crates and every package that they resolve to.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) packages: BTreeMap<String, Package>,
    /// Ids of the crates of this repository.
    pub(super) members: Vec<String>,
}

/// One package.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// Ids of what it needs to run or to build.
    pub(super) needs: Vec<String>,
    /// Ids of what only its tests need.
    pub(super) needs_for_tests: Vec<String>,
    /// Whether `Cargo.toml` takes the lints of the workspace; members only.
    pub(super) has_workspace_lints: bool,
    /// Its `Cargo.toml`, from the root of the repository; members only.
    pub(super) manifest: String,
}

impl Graph {
    /// The crates of this repository.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// The name of a package, or its id when it is unknown.
    pub(super) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages.get(id).map_or(id, |package| package.name.as_str())
    }

    /// Names of everything that a package needs, directly or not, tests left out.
    pub(super) fn closure<'a>(&'a self, package: &'a Package) -> BTreeSet<&'a str> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = package.needs.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                let next = self.packages.get(id).into_iter().flat_map(|package| &package.needs);
                open.extend(next.map(String::as_str));
            }
        }
        seen.into_iter().map(|id| self.name(id)).collect()
    }
}

/// Asks cargo for the graph of the workspace at `root`.
///
/// # Errors
/// When cargo fails or answers with something else than its metadata format 1.
pub(super) fn load(root: &Path) -> anyhow::Result<Graph> {
    let metadata = cargo(root, &["metadata", "--format-version", "1"], "--filter-platform")?;
    let metadata: Metadata = serde_json::from_slice(&metadata).context("read cargo metadata")?;
    let tree = ["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none"];
    let tree = cargo(root, &tree, "--target")?;
    let mut graph = metadata.into_graph(&in_use(&String::from_utf8_lossy(&tree)));
    let root = format!("{}/", root.display());
    for package in graph.packages.values_mut() {
        package.manifest = package.manifest.replacen(&root, "", 1);
    }
    Ok(graph)
}

fn cargo(root: &Path, arguments: &[&str], platform_flag: &str) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(arguments).arg("--locked");
    for platform in PLATFORMS {
        command.args([platform_flag, platform]);
    }
    let output = command.output().context("start cargo")?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Names and versions from lines like `name v1.2.3 (where)`.
fn in_use(tree: &str) -> BTreeSet<(&str, &str)> {
    let split = |line| {
        let mut words = str::split_whitespace(line);
        Some((words.next()?, words.next()?.strip_prefix('v')?))
    };
    tree.lines().filter_map(split).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct MetadataPackage {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Metadata {
    fn into_graph(self, in_use: &BTreeSet<(&str, &str)>) -> Graph {
        let mut nodes: BTreeMap<String, Vec<Dependency>> =
            self.resolve.nodes.into_iter().map(|node| (node.id, node.deps)).collect();
        let mut packages = BTreeMap::new();
        for package in self.packages {
            let Some(deps) = nodes.remove(&package.id) else { continue };
            if !in_use.contains(&(package.name.as_str(), package.version.as_str())) {
                continue;
            }
            let member = self.workspace_members.contains(&package.id);
            let (id, package) = package.with(&deps, member);
            packages.insert(id, package);
        }
        Graph { packages, members: self.workspace_members }
    }
}

impl MetadataPackage {
    fn with(self, deps: &[Dependency], member: bool) -> (String, Package) {
        let is_dev = |dep: &&Dependency| {
            dep.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"))
        };
        let (tests, needs): (Vec<_>, Vec<_>) = deps.iter().partition(is_dev);
        let ids = |deps: Vec<&Dependency>| deps.into_iter().map(|dep| dep.pkg.clone()).collect();
        let package = Package {
            name: self.name,
            version: self.version,
            license: self.license,
            needs: ids(needs),
            needs_for_tests: ids(tests),
            has_workspace_lints: member && takes_workspace_lints(Path::new(&self.manifest_path)),
            manifest: self.manifest_path.replace('\\', "/"),
        };
        (self.id, package)
    }
}

fn takes_workspace_lints(manifest: &Path) -> bool {
    #[derive(Deserialize)]
    struct Manifest {
        lints: Option<Lints>,
    }
    #[derive(Deserialize)]
    struct Lints {
        workspace: Option<bool>,
    }
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    let manifest: Option<Manifest> = toml::from_str(&text).ok();
    manifest.and_then(|manifest| manifest.lints?.workspace).unwrap_or(false)
}

/// Helpers for the tests of the rules.
#[cfg(test)]
pub(super) mod testing {
    use super::{Graph, Package};

    /// A graph from `(name, needs, needs_for_tests)`; names are ids, the first `members` are ours.
    pub(in crate::tidy) fn graph(members: usize, edges: &[(&str, &[&str], &[&str])]) -> Graph {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let package = |(name, needs, tests): &(&str, &[&str], &[&str])| Package {
            name: (*name).to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT".to_owned()),
            needs: owned(needs),
            needs_for_tests: owned(tests),
            has_workspace_lints: true,
            manifest: format!("crates/{name}/Cargo.toml"),
        };
        Graph {
            packages: edges.iter().map(|edge| (edge.0.to_owned(), package(edge))).collect(),
            members: edges.iter().take(members).map(|edge| edge.0.to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_test_dependencies_from_others_and_leaves_unused_packages_out() {
        let text = r#"{
          "packages": [
            {"id": "a", "name": "a", "version": "1.0.0", "license": null, "manifest_path": ""},
            {"id": "b", "name": "b", "version": "1.0.0", "license": "MIT", "manifest_path": ""},
            {"id": "c", "name": "c", "version": "1.0.0", "license": "MIT", "manifest_path": ""},
            {"id": "d", "name": "d", "version": "1.0.0", "license": "MIT", "manifest_path": ""},
            {"id": "e", "name": "e", "version": "1.0.0", "license": "MIT", "manifest_path": ""}
          ],
          "workspace_members": ["a"],
          "resolve": {"nodes": [
            {"id": "a", "deps": [
              {"pkg": "b", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
              {"pkg": "c", "dep_kinds": [{"kind": "dev"}]}
            ]},
            {"id": "b", "deps": [{"pkg": "c", "dep_kinds": [{"kind": "build"}]}]},
            {"id": "c", "deps": []},
            {"id": "e", "deps": []}
          ]}
        }"#;
        let tree = "a v1.0.0 (/x)\nb v1.0.0\nc v1.0.0 (*)\n\ne v2.0.0\n";
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        let graph = metadata.into_graph(&in_use(tree));
        let a = &graph.packages["a"];
        assert_eq!(a.needs, ["b"]);
        assert_eq!(a.needs_for_tests, ["c"]);
        assert_eq!(graph.closure(a), BTreeSet::from(["b", "c"]));
        assert_eq!(graph.packages.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
