//! What a manifest names outside of itself.
//!
//! Kinds make references, and everything that must know what needs what reads them: validation,
//! deletion, the order of an apply, rows that cannot be read.

use crate::kinds::common::Permission;
use crate::manifest::tree::Step;
use crate::roles::{PROVIDER_ACCOUNT, VIRTUAL_ACCOUNT};
use gantry_model::subject::{self, Subject};

/// One field that names something.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference<'a> {
    /// The field.
    pub path: Vec<Step>,
    pub names: Named<'a>,
    /// Family and name of the resource that must be there for it; `None` when it is none of the
    /// tenant's resources, such as a person.
    pub resource: Option<(&'a str, &'a str)>,
}

/// What is named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Named<'a> {
    /// A resource by family and name.
    Resource(&'a str, &'a str),
    /// `account/model`.
    Model(&'a str),
    /// Somebody with rights.
    Subject(&'a Subject),
    /// What a permission is about. That it is there is for the kind with the permission to check.
    Permission(&'a Permission),
}

impl<'a> Reference<'a> {
    /// To a resource of one family.
    #[must_use]
    pub fn to_resource(path: Vec<Step>, family: &'a str, name: &'a str) -> Self {
        Self { path, names: Named::Resource(family, name), resource: Some((family, name)) }
    }

    /// To a model by `account/model`.
    #[must_use]
    pub fn to_model(path: Vec<Step>, id: &'a str) -> Self {
        let account = id.split_once('/').map_or(id, |(account, _)| account);
        Self { path, names: Named::Model(id), resource: Some((PROVIDER_ACCOUNT, account)) }
    }

    /// To somebody.
    #[must_use]
    pub fn to_subject(path: Vec<Step>, subject: &'a Subject) -> Self {
        let resource = match subject.split() {
            Some((subject::VIRTUAL_ACCOUNT | subject::SERVICE_ACCOUNT, name)) => {
                Some((VIRTUAL_ACCOUNT, name))
            }
            _ => None,
        };
        Self { path, names: Named::Subject(subject), resource }
    }

    /// To what a permission is about: an account, where it is one on models.
    #[must_use]
    pub fn to_permission(
        path: Vec<Step>,
        permission: &'a Permission,
        account: Option<&'a str>,
    ) -> Self {
        let resource = account.map(|account| (PROVIDER_ACCOUNT, account));
        Self { path, names: Named::Permission(permission), resource }
    }
}
