//! A manifest of whichever kind, and a kind as a row of a list.
//!
//! Both are the erased sides of [`Kind`]: what has a manifest at hand, and what has only the name
//! of a kind. Code that is the same for all kinds takes these.

use super::{Found, Kind, Reference, Scope, Set};
use crate::manifest::tree::Step;
use crate::schema::build;
use gantry_model::secret::Secret;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::any::Any;
use std::fmt;

/// A validated manifest of any kind, as stored.
pub struct Manifest(Box<dyn Resource>);

/// [`Kind`] without its type. Every kind has it, and nothing else does.
trait Resource: Any + fmt::Debug + Send + Sync {
    fn row(&self) -> Row;
    fn own_family(&self) -> &'static str;
    fn spelling(&self) -> &str;
    fn own_name(&self) -> &str;
    fn own_check(&self) -> Vec<(Vec<Step>, String)>;
    fn named(&self) -> Vec<Reference<'_>>;
    fn each_secret(&mut self, visit: &mut dyn FnMut(&str, &mut Secret));
    fn served(&self) -> Vec<&str>;
    fn same(&self, other: &dyn Any) -> bool;
    fn copy(&self) -> Box<dyn Resource>;
    fn stored(&self) -> serde_json::Result<Value>;
    fn respelled(&self) -> Value;
}

impl<K: Kind> Resource for K {
    fn row(&self) -> Row {
        Row::of::<K>()
    }

    fn own_family(&self) -> &'static str {
        K::FAMILY
    }

    fn spelling(&self) -> &str {
        self.kind()
    }

    fn own_name(&self) -> &str {
        self.name()
    }

    fn own_check(&self) -> Vec<(Vec<Step>, String)> {
        self.check()
    }

    fn named(&self) -> Vec<Reference<'_>> {
        self.references()
    }

    fn each_secret(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        self.secrets(visit);
    }

    fn served(&self) -> Vec<&str> {
        self.models()
    }

    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>() == Some(self)
    }

    fn copy(&self) -> Box<dyn Resource> {
        Box::new(self.clone())
    }

    fn stored(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn respelled(&self) -> Value {
        // Structs of kinds have text keys only, which is all that could fail.
        let mut value = self.stored().unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            K::respell_out(fields);
        }
        value
    }
}

impl<K: Kind> From<K> for Manifest {
    fn from(fields: K) -> Self {
        Self(Box::new(fields))
    }
}

impl Manifest {
    /// The manifest's `type`, such as `provider-account/openai`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.spelling()
    }

    /// The manifest's `name`, unique among its family within a tenant.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.own_name()
    }

    /// The family within which a name is unique: all `provider-account/…` kinds, virtual models
    /// among them, share one; every other kind is its own.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.0.own_family()
    }

    /// What is known of the manifest's kind.
    #[must_use]
    pub fn row(&self) -> Row {
        self.0.row()
    }

    /// The fields, when it is of that kind.
    #[must_use]
    pub fn as_<K: Kind>(&self) -> Option<&K> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }

    /// The fields to be changed, when it is of that kind.
    #[must_use]
    pub fn as_mut<K: Kind>(&mut self) -> Option<&mut K> {
        let any: &mut dyn Any = &mut *self.0;
        any.downcast_mut()
    }

    /// See [`Kind::check`].
    #[must_use]
    pub fn check(&self) -> Vec<(Vec<Step>, String)> {
        self.0.own_check()
    }

    /// See [`Kind::references`].
    #[must_use]
    pub fn references(&self) -> Vec<Reference<'_>> {
        self.0.named()
    }

    /// See [`Kind::models`].
    #[must_use]
    pub fn models(&self) -> Vec<&str> {
        self.0.served()
    }

    /// See [`Kind::secrets`].
    pub fn each_secret(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        self.0.each_secret(visit);
    }

    /// The manifest as its author spells it: what `get` prints and `apply` takes back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.respelled()
    }
}

impl Clone for Manifest {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&*other.0)
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `{"virtual-account": {…}}`: which kind it is stands beside its fields.
impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.stored().map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.row().stored_as, &fields)?;
        map.end()
    }
}

/// A kind without its type: one line of [`crate::kinds::KINDS`]. See [`Kind`] for its parts.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub family: &'static str,
    pub stored_as: &'static str,
    pub collection: &'static str,
    pub title: &'static str,
    pub scope: Scope,
    pub single: bool,
    pub subject: Option<&'static str>,
    pub aliases: &'static [(&'static str, &'static str)],
    spellings: fn() -> Vec<String>,
    example: fn(&str) -> String,
    schema: fn(&str) -> Value,
    read: fn(Map<String, Value>) -> serde_json::Result<Manifest>,
    restore: fn(Value) -> serde_json::Result<Manifest>,
    check_set: fn(&Set<'_>, &mut Found),
}

impl Row {
    /// The row of a kind.
    #[must_use]
    pub const fn of<K: Kind>() -> Self {
        Self {
            family: K::FAMILY,
            stored_as: K::STORED_AS,
            collection: K::COLLECTION,
            title: K::TITLE,
            scope: K::SCOPE,
            single: K::SINGLE,
            subject: K::SUBJECT,
            aliases: K::ALIASES,
            spellings: K::spellings,
            example: K::example,
            schema: K::schema,
            read: read::<K>,
            restore: restore::<K>,
            check_set: K::check_set,
        }
    }

    /// All spellings of `type`.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        (self.spellings)()
    }

    /// A manifest as YAML, by one of the spellings.
    #[must_use]
    pub fn example(&self, kind: &str) -> String {
        (self.example)(kind)
    }

    /// The whole JSON Schema for one of the spellings, with Gantry's own keywords.
    #[must_use]
    pub fn schema(&self, kind: &str) -> Value {
        let mut root = (self.schema)(kind);
        build::finish(&mut root, kind);
        root
    }

    /// From the fields as an author spells them.
    ///
    /// # Errors
    /// When they are not those of the kind.
    pub fn read(&self, fields: Map<String, Value>) -> serde_json::Result<Manifest> {
        (self.read)(fields)
    }

    /// From the fields as they are stored.
    ///
    /// # Errors
    /// When they are not those of the kind.
    pub fn restore(&self, fields: Value) -> serde_json::Result<Manifest> {
        (self.restore)(fields)
    }

    /// See [`Kind::check_set`].
    pub fn check_set(&self, set: &Set<'_>, found: &mut Found) {
        (self.check_set)(set, found);
    }
}

fn read<K: Kind>(mut fields: Map<String, Value>) -> serde_json::Result<Manifest> {
    K::respell_in(&mut fields);
    restore::<K>(Value::Object(fields))
}

fn restore<K: Kind>(fields: Value) -> serde_json::Result<Manifest> {
    serde_json::from_value::<K>(fields).map(Manifest::from)
}
