//! The REST API: requests to calls, results to replies. No rule of its own.
//!
//! Spelling is TrueFoundry's (camelCase, `{statusCode, message, code, details}` on errors), so
//! that its CLI and SDK work; what Gantry adds stands beside it.

mod access;
mod gateway;
mod reply;
mod resources;
mod tfy;
mod tokens;

use crate::{Control, Error};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, delete, get, post, put};
use reply::Failure;

/// Largest request body but for records, in bytes: manifests of a whole company are far smaller.
pub(crate) const BODY_LIMIT_BYTES: usize = 10 << 20;

/// Largest journal segment from a remote gateway, in bytes.
pub(crate) const SEGMENT_LIMIT_BYTES: usize = 64 << 20;

pub(crate) fn router(control: Control) -> Router {
    let v1 = "/api/svc/v1";
    let path = |rest: &str| format!("{v1}{rest}");
    Router::new()
        .route(&path("/min-cli-version"), get(tfy::min_cli_version))
        .route(&path("/tenant-id"), get(tfy::tenant_id))
        .route(&path("/session"), get(tfy::session))
        .route(&path("/oauth2/{*rest}"), any(tfy::no_device_login))
        .route(&path("/dependency-tree"), post(tfy::dependency_tree))
        .route(&path("/apply"), put(resources::apply))
        .route(&path("/delete"), post(resources::delete))
        .route(&path("/resources"), get(resources::list))
        .route(&path("/resources/{*kind}"), get(resources::list_kind))
        .route(&path("/audit"), get(resources::audit))
        .route(&path("/users"), get(tokens::users))
        .route(
            &path("/personal-access-tokens"),
            get(tokens::personal).post(tokens::create_personal),
        )
        .route(&path("/personal-access-tokens/{id}"), delete(tokens::revoke_personal))
        .route(&path("/virtual-accounts"), get(tokens::accounts).put(tokens::apply_account))
        .route(&path("/virtual-accounts/exists"), get(tokens::account_exists))
        .route(&path("/virtual-accounts/{id}"), get(tokens::account).delete(tokens::drop_account))
        .route(&path("/virtual-accounts/{id}/token"), get(tokens::account_token))
        .route(&path("/virtual-accounts/{id}/regenerate-token"), post(tokens::regenerate))
        .route(&path("/virtual-accounts/{id}/jwt/{token}"), delete(tokens::revoke_account_token))
        .route(&path("/gateway/snapshot"), get(gateway::snapshot))
        .route(
            &path("/gateway/records"),
            post(gateway::records).layer(DefaultBodyLimit::max(SEGMENT_LIMIT_BYTES)),
        )
        .route(&path("/gateway/tokens"), get(tokens::gateways).post(gateway::create_token))
        .route(&path("/gateway/tokens/{id}"), delete(tokens::revoke_gateway))
        .route(&path("/gateway/logs"), post(gateway::logs))
        .route(&path("/gateway/logs/{id}"), get(gateway::request))
        .route(&path("/gateway/usage"), post(gateway::usage))
        .route("/api/svc/{*rest}", any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(control)
}

async fn unknown(method: http::Method, uri: http::Uri) -> Failure {
    Error::NotFound(format!("{method} {} is not part of Gantry's control plane API", uri.path()))
        .into()
}

async fn wrong_method(method: http::Method, uri: http::Uri) -> Failure {
    Failure::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not answer {method}", uri.path()),
    )
}
