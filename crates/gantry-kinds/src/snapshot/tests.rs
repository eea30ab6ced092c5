//! Which permission opens which model, what becomes of references, and how much is written.

use super::*;
use crate::kinds::VirtualAccount;
use crate::variables::Allowed;
use gantry_model::snapshot::HeaderText;
use serde_json::{Value, json};

fn read(manifest: Value) -> Manifest {
    crate::manifest::Document::from_json(manifest).check().unwrap()
}

fn account(name: &str, key: &str, more: Value) -> Manifest {
    let model = |name: &str| json!({ "type": "integration/model/openai", "name": name });
    let mut account = json!({
        "type": "provider-account/openai",
        "name": name,
        "auth_data": { "type": "api-key", "api_key": key },
        "integrations": [model("small"), model("llama3:8b")],
    });
    account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    read(account)
}

fn bot(resource_type: &str, fqn: &str, role: &str) -> VirtualAccount {
    serde_json::from_value(json!({
        "type": "virtual-account",
        "name": "bot",
        "permissions": [{ "resource_fqn": fqn, "resource_type": resource_type, "role_id": role }],
    }))
    .unwrap()
}

fn compiled(manifests: &[Manifest], allowed: &[&str], set: &[(&str, &str)]) -> Compiled {
    let allowed = Allowed::new(allowed.iter().map(|&name| name.to_owned()).collect()).unwrap();
    let lookup = |name: &str| {
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    compile(manifests, "acme", &Variables { allowed: &allowed, lookup: &lookup })
}

#[test]
fn a_permission_opens_the_models_it_names() {
    let all = &["main/*"][..];
    let small = &["main/small"][..];
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("provider-account", "acme:openai:main", "provider-account-access", all),
        ("provider-account", "main", "provider-account-manager", all),
        ("model", "acme:openai:main:model:small", "model-user", small),
        ("model", "acme:openai:main:model:llama3:8b", "model-user", &["main/llama3:8b"]),
        ("model", "acme:openai:main:model:*", "model-user", all),
        ("model", "main/small", "model-user", small),
        (
            "provider-integration",
            "acme:openai:main:model:small",
            "provider-integration-access",
            small,
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
        ("model", "main/*", "model-user", all),
        ("provider-account", "acme:anthropic:main", "provider-account-access", &[]),
        ("provider-account", "*", "provider-account-access", &[]),
        ("provider-account", "", "provider-account-access", &[]),
        ("provider-account", "gone", "provider-account-access", &[]),
    ];
    let manifests = [account("main", "sk", json!({})), account("second", "sk", json!({}))];
    let accounts = Accounts::new(&manifests, "acme", Reach::OwnTenant);
    for (resource_type, fqn, role, expected) in cases {
        let opened = accounts.grants(&bot(resource_type, fqn, role));
        assert!(opened.iter().eq(*expected), "{resource_type} {fqn} {role}: {opened:?}");
    }
}

#[test]
fn whoever_has_no_tenant_takes_the_permissions_of_any() {
    let manifests = [account("main", "sk", json!({}))];
    let accounts = Accounts::new(&manifests, "files", Reach::AnyTenant);
    for (fqn, count) in [("other:openai:main", 1), ("other:anthropic:main", 0)] {
        let opened = accounts.grants(&bot("provider-account", fqn, "provider-account-access"));
        assert_eq!(opened.len(), count, "{fqn}");
    }
}

#[test]
fn a_collaborator_whose_role_is_not_known_is_not_admitted() {
    let roles = ["provider-account-access", "no-such-role", "access", "tenant-admin", ""];
    let subject = "serviceaccount:bot";
    let one = |role: &&str| Collaborator {
        subject: Subject(subject.to_owned()),
        role_id: (*role).to_owned(),
    };
    let mut main = account("main", "sk", json!({}));
    let changed = main.as_mut::<ProviderAccount>().unwrap();
    changed.collaborators = roles.iter().map(one).collect();
    let found = compiled(&[main], &[], &[]);
    assert_eq!(found.access.len(), 1);
    assert_eq!(found.access[0].subjects, ["virtualaccount:bot"]);
    assert!(found.models.iter().all(|model| model.access.lists == ["main"]));
}

#[test]
fn what_is_written_grows_with_the_manifests_and_not_with_their_product() {
    let written = |models: usize, people: usize| {
        let models: Vec<Value> = (0..models)
            .map(|n| json!({ "type": "integration/model/openai", "name": format!("m{n}") }))
            .collect();
        let people: Vec<Value> = (0..people)
            .map(|n| {
                json!({ "subject": format!("user:{n}@x.example"),
                "role_id": "provider-account-access" })
            })
            .collect();
        let more = json!({ "integrations": models, "collaborators": people });
        let sections = compiled(&[account("main", "sk", more)], &[], &[])
            .sections(&|_| String::new())
            .unwrap();
        serde_json::to_string(&sections).unwrap().len()
    };
    let (one, models, people) = (written(1, 1), written(101, 1), written(1, 1001));
    let both = written(101, 1001);
    assert!(both <= models + people - one, "{one} {models} {people} {both}");
}

#[test]
fn literals_leave_the_entries_and_references_are_resolved_once() {
    let more = || json!({});
    let manifests = [
        account("a", "env://A", more()),
        account("b", "env://A", more()),
        account("c", "env://C", more()),
        account("d", "sk-literal", more()),
    ];
    let found = compiled(&manifests, &["A", "C"], &[]);
    let mut asked = Vec::new();
    let (values, unresolved) = found.values(&mut |reference| {
        asked.push(reference.to_owned());
        match reference {
            "env://A" => Ok(Secret::new("value")),
            _ => Err("variable C is not set".to_owned()),
        }
    });
    assert_eq!(asked, ["env://A", "env://C"]);
    assert_eq!(values["env://A"].expose(), "value");
    assert_eq!(unresolved.len(), 1);
    assert_eq!((unresolved[0].name.as_str(), unresolved[0].reference.as_str()), ("c", "env://C"));
    assert_eq!(found.models.len(), 8, "the models stay known");
    let HeaderText::Bearer { secret } =
        &found.models[6].upstream.as_ref().unwrap().headers[0].value
    else {
        panic!()
    };
    assert_eq!(values[secret].expose(), "sk-literal");
    let sections = serde_json::to_string(&found.sections(&|_| String::new()).unwrap()).unwrap();
    assert!(!sections.contains("sk-literal"), "{sections}");
}

#[test]
fn a_variable_that_is_not_allowed_makes_what_needs_it_unavailable() {
    let own = json!({ "base_url": "https://attacker.example/v1" });
    let usual = "env://OPENAI_API_KEY";
    let set = [("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")];
    let cases: [(&str, Value, &[&str], bool); 10] = [
        (usual, json!({}), &[], true),
        (usual, json!({ "base_url": "https://api.openai.com/v1/" }), &[], true),
        (usual, json!({ "base_url": "http://127.0.0.1:9/v1" }), &[], true),
        (usual, own.clone(), &[], false),
        (usual, own.clone(), &["OPENAI_*"], true),
        ("env://ANTHROPIC_API_KEY", json!({}), &[], false),
        ("env://AWS_SECRET_ACCESS_KEY", json!({}), &["OPENAI_*"], false),
        ("env://TEAM_KEY", own, &["OTHER", "TEAM_*"], true),
        ("env://GANTRY_MASTER_KEY", json!({}), &["*"], false),
        ("tfy-secret://acme:a:b", json!({}), &[], true),
    ];
    for (reference, more, allowed, expected) in cases {
        let found = compiled(&[account("main", reference, more)], allowed, &set);
        let usable = found.models.iter().all(|model| model.unavailable.is_none());
        assert_eq!(usable, expected, "{reference} {allowed:?}");
        let refused: Vec<&str> = found.refused.iter().map(|one| one.reference.as_str()).collect();
        assert_eq!(refused, if expected { vec![] } else { vec![reference] });
        assert_eq!(found.references.len(), usize::from(expected), "never resolved");
        for one in found.refused {
            assert!(one.reason.contains("give the value itself"), "{}", one.reason);
        }
    }
}

#[test]
fn a_route_with_a_header_that_is_not_allowed_is_unavailable() {
    let header = |value: &str| {
        read(json!({
            "type": "provider-account/virtual-model", "name": "r",
            "integrations": [{
                "type": "integration/model/virtual", "name": "m",
                "routing_config": {
                    "type": "priority-based-routing",
                    "load_balance_targets": [{
                        "target": "main/small", "priority": 0,
                        "headers_override": { "set": { "x-key": value } },
                    }],
                },
            }],
        }))
    };
    for (value, expected) in [("env://PATH", false), ("env://TEAM", true), ("literal", true)] {
        let found = compiled(&[header(value)], &["TEAM"], &[]);
        assert_eq!(found.routes[0].unavailable.is_none(), expected, "{value}");
    }
}

fn foundry(name: &str, models: &[&str]) -> Manifest {
    let model = |id: &&str| {
        let name = id.rsplit('/').next();
        json!({ "type": "integration/model/openrouter", "name": name, "model_id": id })
    };
    read(json!({
        "type": "provider-account/openrouter",
        "name": name,
        "auth_data": { "type": "api-key", "api_key": "env://OPENROUTER_API_KEY" },
        "integrations": models.iter().map(model).collect::<Vec<_>>(),
    }))
}

fn slug(slug: &str) -> Manifest {
    read(json!({
        "type": "provider-account/virtual-model",
        "name": "fleet",
        "integrations": [{
            "type": "integration/model/virtual",
            "name": "assistant",
            "slug": slug,
            "routing_config": {
                "type": "priority-based-routing",
                "load_balance_targets": [{ "target": "one/gpt-4o", "priority": 0 }],
            },
        }],
    }))
}

/// Manifests, and each short name with the whole one.
type Named<'a> = (&'a [Manifest], &'a [(&'a str, &'a str)]);

#[test]
fn a_vendors_name_is_free_as_long_as_nothing_else_has_it() {
    let cases: [Named<'_>; 6] = [
        (&[foundry("one", &["gpt-4o"])], &[("gpt-4o", "one/gpt-4o")]),
        (&[foundry("one", &["gpt-4o"]), foundry("two", &["gpt-4o"])], &[]),
        (&[foundry("one", &["gpt-4o", "x"]), slug("gpt-4o")], &[("x", "one/x")]),
        (
            &[foundry("one", &["Qwen/Qwen3:8b", "/tmp/a.gguf"])],
            &[("Qwen/Qwen3:8b", "one/Qwen3:8b"), ("a.gguf", "one/a.gguf")],
        ),
        (&[foundry("one", &["two/b"]), foundry("two", &["c"])], &[("c", "two/c")]),
        (&[foundry("gpt-4o", &["gpt-4o"]), slug("other")], &[]),
    ];
    for (manifests, expected) in cases {
        let mut compiled = compiled(manifests, &[], &[("OPENROUTER_API_KEY", "k")]);
        assert!(compiled.listings.iter().all(|one| one.short_name.is_none()), "only when asked");
        compiled.add_short_names();
        let mut short: Vec<(&str, &str)> = Vec::new();
        for listing in &compiled.listings {
            short.extend(listing.short_name.as_deref().map(|name| (name, listing.model.as_str())));
        }
        short.sort_unstable();
        assert_eq!(short, expected);
    }
}

#[test]
fn what_is_known_of_a_model_is_listed() {
    let compiled = compiled(&[foundry("one", &["openai/gpt-4o", "own"])], &[], &[]);
    let [known] = compiled.listings.as_slice() else { panic!("{:?}", compiled.listings) };
    assert_eq!((known.model.as_str(), known.title.as_deref()), ("one/gpt-4o", Some("GPT-4o")));
}
