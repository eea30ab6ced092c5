//! All kinds as one value: what a name of a kind leads to.
//!
//! Whoever has only a text asks it: a manifest's `type`, a kind in a path of REST or on the command
//! line, a row of the store. [`Registry::standard`] has the kinds of this release; a test adds one
//! with [`Registry::with`]. Cloning it is cheap.

use crate::kind::{Manifest, Row};
use crate::kinds::KINDS;
use crate::manifest::checks::nearest;
use crate::manifest::shape::Shape;
use crate::schema::compile;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The kinds that there are.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    rows: Vec<Row>,
    /// Spellings with the index of their row, in the order of the rows.
    kinds: Vec<(String, usize)>,
    /// Compiled from the schemas when the first manifest is read.
    shapes: OnceLock<BTreeMap<String, Shape>>,
}

/// What somebody who names a kind may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One spelling of `type`.
    Kind(String),
    /// All kinds of a family.
    Family(&'static str),
}

impl Selection {
    /// Whether a resource is meant, by its family and `type`.
    #[must_use]
    pub fn takes(&self, family: &str, kind: &str) -> bool {
        match self {
            Self::Kind(wanted) => wanted == kind,
            Self::Family(wanted) => *wanted == family,
        }
    }
}

/// Why a stored manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No JSON, or other fields than those of its kind.
    #[error("its fields are not as this version writes them ({0})")]
    Damaged(#[from] serde_json::Error),
    /// A kind of a newer release.
    #[error("this version knows no kind that is stored as `{0}`")]
    Unknown(String),
    /// JSON, but not one kind beside its fields.
    #[error("it does not say which kind it is")]
    Unnamed,
}

impl Registry {
    /// The kinds of this release.
    #[must_use]
    pub fn standard() -> Self {
        static STANDARD: OnceLock<Registry> = OnceLock::new();
        STANDARD.get_or_init(|| Self::of(KINDS.to_vec())).clone()
    }

    /// These kinds and one more. Its spellings and its key in the store must be new.
    #[must_use]
    pub fn with(&self, row: Row) -> Self {
        Self::of(self.0.rows.iter().copied().chain([row]).collect())
    }

    fn of(rows: Vec<Row>) -> Self {
        let kinds = rows.iter().enumerate();
        let kinds = kinds.flat_map(|(index, row)| {
            row.spellings().into_iter().map(move |spelling| (spelling, index))
        });
        Self(Arc::new(Inner { kinds: kinds.collect(), shapes: OnceLock::new(), rows }))
    }

    /// Spellings of all kinds, in the order of the list and of the catalogue.
    pub fn kinds(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.kinds.iter().map(|(kind, _)| kind.as_str())
    }

    /// All families, each once.
    #[must_use]
    pub fn families(&self) -> Vec<&'static str> {
        let mut families: Vec<&'static str> = Vec::new();
        for row in &self.0.rows {
            if !families.contains(&row.family) {
                families.push(row.family);
            }
        }
        families
    }

    /// The row of a kind, by the spelling of its `type`.
    #[must_use]
    pub fn row(&self, kind: &str) -> Option<&Row> {
        let (_, index) = self.0.kinds.iter().find(|(spelling, _)| spelling == kind)?;
        self.0.rows.get(*index)
    }

    /// The spelling that is stored, for any that authors may use.
    #[must_use]
    pub fn spelling(&self, kind: &str) -> Option<&str> {
        let alias = || {
            let aliases = self.0.rows.iter().flat_map(|row| row.aliases);
            aliases.copied().find(|(alias, _)| *alias == kind).map(|(_, spelling)| spelling)
        };
        self.kinds().find(|spelling| *spelling == kind).or_else(alias)
    }

    /// What somebody means who names a kind, a family or a collection, as in `gantry get`.
    #[must_use]
    pub fn select(&self, asked: &str) -> Option<Selection> {
        let named = |row: &&Row| row.family == asked || row.collection == asked;
        if let Some(row) = self.0.rows.iter().find(named) {
            return Some(Selection::Family(row.family));
        }
        self.spelling(asked).map(|kind| Selection::Kind(kind.to_owned()))
    }

    /// The name that [`Registry::select`] takes and that somebody probably meant.
    #[must_use]
    pub fn near(&self, asked: &str) -> Option<String> {
        let rows = self.0.rows.iter();
        let names: Vec<&str> = self.families().into_iter().chain(self.kinds()).collect();
        let names: Vec<&str> = names.into_iter().chain(rows.map(|row| row.collection)).collect();
        nearest(asked, names.iter().copied()).map(str::to_owned)
    }

    /// The kind of subjects whose tokens go with a family's resources, when they are callers.
    #[must_use]
    pub fn subject(&self, family: &str) -> Option<&'static str> {
        self.0.rows.iter().find(|row| row.family == family)?.subject
    }

    /// A manifest of a kind as YAML, for docs and tests; `None` for an unknown kind.
    #[must_use]
    pub fn example(&self, kind: &str) -> Option<String> {
        self.row(kind).map(|row| row.example(kind))
    }

    /// The JSON Schema of a kind with Gantry's own keywords, which begin with `x-`.
    #[must_use]
    pub fn schema(&self, kind: &str) -> Option<Value> {
        self.row(kind).map(|row| row.schema(kind))
    }

    /// The shape of a kind's manifests.
    pub(crate) fn shape(&self, kind: &str) -> Option<&Shape> {
        let shapes = self.0.shapes.get_or_init(|| {
            let shape = |kind: &str| Some((kind.to_owned(), compile::shape(&self.schema(kind)?)));
            self.kinds().filter_map(shape).collect()
        });
        shapes.get(kind)
    }

    /// Whether the published SDK knows a kind that Gantry does not implement yet.
    #[must_use]
    pub fn later(&self, kind: &str) -> bool {
        let listed = include_str!("../data/kinds-later.txt").lines();
        self.spelling(kind).is_none()
            && listed.filter(|line| !line.starts_with('#')).any(|line| {
                match line.strip_suffix('*') {
                    Some(family) => kind.starts_with(family),
                    None => line == kind,
                }
            })
    }

    /// Reads a manifest as it is stored: JSON that says which kind it is.
    ///
    /// # Errors
    /// When this release has no such kind or the text is damaged. Such a row is to be kept as it
    /// is.
    pub fn restore(&self, stored: &str) -> Result<Manifest, Unreadable> {
        self.restore_value(serde_json::from_str(stored)?)
    }

    fn restore_value(&self, stored: Value) -> Result<Manifest, Unreadable> {
        let Value::Object(parts) = stored else { return Err(Unreadable::Unnamed) };
        let mut parts = parts.into_iter();
        let (Some((key, fields)), None) = (parts.next(), parts.next()) else {
            return Err(Unreadable::Unnamed);
        };
        match self.0.rows.iter().find(|row| row.stored_as == key) {
            Some(row) => Ok(row.restore(fields)?),
            None => Err(Unreadable::Unknown(key)),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}

/// By the kinds of this release.
impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Value::deserialize(deserializer)?;
        Registry::standard().restore_value(stored).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
