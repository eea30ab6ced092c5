//! Which roles there are on which type of resource, and what they let their holder do.
//!
//! Validation of manifests refuses what is not in the table. The publisher of snapshots, the
//! gateway's access rules and the control plane ask it what a role permits. It must never permit
//! anything on account of a name that it does not hold: stored manifests and snapshots may be older
//! than the rules of validation.

/// Type of the resource on which collaborators of an account have their roles.
pub const PROVIDER_ACCOUNT: &str = "provider-account";
/// Family of the resources that subjects such as `virtualaccount:name` stand for.
pub const VIRTUAL_ACCOUNT: &str = "virtual-account";
/// Type of the resource on which administrators have their role.
pub const TENANT: &str = "tenant";

/// What a role lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// See that the resource exists.
    View,
    /// Call models.
    Use,
    /// Everything in the tenant.
    Administer,
}

type Role = (&'static str, Right);

/// Ids as TrueFoundry spells them. A viewer sees a model but may not call it; the tenant's members
/// are all who have a token.
const TABLE: [(&str, &[Role]); 4] = [
    (
        PROVIDER_ACCOUNT,
        &[
            ("provider-account-manager", Right::Use),
            ("provider-account-access", Right::Use),
            ("provider-account-viewer", Right::View),
        ],
    ),
    ("provider-integration", &[("provider-integration-access", Right::Use)]),
    ("model", &[("model-user", Right::Use)]),
    (TENANT, &[("tenant-admin", Right::Administer), ("tenant-member", Right::View)]),
];

/// The types of resource on which there are roles.
pub fn resource_types() -> impl Iterator<Item = &'static str> + Clone {
    TABLE.iter().map(|(resource_type, _)| *resource_type)
}

/// The ids of the roles on one type of resource; none for an unknown type.
pub fn ids(resource_type: &str) -> impl Iterator<Item = &'static str> + Clone {
    roles(resource_type).iter().map(|(id, _)| *id)
}

/// Whether the role lets its holder call the models of the resource.
#[must_use]
pub fn may_use(resource_type: &str, role_id: &str) -> bool {
    right(resource_type, role_id) == Some(Right::Use)
}

/// Whether the role makes its holder an administrator of the tenant.
#[must_use]
pub fn administers(resource_type: &str, role_id: &str) -> bool {
    right(resource_type, role_id) == Some(Right::Administer)
}

/// Whether the type of resource is about models, which have accounts.
pub(crate) fn about_models(resource_type: &str) -> bool {
    roles(resource_type).iter().any(|(_, right)| *right == Right::Use)
}

fn right(resource_type: &str, role_id: &str) -> Option<Right> {
    roles(resource_type).iter().find(|(id, _)| *id == role_id).map(|(_, right)| *right)
}

fn roles(resource_type: &str) -> &'static [Role] {
    let found = TABLE.iter().find(|(known, _)| *known == resource_type);
    found.map_or(&[], |(_, roles)| roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_of_the_table_permit_anything() {
        let cases = [
            ("provider-account", "provider-account-manager", (true, false)),
            ("provider-account", "provider-account-access", (true, false)),
            ("provider-account", "provider-account-viewer", (false, false)),
            ("provider-integration", "provider-integration-access", (true, false)),
            ("model", "model-user", (true, false)),
            ("tenant", "tenant-admin", (false, true)),
            ("tenant", "tenant-member", (false, false)),
            // Near misses, roles of another type, and ends of ids permit nothing.
            ("provider-account", "provider-account-viwer", (false, false)),
            ("provider-account", "provider-account-Access", (false, false)),
            ("provider-account", "access", (false, false)),
            ("provider-account", "no-such-role", (false, false)),
            ("provider-account", "no-such-access", (false, false)),
            ("provider-account", "tenant-admin", (false, false)),
            ("provider-account", "", (false, false)),
            ("tenant", "admin", (false, false)),
            ("prov", "provider-account-access", (false, false)),
            ("", "", (false, false)),
        ];
        for (resource_type, role, expected) in cases {
            let found = (may_use(resource_type, role), administers(resource_type, role));
            assert_eq!(found, expected, "{resource_type} {role}");
        }
    }
}
