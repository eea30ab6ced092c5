//! `virtual-account`: an identity for a program, with a token.

use super::common::OwnedBy;
pub use super::common::Permission;
use crate::grant::{Models, Target, provider_of};
use crate::kind::{Found, Kind, Named, Reference, Set};
use crate::manifest::tree::Step;
use crate::roles::{PROVIDER_ACCOUNT, VIRTUAL_ACCOUNT};
use gantry_model::subject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const KIND: &str = VIRTUAL_ACCOUNT;

const EXAMPLE: &str = "\
type: virtual-account
name: nightly-evaluation
permissions:
  - resource_type: provider-account
    resource_fqn: my-openai
    role_id: provider-account-access
expiration_date: '2030-01-31'
tags:
  project: evaluation
";

/// An identity for a program, with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-later" =
    ["auto_rotate", "notification_target", "secret_store_config", "identity_provider_mapping"]))]
pub struct VirtualAccount {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the account; access rules say `virtualaccount:name`.
    #[schemars(extend("x-check" = "name"))]
    pub name: String,
    /// What the account may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// `yyyy-mm-dd`; the token ends at the start of that day, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date", "x-check" = "date"))]
    pub expiration_date: Option<String>,
    /// Who owns the account.
    #[serde(default, rename = "ownedBy", skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<OwnedBy>,
    /// Metadata that every request of this account carries and that no header overrides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "propertyNames" = {"minLength": 1, "maxLength": 128},
        "additionalProperties" = {"type": "string", "maxLength": 128},
    ))]
    pub tags: BTreeMap<String, String>,
    /// The kind of token. Default `opaque`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<TokenType>,
}

impl Kind for VirtualAccount {
    const FAMILY: &'static str = KIND;
    const COLLECTION: &'static str = "virtual-accounts";
    const TITLE: &'static str = "An identity for a program, with a token.";
    const SUBJECT: Option<&'static str> = Some(subject::VIRTUAL_ACCOUNT);

    fn example(_: &str) -> String {
        EXAMPLE.to_owned()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let about = |(index, permission)| {
            let path = ["permissions".into(), Step::from(index), "resource_fqn".into()];
            let target = Target::of(permission).and_then(Result::ok);
            let account = target.map(|target| target.account);
            Reference::to_permission(path.to_vec(), permission, account)
        };
        self.permissions.iter().enumerate().map(about).collect()
    }

    /// Grants that concern models name an account or a model that exists.
    fn check_set(set: &Set<'_>, found: &mut Found) {
        for (position, account) in set.of::<Self>() {
            for reference in account.references() {
                let Named::Permission(permission) = reference.names else { continue };
                let message = match Target::of(permission) {
                    None => None,
                    Some(Err(unreadable)) => Some(unreadable),
                    Some(Ok(target)) => nothing(set, target),
                };
                found.extend(message.map(|message| (position, reference.path, message)));
            }
        }
    }
}

/// Why an account or a model is not there.
fn nothing(set: &Set<'_>, target: Target<'_>) -> Option<String> {
    let account = target.account;
    if let Some(found) = set.named(PROVIDER_ACCOUNT, account) {
        if !target.names_account(found) {
            let (named, has) = (target.whole?.1, provider_of(found));
            return Some(format!("`{account}` is an account of `{has}`, not of `{named}`"));
        }
        let Models::One(model) = target.models else { return None };
        let id = format!("{account}/{model}");
        return (!set.has_model(&id)).then(|| set.no_model(&id));
    }
    Some(match set.near(PROVIDER_ACCOUNT, account) {
        Some(near) => format!("there is no account `{account}`; did you mean `{near}`?"),
        None => format!("there is no account `{account}`"),
    })
}

/// The kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    Jwt,
    Opaque,
}
