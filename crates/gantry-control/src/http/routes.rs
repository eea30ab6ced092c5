//! The routes of the REST API as a table: method, path, who may, handler.
//!
//! A route exists by having a row, and a row cannot be written without an [`Access`]. Whoever adds
//! one adds it here and nowhere else; the tests walk the table.

use super::access::{Access, guard};
use super::{BODY_LIMIT_BYTES, SEGMENT_LIMIT_BYTES, gateway, resources, tfy, tokens};
use crate::Control;
use crate::access::Permission as P;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, any, on};

/// Below it lies the whole API.
const V1: &str = "/api/svc/v1";

/// One route, as [`crate::Control::routes`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, or `any`.
    pub method: String,
    /// Captures stand in braces; `{*rest}` is the rest of a path.
    pub path: String,
    pub access: Access,
}

/// One route with what serves it.
struct Row {
    /// `None`: any method.
    method: Option<MethodFilter>,
    /// Below [`V1`], with axum's captures.
    path: &'static str,
    access: Access,
    body_bytes_max: usize,
    handler: MethodRouter<Control>,
}

fn row<H, T>(method: MethodFilter, path: &'static str, access: Access, handler: H) -> Row
where
    H: Handler<T, Control>,
    T: 'static,
{
    let (method, handler) = (Some(method), on(method, handler));
    Row { method, path, access, body_bytes_max: BODY_LIMIT_BYTES, handler }
}

/// All routes.
fn table() -> Vec<Row> {
    const GET: MethodFilter = MethodFilter::GET;
    const POST: MethodFilter = MethodFilter::POST;
    const PUT: MethodFilter = MethodFilter::PUT;
    const DELETE: MethodFilter = MethodFilter::DELETE;
    let needs = Access::Needs;
    let any_login = any(tfy::no_device_login);
    vec![
        row(GET, "/min-cli-version", Access::Open, tfy::min_cli_version),
        row(GET, "/tenant-id", Access::Open, tfy::tenant_id),
        Row {
            method: None,
            path: "/oauth2/{*rest}",
            access: Access::Open,
            body_bytes_max: BODY_LIMIT_BYTES,
            handler: any_login,
        },
        row(GET, "/session", Access::Caller, tfy::session),
        row(POST, "/dependency-tree", Access::Caller, tfy::dependency_tree),
        row(PUT, "/apply", needs(P::ApplyManifests), resources::apply),
        row(POST, "/delete", needs(P::DeleteResources), resources::delete),
        row(GET, "/resources", needs(P::ReadResources), resources::list),
        row(GET, "/resources/{*kind}", needs(P::ReadResources), resources::list_kind),
        row(GET, "/audit", needs(P::ReadAudit), resources::audit),
        row(GET, "/users", needs(P::ReadUsers), tokens::users),
        row(GET, "/personal-access-tokens", Access::Caller, tokens::personal),
        row(POST, "/personal-access-tokens", Access::Caller, tokens::create_personal),
        row(DELETE, "/personal-access-tokens/{id}", Access::Caller, tokens::revoke_personal),
        row(GET, ACCOUNTS, needs(P::ReadVirtualAccounts), tokens::accounts),
        row(PUT, ACCOUNTS, needs(P::ApplyManifests), tokens::apply_account),
        row(GET, EXISTS, needs(P::ReadVirtualAccounts), tokens::account_exists),
        row(GET, ACCOUNT, needs(P::ReadVirtualAccounts), tokens::account),
        row(DELETE, ACCOUNT, needs(P::DeleteResources), tokens::drop_account),
        row(GET, TOKEN, needs(P::ReadVirtualAccounts), tokens::account_token),
        row(POST, REGENERATE, needs(P::MakeVirtualAccountTokens), tokens::regenerate),
        row(DELETE, JWT, needs(P::EndVirtualAccountTokens), tokens::revoke_account_token),
        row(GET, "/gateway/snapshot", Access::Gateway, gateway::snapshot),
        Row {
            body_bytes_max: SEGMENT_LIMIT_BYTES,
            ..row(POST, "/gateway/records", Access::Gateway, gateway::records)
        },
        row(GET, "/gateway/tokens", needs(P::ReadGatewayTokens), tokens::gateways),
        row(POST, "/gateway/tokens", needs(P::MakeGatewayTokens), gateway::create_token),
        row(DELETE, "/gateway/tokens/{id}", needs(P::EndGatewayTokens), tokens::revoke_gateway),
        row(POST, "/gateway/logs", Access::Caller, gateway::logs),
        row(GET, "/gateway/logs/{id}", Access::Caller, gateway::request),
        row(POST, "/gateway/usage", Access::Caller, gateway::usage),
    ]
}

const ACCOUNTS: &str = "/virtual-accounts";
const EXISTS: &str = "/virtual-accounts/exists";
const ACCOUNT: &str = "/virtual-accounts/{id}";
const TOKEN: &str = "/virtual-accounts/{id}/token";
const REGENERATE: &str = "/virtual-accounts/{id}/regenerate-token";
const JWT: &str = "/virtual-accounts/{id}/jwt/{token}";

/// The table as a router. A path that several rows share answers the methods of all of them.
pub(super) fn router(control: &Control) -> Router<Control> {
    table().into_iter().fold(Router::new(), |router, row| {
        let guarded = from_fn_with_state((control.clone(), row.access), guard);
        let limit = DefaultBodyLimit::max(row.body_bytes_max);
        // The guard lies outside: nobody's body is read before it is known whose it is.
        let handler = row.handler.layer(limit).layer(guarded);
        router.route(&format!("{V1}{}", row.path), handler)
    })
}

/// The table for people and for tests.
pub(super) fn list() -> Vec<Route> {
    let route = |row: Row| {
        let methods = row.method.map_or("any", name).to_owned();
        Route { method: methods, path: format!("{V1}{}", row.path), access: row.access }
    };
    table().into_iter().map(route).collect()
}

fn name(method: MethodFilter) -> &'static str {
    let known = [
        (MethodFilter::GET, "GET"),
        (MethodFilter::POST, "POST"),
        (MethodFilter::PUT, "PUT"),
        (MethodFilter::DELETE, "DELETE"),
    ];
    known.iter().find(|(filter, _)| *filter == method).map_or("other", |(_, name)| name)
}
