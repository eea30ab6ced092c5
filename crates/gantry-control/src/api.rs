//! The REST API as one call, so that the process around it need not know its web framework.

use crate::Control;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::error::Error;
use tower::ServiceExt;

/// What a reply's body may fail with.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// The API under `/api/svc/`; cheap to clone.
#[derive(Clone)]
pub struct Api(axum::Router);

impl Control {
    /// The REST API, for the process to hand its requests to.
    #[must_use]
    pub fn api(&self) -> Api {
        Api(self.router())
    }
}

impl Api {
    /// Whether a path is the API's to answer.
    #[must_use]
    pub fn owns(path: &str) -> bool {
        path.starts_with("/api/svc/")
    }

    /// Answers one request.
    pub async fn call<B>(self, request: Request<B>) -> Response<UnsyncBoxBody<Bytes, BodyError>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        match self.0.oneshot(request.map(Body::new)).await {
            Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
            Err(never) => match never {},
        }
    }
}
