//! Shapes of the REST API: what TrueFoundry's clients send and read.

use crate::{bed, bot, openai, virtual_model};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn the_cli_finds_out_where_it_is_without_a_token() {
    let bed = bed().await;
    let (status, version) = bed.call_as("", "GET", "/min-cli-version", Value::Null).await;
    assert_eq!((status.as_u16(), &version["useSFYServerAuthAPIs"]), (200, &json!(true)));
    assert_eq!(version["truefoundryCliMinVersion"], "0.0.0");
    let (_, tenant) = bed.call_as("", "GET", "/tenant-id?hostName=x", Value::Null).await;
    assert_eq!(tenant, json!({ "tenantName": "default", "auth_server_url": "" }));
}

#[tokio::test]
async fn the_session_names_user_and_tenant() {
    let bed = bed().await;
    let (status, session) = bed.call("GET", "/session", Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(session["user"]["tenantName"], "default");
    assert_eq!(session["user"]["email"], "admin@localhost");
    assert_eq!(session["user"]["metadata"]["userObject"]["username"], "admin@localhost");
    assert_eq!(session["user"]["subject"]["subjectType"], "user");
}

#[tokio::test]
async fn one_manifest_is_applied_as_tfy_sends_it() {
    let bed = bed().await;
    let body = json!({ "manifest": openai("main", "sk-one"), "dryRun": false });
    let (status, reply) = bed.call("PUT", "/apply", body.clone()).await;
    assert_eq!((status.as_u16(), &reply["action"]), (200, &json!("CREATE")));
    assert_eq!(reply.get("existingManifest"), None);
    assert_eq!(reply["data"]["manifest"]["name"], "main");
    let (_, again) = bed.call("PUT", "/apply", body).await;
    assert_eq!(again["action"], "UPDATE", "clients know two actions");
    assert_eq!(again["existingManifest"]["type"], "provider-account/openai");
    assert!(!again.to_string().contains("sk-one"));
    let (_, bot) = bed.call("PUT", "/apply", json!({ "manifest": bot("ci") })).await;
    assert!(bot["token"].as_str().unwrap().starts_with("tfy_"));
}

#[tokio::test]
async fn a_stored_manifest_shows_what_its_author_wrote_and_no_defaults() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk")]).await;
    let manifest = virtual_model("group", "main/small");
    let body = json!({ "manifest": manifest });
    bed.call("PUT", "/apply", body.clone()).await;
    let (_, again) = bed.call("PUT", "/apply", body).await;
    assert_eq!(again["existingManifest"], manifest);
    let (_, list) = bed.call("GET", "/resources?name=group", Value::Null).await;
    assert_eq!(list["data"][0]["manifest"], manifest);
}

#[tokio::test]
async fn several_sources_are_applied_as_one() {
    let bed = bed().await;
    let source = |manifest: Value| json!({ "file": "a.yaml", "text": manifest.to_string() });
    let sources = [source(virtual_model("group", "main/small")), source(openai("main", "sk"))];
    let (status, reply) = bed.call("PUT", "/apply", json!({ "sources": sources })).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["applied"].as_array().unwrap().len(), 2);
    let both = json!({ "sources": sources, "manifest": openai("x", "y") });
    assert_eq!(bed.call("PUT", "/apply", both).await.0, 400);
    assert_eq!(bed.call("PUT", "/apply", json!({})).await.0, 400);
}

#[tokio::test]
async fn mistakes_are_listed_in_the_message_and_in_the_details() {
    let bed = bed().await;
    let body = json!({ "manifest": virtual_model("group", "nowhere/small") });
    let (status, reply) = bed.call("PUT", "/apply", body).await;
    assert_eq!((status.as_u16(), &reply["statusCode"]), (422, &json!(422)));
    assert_eq!(reply["code"], "UNPROCESSABLE_ENTITY");
    assert!(reply["message"].as_str().unwrap().contains("nowhere"), "{reply}");
    assert!(reply["details"][0]["message"].is_string(), "{reply}");
}

#[tokio::test]
async fn the_dependency_tree_holds_every_manifest_in_a_usable_order() {
    let bed = bed().await;
    let manifests = [
        bot("ci"),
        virtual_model("group", "main/small"),
        virtual_model("self", "self/fast"),
        virtual_model("ping", "pong/fast"),
        virtual_model("pong", "ping/fast"),
        json!({ "type": "gateway-global-settings" }),
        json!({ "type": "unheard/of", "name": "x", "integrations": 7 }),
        openai("main", "sk"),
    ];
    let body = json!({ "manifests": manifests });
    let (status, tree) = bed.call("POST", "/dependency-tree", body).await;
    assert_eq!(status, 200);
    let data = tree["data"].as_array().unwrap();
    assert_eq!(data.len(), manifests.len());
    let at = |kind: &str, name: &str| {
        let found =
            data.iter().position(|n| n["resourceType"] == kind && n["resourceName"] == name);
        found.unwrap_or_else(|| panic!("{kind} {name} in {tree}"))
    };
    let group = at("provider-account/virtual-model", "group");
    assert!(at("provider-account/openai", "main") < group);
    let main = json!([{ "resourceType": "provider-account", "resourceName": "main" }]);
    assert_eq!(data[group]["dependencies"], main);
    assert_eq!(data[at("virtual-account", "ci")]["dependencies"], main);
    at("gateway-global-settings", "gateway-global-settings");
    at("unheard/of", "x");
    let waiting = |name: &str| {
        let node = &data[at("provider-account/virtual-model", name)];
        node["dependencies"].as_array().unwrap().len()
    };
    assert_eq!(waiting("self"), 0, "nothing waits for itself");
    assert_eq!(waiting("ping") + waiting("pong"), 1, "no two wait for one another");

    let mut open = openai("main", "sk");
    open["integrations"][0]["authorized_subjects"] = json!(["virtualaccount:ci"]);
    let mut ci = bot("ci");
    ci["permissions"] = json!([]);
    let body = json!({ "manifests": [open, ci] });
    let (_, tree) = bed.call("POST", "/dependency-tree", body).await;
    assert_eq!(tree["data"][0]["resourceName"], "ci", "subjects come before what names them");
    let waits = json!([{ "resourceType": "virtual-account", "resourceName": "ci" }]);
    assert_eq!(tree["data"][1]["dependencies"], waits);

    bed.apply(&[openai("main", "sk")]).await;
    let body = json!({ "manifests": [bot("ci"), openai("main", "sk")] });
    let (_, tree) = bed.call("POST", "/dependency-tree", body).await;
    assert_eq!(tree["data"][0]["dependencies"], json!([]), "what is stored need not come first");
}

#[tokio::test]
async fn a_dependency_tree_may_be_as_large_as_a_tenant_and_no_larger() {
    let bed = bed().await;
    let link = |i: usize| virtual_model(&format!("m{i}"), &format!("m{}/fast", i + 1));
    let chain: Vec<Value> = (0..5_000).map(link).collect();
    let (status, tree) = bed.call("POST", "/dependency-tree", json!({ "manifests": chain })).await;
    assert_eq!(status, 200);
    let names = tree["data"].as_array().unwrap().iter().map(|node| node["resourceName"].clone());
    assert!(names.eq((0..5_000).rev().map(|i| json!(format!("m{i}")))));
    let many = vec![json!({ "type": "virtual-account", "name": "x" }); 10_001];
    let (status, reply) = bed.call("POST", "/dependency-tree", json!({ "manifests": many })).await;
    assert_eq!(status, 400, "{reply}");
}

#[tokio::test]
async fn delete_takes_a_manifest_and_reads_only_type_and_name() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk")]).await;
    let body = json!({ "manifest": { "type": "provider-account/openai", "name": "main", "x": 1 } });
    let (status, reply) = bed.call("POST", "/delete", body.clone()).await;
    assert_eq!(status, 200, "{reply}");
    let (status, reply) = bed.call("POST", "/delete", body).await;
    assert_eq!(status, 404);
    assert!(reply["message"].as_str().unwrap().contains("main"), "{reply}");
}

#[tokio::test]
async fn resources_are_listed_by_kind_family_and_name() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-canary"), openai("b", "sk"), bot("ci")]).await;
    for (path, total) in [
        ("/resources", 3),
        ("/resources/provider-account", 2),
        ("/resources/provider-account/openai", 2),
        ("/resources/provider-account/anthropic", 0),
        ("/resources/virtual-account?name=ci", 1),
        ("/resources?limit=1&offset=2", 3),
    ] {
        let (status, list) = bed.call("GET", path, Value::Null).await;
        assert_eq!((status.as_u16(), &list["pagination"]["total"]), (200, &json!(total)), "{path}");
        assert!(!list.to_string().contains("sk-canary"));
    }
    assert_eq!(bed.call("GET", "/resources?name=none", Value::Null).await.0, 404);
    for unknown in ["/resources/foo", "/resources/provider-account/opnai"] {
        let (status, reply) = bed.call("GET", unknown, Value::Null).await;
        assert_eq!(status, 404, "{unknown}");
        assert!(reply["message"].as_str().unwrap().contains("virtual-account"), "{reply}");
    }
    assert_eq!(bed.call("GET", "/resources?limit=many", Value::Null).await.0, 400);
}

#[tokio::test]
async fn refusals_are_json_and_say_what_to_do() {
    let bed = bed().await;
    for (token, method, path, status, text) in [
        ("", "GET", "/session", 401, "Authorization: Bearer"),
        ("tfy_wrong", "GET", "/session", 401, "ask an administrator"),
        (bed.token.as_str(), "GET", "/nothing/here", 404, "/api/svc/v1/nothing/here"),
        (bed.token.as_str(), "DELETE", "/apply", 405, "DELETE"),
        (bed.token.as_str(), "POST", "/oauth2/device-authorize", 404, "--api-key"),
        (bed.token.as_str(), "GET", "/gateway/snapshot", 403, "gateway token"),
        (bed.token.as_str(), "POST", "/gateway/logs", 400, "expected"),
        (bed.token.as_str(), "PUT", "/apply", 400, "expected"),
    ] {
        let (got, reply) = bed.call_as(token, method, path, Value::Null).await;
        assert_eq!((got.as_u16(), &reply["statusCode"]), (status, &json!(status)), "{path}");
        assert!(reply["message"].as_str().unwrap().contains(text), "{path}: {reply}");
    }
}

#[tokio::test]
async fn a_body_above_ten_mebibytes_is_refused() {
    let bed = bed().await;
    let request = Request::put("/api/svc/v1/apply")
        .header("authorization", format!("Bearer {}", bed.token))
        .body(Body::from(vec![b' '; (10 << 20) + 1]))
        .unwrap();
    let response = bed.control.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 413);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let reply: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(reply["message"].as_str().unwrap().contains("10 MiB"), "{reply}");
}

#[tokio::test]
async fn lists_of_accounts_and_users_have_the_sdk_s_shape() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk"), bot("ci"), bot("cd")]).await;
    let (_, list) = bed.call("GET", "/virtual-accounts?nameSearchQuery=ci", Value::Null).await;
    assert_eq!(list["pagination"]["total"], 1);
    let account = &list["data"][0];
    assert_eq!((&account["id"], &account["isExpired"]), (&json!("ci"), &json!(false)));
    assert_eq!(account["createdAt"], "2026-11-21T00:00:00.000Z");
    assert_eq!(account["createdBySubject"]["subjectType"], "user");
    assert_eq!(account["jwts"][0]["tokenType"], "opaque");
    let exists = |name| format!("/virtual-accounts/exists?name={name}");
    assert_eq!(bed.call("GET", &exists("ci"), Value::Null).await.1["exists"], true);
    assert_eq!(bed.call("GET", &exists("no"), Value::Null).await.1["exists"], false);
    let dry = json!({ "manifest": bot("new"), "dryRun": true });
    let (status, reply) = bed.call("PUT", "/virtual-accounts", dry).await;
    assert_eq!((status.as_u16(), &reply["data"]["id"]), (200, &json!("new")));
    assert_eq!(bed.call("GET", "/virtual-accounts/new", Value::Null).await.0, 404);
    assert_eq!(bed.call("DELETE", "/virtual-accounts/cd", Value::Null).await.0, 200);
    let (_, users) = bed.call("GET", "/users", Value::Null).await;
    assert_eq!(users["data"][0]["email"], "admin@localhost");
}
