//! The REST API: requests to calls, results to replies. No rule of its own.
//!
//! Spelling is TrueFoundry's (camelCase, `{statusCode, message, code, details}` on errors), so
//! that its CLI and SDK work; what Gantry adds stands beside it.

mod access;
mod gateway;
mod reply;
mod resources;
mod routes;
mod tfy;
mod tokens;

use crate::{Control, Error};
pub use access::Access;
use axum::Router;
use axum::routing::any;
pub use routes::Route;

use reply::Failure;

/// Largest request body but for records, in bytes: manifests of a whole company are far smaller.
pub(crate) const BODY_LIMIT_BYTES: usize = 10 << 20;

/// Largest journal segment from a remote gateway, in bytes.
pub(crate) const SEGMENT_LIMIT_BYTES: usize = 64 << 20;

pub(crate) fn router(control: Control) -> Router {
    routes::router(&control)
        .route("/api/svc/{*rest}", any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .with_state(control)
}

/// All routes with who may use them.
pub(crate) fn routes() -> Vec<Route> {
    routes::list()
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
