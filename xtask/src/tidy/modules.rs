//! Which files of a crate take names from which others, as far as their paths say it.
//!
//! `circles` asks for it. A name that a module hands on (`pub use`) counts for the file that it
//! comes from. Test code is left out.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::banned::is_test_only;
use super::sources::Source;

/// Longest way through modules that hand a name on.
const HOPS_MAX: usize = 8;

/// A module: the folder of its crate, then the names from the crate's root on.
type Module = Vec<String>;

/// The files of all crates.
pub(super) struct Modules<'s> {
    sources: BTreeMap<Module, &'s Source>,
    names: BTreeMap<Module, Names>,
}

/// What one file names.
#[derive(Default)]
struct Names {
    /// Paths from the crate's root on.
    taken: BTreeSet<Module>,
    /// Names that are handed on, and where they come from.
    exports: BTreeMap<String, Module>,
}

impl<'s> Modules<'s> {
    pub(super) fn of(sources: &'s [Source]) -> Self {
        let code = sources.iter().filter(|source| !source.is_test());
        let sources: BTreeMap<Module, &Source> =
            code.filter_map(|source| Some((module(&source.path)?, source))).collect();
        let names = sources.iter().map(|(module, source)| {
            let mut reader = Reader { module, sources: &sources, names: Names::default() };
            source.tree.iter().for_each(|tree| reader.visit_file(tree));
            (module.clone(), reader.names)
        });
        Self { names: names.collect(), sources }
    }

    pub(super) fn source(&self, module: &Module) -> Option<&'s Source> {
        self.sources.get(module).copied()
    }

    /// From each module to those that it takes from. A module and the parts below it are one thing
    /// to others, so what they take from each other is left out.
    pub(super) fn edges(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let edges = self.names.iter().map(|(from, names)| {
            let targets = names.taken.iter().filter_map(|path| self.home(path));
            let apart = targets.filter(|to| !from.starts_with(to) && !to.starts_with(from));
            (from, apart.collect())
        });
        edges.collect()
    }

    /// The module in whose file the last name of a path stands.
    fn home(&self, path: &[String]) -> Option<&Module> {
        let mut path = path.to_vec();
        for _ in 0..HOPS_MAX {
            let mut at = path.len();
            while at > 0 && !path.get(..at).is_some_and(|prefix| self.names.contains_key(prefix)) {
                at -= 1;
            }
            let (module, names) = self.names.get_key_value(path.get(..at)?)?;
            match path.get(at).and_then(|name| names.exports.get(name)) {
                Some(origin) => path.clone_from(origin),
                None => return Some(module),
            }
        }
        None
    }
}

/// The module that a file holds.
fn module(path: &str) -> Option<Module> {
    let (folder, file) = path.strip_suffix(".rs")?.split_once("/src/")?;
    let file = file.strip_suffix("/mod").unwrap_or(file);
    let inner = file.split('/').filter(|_| !matches!(file, "lib" | "main"));
    Some(std::iter::once(folder).chain(inner).map(str::to_owned).collect())
}

struct Reader<'r> {
    module: &'r Module,
    sources: &'r BTreeMap<Module, &'r Source>,
    names: Names,
}

impl Reader<'_> {
    /// The same path from the crate's root on; `None` when it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => self.module.get(..1)?.to_vec(),
            "self" => self.module.clone(),
            "super" => self.module.split_last()?.1.to_vec(),
            child => {
                let part = [self.module.as_slice(), &[child.to_owned()]].concat();
                return self.sources.contains_key(&part).then(|| [part, rest.to_vec()].concat());
            }
        };
        while let Some(("super", after)) = rest.split_first().map(|(name, rest)| (&**name, rest)) {
            (base, rest) = (base.split_last()?.1.to_vec(), after);
        }
        Some([base, rest.to_vec()].concat())
    }

    fn take_use(&mut self, tree: &syn::UseTree, mut path: Vec<String>, exported: bool) {
        let (last, shown) = match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                return self.take_use(&inner.tree, path, exported);
            }
            syn::UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|item| self.take_use(item, path.clone(), exported));
            }
            syn::UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            syn::UseTree::Rename(name) => (name.ident.to_string(), name.rename.to_string()),
            syn::UseTree::Glob(_) => ("self".to_owned(), String::new()),
        };
        if last != "self" {
            path.push(last);
        }
        let Some(path) = self.absolute(&path) else { return };
        match exported {
            true => drop(self.names.exports.insert(shown, path)),
            false => drop(self.names.taken.insert(path)),
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.take_use(&item.tree, Vec::new(), exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let rooted = names.first().is_some_and(|name| matches!(&**name, "crate" | "super"));
        if let Some(path) = rooted.then(|| self.absolute(&names)).flatten() {
            self.names.taken.insert(path);
        }
        visit::visit_path(self, path);
    }
}
