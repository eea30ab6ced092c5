//! Manifests between text, model and store.

pub(crate) use crate::rows::{Stored, StoredSet};

use crate::Error;
use gantry_kinds::kinds::Manifest;
use gantry_kinds::manifest::{
    Document, SetEntry, Tenancy, check_access, check_set, parse, to_json,
};
use gantry_kinds::registry::Registry;
use gantry_model::rest::{Problem, Source};
use gantry_store::Tx;
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
pub(crate) fn from_sources(
    registry: &Registry,
    sources: &[Source],
) -> Result<Vec<Authored>, Error> {
    let (mut authored, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        let documents = parse(&source.file, &source.text).unwrap_or_else(|found| {
            problems.extend(found);
            Vec::new()
        });
        for document in documents {
            match document.check_by(registry) {
                Ok(manifest) => authored.push(Authored { manifest, document, shape: None }),
                Err(found) => problems.extend(found),
            }
        }
    }
    if problems.is_empty() { Ok(authored) } else { Err(Error::Invalid(problems)) }
}

/// Reads and checks a manifest that came as JSON.
pub(crate) fn from_value(registry: &Registry, value: Value) -> Result<Authored, Error> {
    let shape = Some(value.clone());
    let document = Document::from_json(value);
    let manifest = document.check_by(registry).map_err(Error::Invalid)?;
    Ok(Authored { manifest, document, shape })
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

/// How a manifest is stored for programs: JSON that says which struct it is.
pub(crate) fn to_spec(manifest: &Manifest) -> Result<String, Error> {
    serde_json::to_string(manifest)
        .map_err(|error| Error::Internal(format!("write a manifest as JSON: {error}")))
}

/// The manifest as its author spells it, with references in place of secrets. With a `shape` it
/// has only the fields that the author gave, so that a diff shows what people wrote.
pub(crate) fn authored(registry: &Registry, manifest: &Manifest, shape: Option<&Value>) -> Value {
    let whole = to_json(manifest);
    let Some(shape) = shape else { return whole };
    let pruned = prune(&whole, shape);
    let read = Document::from_json(pruned.clone()).check_by(registry);
    let same = read.is_ok_and(|read| read == *manifest);
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
