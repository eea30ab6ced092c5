//! What a permission about models names: an account, or one of its models.
//!
//! Validation of manifests refuses what [`Target::parse`] does, and the publisher of snapshots
//! grants what it returns, so that no spelling means one thing here and another there. It must
//! never read more into a name than stands there.

use crate::kinds::Manifest;
use crate::kinds::common::Permission;
use crate::roles;

/// Ways to spell a resource, for people.
const SPELLINGS: &str = "expected `account`, `account/model`, `tenant:provider:account` or \
     `tenant:provider:account:model:NAME`";

/// Stands for all models of an account.
const ALL: &str = "*";

/// A resource about models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Tenant and provider, where the name is a whole one.
    pub whole: Option<(&'a str, &'a str)>,
    pub account: &'a str,
    pub models: Models<'a>,
}

/// Which models of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Models<'a> {
    /// The name says nothing of models.
    Unsaid,
    All,
    One(&'a str),
}

impl<'a> Target<'a> {
    /// What a permission names. `None` when it is about something else than models.
    ///
    /// # Errors
    /// When the name is none of the spellings, as a lower-case fragment.
    pub(crate) fn of(permission: &'a Permission) -> Option<Result<Self, String>> {
        let resource_type = permission.resource_type.as_str();
        if !roles::about_models(resource_type) {
            return None;
        }
        let parsed = Self::parse(&permission.resource_fqn);
        Some(parsed.and_then(|target| match target.models {
            Models::Unsaid if resource_type != roles::PROVIDER_ACCOUNT => Err(format!(
                "`{}` names no model; write `{}/MODEL`, or `{1}/*` for all of them",
                permission.resource_fqn, target.account
            )),
            _ => Ok(target),
        }))
    }

    /// Whether a manifest is the account that is named; with the provider, where that is named too.
    pub(crate) fn names_account(&self, manifest: &Manifest) -> bool {
        let provider = self.whole.map(|(_, provider)| provider);
        manifest.family() == roles::PROVIDER_ACCOUNT
            && manifest.name() == self.account
            && provider.is_none_or(|provider| provider_of(manifest) == provider)
    }

    /// Reads a resource's name. Names of models may hold colons and slashes.
    fn parse(name: &'a str) -> Result<Self, String> {
        let unknown = || format!("`{name}` is no name of an account or a model: {SPELLINGS}");
        let (whole, account, model) = match name.split_once('/') {
            Some((account, model)) if !account.contains(':') => (None, account, Some(model)),
            _ => match name.splitn(5, ':').collect::<Vec<_>>().as_slice() {
                [account] => (None, *account, None),
                [tenant, provider, account] => (Some((*tenant, *provider)), *account, None),
                [tenant, provider, account, _, model] => {
                    (Some((*tenant, *provider)), *account, Some(*model))
                }
                _ => return Err(unknown()),
            },
        };
        let models = match model {
            None => Models::Unsaid,
            Some(ALL) => Models::All,
            Some(model) => Models::One(model),
        };
        if account.is_empty() || model == Some("") {
            return Err(unknown());
        }
        if account.contains(ALL) || matches!(models, Models::One(model) if model.contains(ALL)) {
            return Err(format!(
                "`{name}` is a pattern that is not known: `*` stands only for all models of an \
                 account, as in `account/*`"
            ));
        }
        Ok(Self { whole, account, models })
    }
}

/// The provider of an account: the part of its kind after the slash.
pub(crate) fn provider_of(account: &Manifest) -> &str {
    account.kind().split_once('/').map_or("", |(_, provider)| provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_spelled_in_one_of_five_ways() {
        let whole = Some(("acme", "openai"));
        let cases = [
            ("main", None, Models::Unsaid),
            ("main/small", None, Models::One("small")),
            ("main/llama3:8b", None, Models::One("llama3:8b")),
            ("main/*", None, Models::All),
            ("acme:openai:main", whole, Models::Unsaid),
            ("acme:openai:main:model:small", whole, Models::One("small")),
            ("acme:openai:main:model:org/m:8b", whole, Models::One("org/m:8b")),
            ("acme:openai:main:model:*", whole, Models::All),
        ];
        for (name, whole, models) in cases {
            assert_eq!(Target::parse(name), Ok(Target { whole, account: "main", models }));
        }
        for (name, why) in [
            ("", "expected `account`"),
            ("acme:openai", "expected `account`"),
            ("acme:openai:main:small", "expected `account`"),
            ("acme:openai:main:model:", "expected `account`"),
            ("main/", "expected `account`"),
            ("/small", "expected `account`"),
            ("*", "is a pattern"),
            ("main/al*", "is a pattern"),
            ("acme:openai:*", "is a pattern"),
        ] {
            let error = Target::parse(name).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn a_permission_on_models_names_one_or_says_all() {
        let target = |resource_type: &str, name: &str| {
            let permission = Permission {
                resource_type: resource_type.to_owned(),
                resource_fqn: name.to_owned(),
                role_id: String::new(),
            };
            Target::of(&permission).map(|target| target.map(|target| target.account.to_owned()))
        };
        let main = Some(Ok("main".to_owned()));
        assert_eq!(target("provider-account", "main"), main);
        assert_eq!(target("model", "main/*"), main);
        assert_eq!(target("provider-integration", "main/small"), main);
        assert_eq!(target("tenant", "a:b"), None);
        for about in ["model", "provider-integration"] {
            let error = target(about, "acme:openai:main").unwrap().unwrap_err();
            assert!(error.contains("names no model; write `main/MODEL`"), "{error}");
        }
    }
}
