//! Who may use a model: subjects of its own, and lists that many models share.

use super::section::Unread;
use serde::{Deserialize, Serialize};

/// Who may use one model. Tenant administrators always may, and callers with a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessEntry {
    /// `user:…`, `team:…`, `virtualaccount:…`, as callers have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// Names of [`AccessList`]s. One that is not there, or cannot be read, admits nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
}

impl AccessEntry {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty() && self.lists.is_empty()
    }
}

/// Subjects that many models admit, such as an account's collaborators. It is stored once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessList {
    pub name: String,
    pub subjects: Vec<String>,
}

/// What can be told of a model or route whose entry cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLookup {
    /// `None`: the entry is lost, for nobody can name it.
    pub name: Option<String>,
    /// Further names.
    pub names: Vec<String>,
    /// Nobody but administrators, when it cannot be read.
    pub access: AccessEntry,
}

impl AccessLookup {
    #[must_use]
    pub fn of(unread: &Unread) -> Self {
        Self {
            name: unread.field("name"),
            names: unread.field("names").unwrap_or_default(),
            access: unread.field("access").unwrap_or_default(),
        }
    }
}

/// How [`super::Caller::grants`] spells all models of the account that `model` belongs to.
#[must_use]
pub fn granted_all(model: &str) -> String {
    let account = model.split_once('/').map_or(model, |(account, _)| account);
    format!("{account}/*")
}
