//! Which permission opens which model, and what becomes of references.

use super::*;
use serde_json::json;

fn account(name: &str, key: &str) -> Manifest {
    let model = |name: &str| json!({ "type": "integration/model/openai", "name": name });
    let account: ProviderAccount = serde_json::from_value(json!({
        "type": "provider-account/openai",
        "name": name,
        "auth_data": { "type": "api-key", "api_key": key },
        "integrations": [model("small"), model("llama3:8b")],
    }))
    .unwrap();
    Manifest::from(account)
}

fn bot(resource_type: &str, fqn: &str, role: &str) -> Manifest {
    let bot: VirtualAccount = serde_json::from_value(json!({
        "type": "virtual-account",
        "name": "bot",
        "permissions": [{ "resource_fqn": fqn, "resource_type": resource_type, "role_id": role }],
    }))
    .unwrap();
    Manifest::from(bot)
}

fn opened(reach: Reach, manifests: Vec<Manifest>) -> Vec<String> {
    let source = SnapshotSource { tenant: "acme".to_owned(), manifests, ..Default::default() };
    let (source, _) = assemble(source, reach, &mut |_| Err("unset".to_owned()));
    let bot = Subject("virtualaccount:bot".to_owned());
    let accounts = source.manifests.iter().filter_map(Manifest::as_::<ProviderAccount>);
    accounts
        .flat_map(|account| account.integrations.iter().map(|model| (&account.name, model)))
        .filter(|(_, model)| model.authorized_subjects.contains(&bot))
        .map(|(account, model)| format!("{account}/{}", model.name))
        .collect()
}

#[test]
fn a_permission_opens_the_models_it_names() {
    let all = ["main/small", "main/llama3:8b"];
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("provider-account", "acme:openai:main", "provider-account-access", &all),
        ("provider-account", "main", "provider-account-manager", &all),
        ("model", "acme:openai:main:model:small", "model-user", &all[..1]),
        ("model", "acme:openai:main:model:llama3:8b", "model-user", &all[1..]),
        ("model", "acme:openai:main:model:*", "model-user", &all),
        ("model", "main/small", "model-user", &all[..1]),
        (
            "provider-integration",
            "acme:openai:main:model:small",
            "provider-integration-access",
            &all[..1],
        ),
        // What is not in the table of roles opens nothing, whatever it looks like.
        ("model", "main/small", "access", &[]),
        ("provider-account", "main", "access", &[]),
        ("provider-account", "main", "no-such-access", &[]),
        ("provider-account", "main", "provider-account-viwer", &[]),
        ("provider-account", "main", "tenant-admin", &[]),
        ("prov", "main", "provider-account-access", &[]),
        ("provider-account", "acme:openai:main", "provider-account-viewer", &[]),
        ("provider-account", "other:openai:main", "provider-account-access", &[]),
        ("cluster", "acme:openai:main", "cluster-admin", &[]),
        ("provider-account", "acme:openai", "provider-account-access", &[]),
        // Neither does what is no name of a resource, or names no model where one is meant.
        ("model", "acme:openai:main:small", "model-user", &[]),
        ("model", "acme:openai:main", "model-user", &[]),
        ("model", "main", "model-user", &[]),
        ("model", "main/sm*", "model-user", &[]),
        ("model", "main/*", "model-user", &all),
        ("provider-account", "acme:anthropic:main", "provider-account-access", &[]),
        ("provider-account", "*", "provider-account-access", &[]),
        ("provider-account", "", "provider-account-access", &[]),
    ];
    for (resource_type, fqn, role, expected) in cases {
        let manifests =
            vec![account("main", "sk"), account("second", "sk"), bot(resource_type, fqn, role)];
        let opened = opened(Reach::OwnTenant, manifests);
        assert_eq!(opened, *expected, "{resource_type} {fqn} {role}");
    }
}

#[test]
fn whoever_has_no_tenant_takes_the_permissions_of_any() {
    let manifests = |fqn: &str| {
        let role = "provider-account-access";
        vec![account("main", "sk"), bot("provider-account", fqn, role)]
    };
    for (fqn, count) in [("other:openai:main", 2), ("other:anthropic:main", 0)] {
        assert_eq!(opened(Reach::AnyTenant, manifests(fqn)).len(), count, "{fqn}");
    }
}

#[test]
fn references_are_resolved_and_missing_ones_are_reported() {
    let manifests = vec![account("a", "env://A"), account("b", "env://A"), account("c", "env://C")];
    let source = SnapshotSource { manifests, ..Default::default() };
    let mut asked = Vec::new();
    let (source, unresolved) = assemble(source, Reach::OwnTenant, &mut |reference| {
        asked.push(reference.to_owned());
        match reference {
            "env://A" => Ok(Secret::new("value")),
            _ => Err("variable C is not set".to_owned()),
        }
    });
    assert_eq!(asked, ["env://A", "env://C"]);
    assert_eq!(source.secrets["env://A"].expose(), "value");
    assert_eq!(source.manifests.len(), 3, "the model stays known");
    assert_eq!(unresolved.len(), 1);
    assert_eq!((unresolved[0].name.as_str(), unresolved[0].reference.as_str()), ("c", "env://C"));
}
