//! What a kind of manifest is: the trait that each file of [`crate::kinds`] implements.
//!
//! Parsing, schemas, storing, lists, deletion, secrets and references are written once, over
//! [`Manifest`] and [`Row`]; nothing outside a kind's own file names the kind but the list
//! [`crate::kinds::KINDS`], and whoever needs its fields asks with [`Manifest::as_`]. It must know
//! no kind.

mod manifest;
mod reference;

pub use manifest::{Manifest, Row};
pub use reference::{Named, Reference};

use crate::manifest::checks::nearest;
use crate::manifest::tree::Step;
use crate::schema::build;
use gantry_model::secret::Secret;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;

/// Within what a kind's names are unique and its manifests lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole tenant.
    Tenant,
    /// One workspace of a tenant.
    Workspace,
}

/// A kind of manifest, implemented by the struct of its fields.
///
/// The struct reads and writes a manifest's JSON by serde, and its schema says what is allowed: a
/// manifest that passes the schema must be readable by the struct.
pub trait Kind:
    Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Debug + Send + Sync + 'static
{
    /// Part of the `type` before the slash. Kinds of one family share their names.
    const FAMILY: &'static str;
    /// Under which key a stored manifest lies, unlike that of any other kind. It never changes:
    /// rows of older releases have it.
    const STORED_AS: &'static str = Self::FAMILY;
    /// Last part of the path under which REST lists the family, `virtual-accounts`.
    const COLLECTION: &'static str;
    /// What it is, as one line for people.
    const TITLE: &'static str;
    const SCOPE: Scope = Scope::Tenant;
    /// A tenant (or workspace) has one of it at most.
    const SINGLE: bool = false;
    /// Kind of the subjects that its manifests are, when they are callers with tokens:
    /// `virtualaccount`.
    const SUBJECT: Option<&'static str> = None;
    /// Further spellings of `type`, each with the one that it stands for.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    /// All spellings of `type`, in the order of docs and lists.
    #[must_use]
    fn spellings() -> Vec<String> {
        vec![Self::FAMILY.to_owned()]
    }

    /// A valid manifest as YAML, for docs and tests. `kind` is one of the spellings.
    fn example(kind: &str) -> String;

    /// The JSON Schema for one of the spellings, with Gantry's own keywords, which begin with `x-`.
    /// The text of `type` is fixed by the caller.
    #[must_use]
    fn schema(kind: &str) -> Value {
        build::generate::<Self>(kind)
    }

    /// The manifest's `type`.
    fn kind(&self) -> &str {
        Self::FAMILY
    }

    /// The manifest's `name`, unique among its family.
    fn name(&self) -> &str;

    /// From the fields as authors spell them to those of the struct.
    fn respell_in(_fields: &mut Map<String, Value>) {}

    /// The reverse of [`Kind::respell_in`].
    fn respell_out(_fields: &mut Map<String, Value>) {}

    /// What is wrong within the manifest that a schema cannot say: the field and a message.
    fn check(&self) -> Vec<(Vec<Step>, String)> {
        Vec::new()
    }

    /// What the manifest names outside of itself: resources, models, callers, permissions.
    /// Validation looks for them, deletion refuses to leave one dangling, and the order of an
    /// apply follows them.
    fn references(&self) -> Vec<Reference<'_>> {
        Vec::new()
    }

    /// Calls `visit` with a lasting path and the value of every secret, a reference or a literal.
    /// The same walk finds references, seals literals and says what a manifest still needs.
    fn secrets(&mut self, _visit: &mut dyn FnMut(&str, &mut Secret)) {}

    /// Names of the models that callers reach through the manifest, as `name/model`.
    fn models(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What is wrong between manifests of this kind and all others; called once for a set that
    /// holds any of this kind.
    fn check_set(_set: &Set<'_>, _found: &mut Found) {}
}

/// What checks of a whole set find: position of the manifest, field, message.
pub type Found = Vec<(usize, Vec<Step>, String)>;

/// All manifests of a tenant as they would be after a change.
#[derive(Debug)]
pub struct Set<'a> {
    manifests: Vec<&'a Manifest>,
    /// The first of each family and name.
    names: HashMap<(&'static str, &'a str), &'a Manifest>,
    /// By `account/model`.
    models: BTreeSet<String>,
}

impl<'a> Set<'a> {
    #[must_use]
    pub fn new(manifests: Vec<&'a Manifest>) -> Self {
        let models = manifests.iter().flat_map(|manifest| {
            let id = |model: &str| format!("{}/{model}", manifest.name());
            manifest.models().into_iter().map(id).collect::<Vec<_>>()
        });
        let models = models.collect();
        let mut names = HashMap::new();
        for manifest in manifests.iter().copied() {
            names.entry((manifest.family(), manifest.name())).or_insert(manifest);
        }
        Self { manifests, names, models }
    }

    /// All, by position.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a Manifest)> {
        self.manifests.iter().copied().enumerate()
    }

    /// Those of one kind with their positions.
    pub fn of<K: Kind>(&self) -> impl Iterator<Item = (usize, &'a K)> {
        self.iter().filter_map(|(position, manifest)| Some((position, manifest.as_::<K>()?)))
    }

    /// The resource of that family and name.
    #[must_use]
    pub fn named(&self, family: &str, name: &str) -> Option<&'a Manifest> {
        self.names.get(&(family, name)).copied()
    }

    /// The name in a family that was probably meant.
    #[must_use]
    pub fn near(&self, family: &str, name: &str) -> Option<&'a str> {
        let own = self.manifests.iter().filter(|manifest| manifest.family() == family);
        nearest(name, own.map(|manifest| manifest.name()))
    }

    /// Whether callers can name the model, `account/model`.
    #[must_use]
    pub fn has_model(&self, id: &str) -> bool {
        self.models.contains(id)
    }

    /// Says that there is no such model, and which one is near.
    #[must_use]
    pub fn no_model(&self, id: &str) -> String {
        match nearest(id, self.models.iter().map(String::as_str)) {
            Some(near) => format!("there is no model `{id}`; did you mean `{near}`?"),
            None => format!("there is no model `{id}`"),
        }
    }
}
