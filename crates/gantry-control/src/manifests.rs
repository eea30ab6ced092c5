//! Manifests between text, model and store.

use crate::Error;
use gantry_kinds::kinds::{Manifest, VirtualAccount};
use gantry_kinds::manifest::{
    Document, SetEntry, Tenancy, check_access, check_set, parse, to_json,
};
use gantry_model::rest::{Problem, Source};
use gantry_store::{Resource, Tx};
use serde_json::Value;

/// A checked manifest as its author wrote it. It may hold secrets: not `Debug`.
pub(crate) struct Authored {
    pub manifest: Manifest,
    /// Knows where each field was written.
    pub document: Document,
    /// Names the fields that the author gave, so that others are not shown as if given; `None`
    /// when it came as text.
    pub shape: Option<Value>,
}

/// Reads and checks source texts; all their problems together.
pub(crate) fn from_sources(sources: &[Source]) -> Result<Vec<Authored>, Error> {
    let (mut authored, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        match parse(&source.file, &source.text) {
            Ok(documents) => check(documents, &mut authored, &mut problems),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(authored) } else { Err(Error::Invalid(problems)) }
}

/// Reads and checks a manifest that came as JSON.
pub(crate) fn from_value(value: Value) -> Result<Authored, Error> {
    let shape = Some(value.clone());
    let document = Document::from_json(value);
    let manifest = document.check().map_err(Error::Invalid)?;
    Ok(Authored { manifest, document, shape })
}

fn check(documents: Vec<Document>, authored: &mut Vec<Authored>, problems: &mut Vec<Problem>) {
    for document in documents {
        match document.check() {
            Ok(manifest) => authored.push(Authored { manifest, document, shape: None }),
            Err(found) => problems.extend(found),
        }
    }
}

/// Problems of the manifests `after` a change that the stored ones do not have already: an old
/// problem must not stand in the way of an unrelated change. Each comes with the index of the
/// manifest that has it.
pub(crate) fn new_problems(
    stored: &StoredSet,
    after: &[SetEntry<'_>],
    tenancy: Tenancy<'_>,
) -> Vec<(usize, Problem)> {
    let problems_of = |set: &[SetEntry<'_>]| -> Vec<(usize, Problem)> {
        check_set(set).into_iter().chain(check_access(set, tenancy)).collect()
    };
    let mut problems = problems_of(after);
    if !problems.is_empty() {
        let before: Vec<_> = stored.manifests().map(unwritten).collect();
        let old = problems_of(&before);
        problems.retain(|(_, problem)| !old.iter().any(|(_, old)| old == problem));
    }
    problems
}

/// The teams that rights may name, for [`new_problems`]: those which somebody is in.
pub(crate) async fn teams(tx: &mut Tx) -> Result<Vec<String>, Error> {
    Ok(tx.users().await?.into_iter().flat_map(|user| user.teams).collect())
}

/// A stored manifest for [`new_problems`].
pub(crate) fn unwritten(manifest: &Manifest) -> SetEntry<'_> {
    SetEntry { manifest, document: None }
}

/// All stored manifests of a tenant.
#[derive(Debug)]
pub(crate) struct StoredSet(Vec<Stored>);

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub resource: Resource,
    pub manifest: Manifest,
}

impl StoredSet {
    /// Reads all. A manifest that this version cannot read is logged and left out, so that one
    /// bad row does not take everything down.
    pub(crate) async fn load(tx: &mut Tx) -> Result<Self, Error> {
        let mut all = Vec::new();
        for resource in tx.resources().await? {
            match serde_json::from_str(&resource.spec) {
                Ok(manifest) => all.push(Stored { resource, manifest }),
                Err(error) => tracing::error!(
                    kind = resource.kind,
                    name = resource.name,
                    %error,
                    "stored manifest is unreadable and left out"
                ),
            }
        }
        Ok(Self(all))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.0.iter()
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.0.iter().map(|stored| &stored.manifest)
    }

    pub(crate) fn find(&self, family: &str, name: &str) -> Option<&Stored> {
        self.0.iter().find(|s| s.resource.family == family && s.resource.name == name)
    }

    pub(crate) fn virtual_account(&self, name: &str) -> Option<&VirtualAccount> {
        match &self.find(gantry_kinds::kinds::virtual_account::KIND, name)?.manifest {
            Manifest::VirtualAccount(account) => Some(account),
            _ => None,
        }
    }
}

/// How a manifest is stored for programs: JSON that says which struct it is.
pub(crate) fn to_spec(manifest: &Manifest) -> Result<String, Error> {
    serde_json::to_string(manifest)
        .map_err(|error| Error::Internal(format!("write a manifest as JSON: {error}")))
}

/// The manifest as its author spells it, with references in place of secrets. With a `shape` it
/// has only the fields that the author gave, so that a diff shows what people wrote.
pub(crate) fn authored(manifest: &Manifest, shape: Option<&Value>) -> Value {
    let whole = to_json(manifest);
    let Some(shape) = shape else { return whole };
    let pruned = prune(&whole, shape);
    let same = Document::from_json(pruned.clone()).check().is_ok_and(|m| m == *manifest);
    if same { pruned } else { whole }
}

/// Takes from `whole` only what `shape` has too. Every value comes from `whole`, where secrets
/// are references already.
fn prune(whole: &Value, shape: &Value) -> Value {
    match (whole, shape) {
        (Value::Object(whole), Value::Object(shape)) => whole
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), prune(value, shape.get(key)?))))
            .collect(),
        (Value::Array(whole), Value::Array(shape)) if whole.len() == shape.len() => {
            whole.iter().zip(shape).map(|(value, shape)| prune(value, shape)).collect()
        }
        (whole, _) => whole.clone(),
    }
}

impl Stored {
    /// The manifest as its author spells it.
    pub(crate) fn authored(&self) -> Value {
        let stored = serde_json::from_str(&self.resource.authored);
        stored.unwrap_or_else(|_| to_json(&self.manifest))
    }
}
