//! What the data port serves besides models: health, metrics, the control plane of `gantry up`.

use bytes::Bytes;
use gantry_control::Api;
use gantry_gateway::{Gateway, OtherBody, OtherService};
use gantry_runtime::server::{self, DetachedBody, Rejected, Service, detached};
use gantry_telemetry::metrics::Metrics;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

/// Answers by path.
pub(super) struct Admin {
    /// Set once the gateway exists; before it the process is not ready.
    pub gateway: OnceLock<Gateway>,
    pub metrics: Option<Arc<Metrics>>,
    pub control: Option<Api>,
}

const GREETING: &str = "This is Gantry. Models are called below /v1 (OpenAI's and Anthropic's \
    APIs), the control plane below /api/svc/v1; /healthz, /readyz and /metrics tell how it does.\n";

/// Serves an [`Admin`] on a port of its own.
pub(super) struct AdminService(pub Arc<Admin>);

impl Service for AdminService {
    type Body = OtherBody;
    type BodyError = Box<dyn std::error::Error + Send + Sync>;

    async fn call(&self, request: server::Request) -> server::Response<OtherBody> {
        detached(request, |request| OtherService::call(&*self.0, request)).await.into()
    }

    fn reject(&self, rejected: Rejected) -> server::Response<OtherBody> {
        text(rejected.why.status(), TEXT, format!("{}\n", rejected.why)).into()
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl OtherService for Admin {
    fn call(
        &self,
        request: Request<DetachedBody>,
    ) -> Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>> {
        let local = match (request.uri().path(), &self.metrics) {
            ("/healthz", _) => Some(text(StatusCode::OK, TEXT, "ok\n")),
            ("/readyz", _) => Some(self.readiness()),
            ("/", _) => Some(text(StatusCode::OK, TEXT, GREETING)),
            ("/metrics", Some(metrics)) => {
                Some(text(StatusCode::OK, OPENMETRICS, metrics.render()))
            }
            _ => None,
        };
        if let Some(response) = local {
            return Box::pin(async move { response });
        }
        match self.control.clone().filter(|_| Api::owns(request.uri().path())) {
            Some(api) => Box::pin(async move {
                api.call(request).await.map(|body| -> OtherBody { Box::pin(body) })
            }),
            None => Box::pin(async { nothing() }),
        }
    }
}

impl Admin {
    fn readiness(&self) -> Response<OtherBody> {
        let ready = self.gateway.get().is_none_or(Gateway::ready);
        match ready {
            true => text(StatusCode::OK, TEXT, "ready\n"),
            false => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no configuration yet\n"),
        }
    }
}

fn nothing() -> Response<OtherBody> {
    text(StatusCode::NOT_FOUND, TEXT, "nothing here; models are called below /v1\n")
}

fn text(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<OtherBody> {
    let body: OtherBody = Box::pin(Full::new(body.into()).map_err(|never| match never {}));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
