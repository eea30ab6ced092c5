//! Who may use which route, and what a failure tells: every row of the table is walked.

use crate::{Bed, bed, bot, openai};
use gantry_control::{Access, Control};
use http::StatusCode;
use serde_json::{Value, json};

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

/// Status and body of each route, asked with a token; captures are filled with a name that nothing
/// has.
async fn walk(bed: &Bed, token: &str) -> Vec<(String, Access, StatusCode, Value)> {
    let mut found = Vec::new();
    for route in Control::routes() {
        let path = route.path.strip_prefix("/api/svc/v1").unwrap();
        let filled = path.replace("{*rest}", "x").replace("{*kind}", "virtual-account");
        let filled = filled.replace("{id}", "none").replace("{token}", "none");
        let method = if route.method == "any" { "GET" } else { &route.method };
        let body = if method == "GET" { Value::Null } else { json!({}) };
        let (status, body) = bed.call_as(token, method, &filled, body).await;
        found.push((format!("{method} {filled}"), route.access, status, body));
    }
    assert!(found.len() > 25);
    found
}

#[tokio::test]
async fn each_route_lets_in_whom_its_row_names_and_nobody_else() {
    let bed = bed().await;
    let member = bed.token_of(&[openai("main", "sk-1"), bot("ci")]).await;
    let (_, made) = bed.call("POST", "/gateway/tokens", json!({ "name": "edge" })).await;
    let gateway = made["token"].as_str().unwrap().to_owned();
    for (route, access, status, _) in walk(&bed, "tfy_nothing").await {
        assert_eq!(status == UNAUTHORIZED, access != Access::Open, "{route} {status}");
    }
    for (route, access, status, _) in walk(&bed, &member).await {
        let own = matches!(access, Access::Open | Access::Caller);
        assert!(status != UNAUTHORIZED, "{route}");
        // A person's own tokens are none of a virtual account's business.
        let persons_only = route == "POST /personal-access-tokens";
        assert!(status == FORBIDDEN || own, "{route} {status}");
        assert!(status != FORBIDDEN || !own || persons_only, "{route} {status}");
    }
    for (route, access, status, _) in walk(&bed, &gateway).await {
        let own = matches!(access, Access::Open | Access::Gateway);
        assert_eq!(status == FORBIDDEN, !own, "{route} {status}");
    }
}

#[tokio::test]
async fn no_route_asks_for_another_than_its_row_lets_in() {
    let bed = bed().await;
    for (route, access, status, body) in walk(&bed, &bed.token).await {
        assert_eq!(status == FORBIDDEN, access == Access::Gateway, "{route} {status}");
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{route} {body}");
    }
}

#[tokio::test]
async fn a_failure_of_the_database_tells_callers_no_statement_and_no_path() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-1"), bot("ci")]).await;
    let database = bed.dir.path().join("gantry.db");
    // What nobody may see broken: each page of the file but for the first.
    let mut bytes = std::fs::read(&database).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte = 0xa5);
    std::fs::write(&database, bytes).unwrap();
    let log = bed.dir.path().join("gantry.db-wal");
    std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(64).unwrap();
    let directory = bed.dir.path().display().to_string();
    let mut failed = 0;
    for (route, _, status, body) in walk(&bed, &bed.token).await {
        failed += usize::from(status == StatusCode::INTERNAL_SERVER_ERROR);
        let text = body.to_string().to_lowercase();
        for told in [directory.as_str(), "gantry.db", "sql", "select ", "table ", "database disk"] {
            assert!(!text.contains(&told.to_lowercase()), "{route} {status}: {text}");
        }
    }
    assert!(failed > 0, "no route met the damage: readers hold some pages, but not all");
}
