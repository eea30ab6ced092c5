//! What the data port serves besides models: health, metrics, the control plane of `gantry up`.

use bytes::Bytes;
use gantry_control::Api;
use gantry_gateway::{Gateway, OtherBody, OtherService};
use gantry_http::server::{self, DetachedBody, Rejected, Service, detached};
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
    /// Whether models are called on the same port.
    pub models: bool,
}

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
            ("/", _) => {
                Some(text(StatusCode::OK, TEXT, format!("This is Gantry: {}.\n", self.here())))
            }
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
            None => {
                let nothing = format!("nothing at {}: {}\n", request.uri().path(), self.here());
                Box::pin(async { text(StatusCode::NOT_FOUND, TEXT, nothing) })
            }
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

    /// What this port serves, in words.
    fn here(&self) -> String {
        let models = match self.models {
            true => "models are called here, below /v1 (OpenAI's and Anthropic's APIs)",
            false => "models are not called here, but at a gateway",
        };
        let control = match self.control {
            Some(_) => "; the control plane answers below /api/svc/v1",
            None => "",
        };
        let metrics =
            if self.metrics.is_some() { ", /readyz and /metrics" } else { " and /readyz" };
        format!("{models}{control}; /healthz{metrics} tell how it does")
    }
}

fn text(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<OtherBody> {
    let body: OtherBody = Box::pin(Full::new(body.into()).map_err(|never| match never {}));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_says_what_it_serves() {
        let metrics = Arc::new(Metrics::new(1, &Default::default()));
        let admin = |models, metrics: Option<&Arc<Metrics>>| Admin {
            gateway: OnceLock::new(),
            metrics: metrics.cloned(),
            control: None,
            models,
        };
        let gateway = "models are called here, below /v1 (OpenAI's and Anthropic's APIs); /healthz \
            and /readyz tell how it does";
        assert_eq!(admin(true, None).here(), gateway);
        let alone = "models are not called here, but at a gateway; /healthz, /readyz and /metrics \
            tell how it does";
        assert_eq!(admin(false, Some(&metrics)).here(), alone);
    }
}
