//! What a port serves besides models: health, metrics, tasks, the control plane of `gantry up`.
//!
//! Anybody may ask whether the process lives and is ready. Metrics and tasks name models, users,
//! hosts and spend: on the admin port they are open, for it is on loopback unless somebody says
//! otherwise; on the data port they are behind a [`Door`].

use bytes::Bytes;
use gantry_gateway::{Gateway, OtherBody, OtherService};
use gantry_http::server::{self, DetachedBody, Rejected, Service, detached};
use gantry_model::secret::Secret;
use gantry_runtime::digest::sha256_hex;
use gantry_runtime::reconcile::Board;
use gantry_telemetry::metrics::Metrics;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

/// Paths that are not for everybody.
const GUARDED: [&str; 2] = ["/metrics", "/tasks"];

/// What the control plane answers.
const CONTROL: &str = "/api/svc/";

/// Answers by path.
pub(super) struct Admin {
    /// Set once the gateway exists; before it the process is not ready.
    pub gateway: OnceLock<Gateway>,
    pub pages: Arc<dyn OtherService>,
    pub door: Door,
    /// Not on the worker that asks: it may take long.
    pub control: Option<Arc<dyn OtherService>>,
    /// Whether models are called on the same port.
    pub models: bool,
}

/// Who gets metrics and tasks.
pub(super) enum Door {
    /// Whoever reaches the port.
    Open,
    /// Whoever sends one of these tokens.
    Tokens { metrics: Option<Secret>, is_administrator: Box<dyn Fn(&str) -> bool + Send + Sync> },
}

/// Makes the pages behind the door. A page of metrics may be megabytes: roles hand it over to other
/// threads than those that serve models.
pub(super) struct Pages {
    pub metrics: Arc<Metrics>,
    pub board: Board,
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
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

type Answer = Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>>;

impl OtherService for Admin {
    fn call(&self, request: Request<DetachedBody>) -> Answer {
        let path = request.uri().path();
        let local = match path {
            "/healthz" => text(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.readiness(),
            "/" => text(StatusCode::OK, TEXT, format!("This is Gantry: {}.\n", self.here())),
            _ if GUARDED.contains(&path) => match self.door.opens(request.headers()) {
                true => return self.pages.call(request),
                false => refused(path),
            },
            _ => match self.control.as_ref().filter(|_| path.starts_with(CONTROL)) {
                Some(control) => return control.call(request),
                None => {
                    let nothing = format!("nothing at {path}: {}\n", self.here());
                    text(StatusCode::NOT_FOUND, TEXT, nothing)
                }
            },
        };
        Box::pin(async move { local })
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
        let token = match self.door {
            Door::Open => "",
            Door::Tokens { .. } => ", the last two with a token",
        };
        format!("{models}{control}; /healthz, /readyz, /metrics and /tasks tell how it does{token}")
    }
}

impl Door {
    fn opens(&self, headers: &HeaderMap) -> bool {
        let Self::Tokens { metrics, is_administrator } = self else { return true };
        let Some(token) = bearer(headers) else { return false };
        // Digests are compared, so that the time it takes says nothing of the token.
        let is_metrics =
            |known: &Secret| sha256_hex(known.expose().as_bytes()) == sha256_hex(token.as_bytes());
        metrics.as_ref().is_some_and(is_metrics) || is_administrator(token)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn refused(path: &str) -> Response<OtherBody> {
    let why = format!(
        "{path} is not for everybody here: send `Authorization: Bearer TOKEN` with the token of an \
         administrator of the control plane in this process, or with `metrics_token` of \
         [telemetry], or ask the admin port (`admin_listen`), which needs none\n"
    );
    let mut response = text(StatusCode::UNAUTHORIZED, TEXT, why);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

impl OtherService for Pages {
    fn call(&self, request: Request<DetachedBody>) -> Answer {
        let page = match request.uri().path() {
            "/tasks" => match serde_json::to_vec_pretty(&self.board.statuses()) {
                Ok(json) => text(StatusCode::OK, JSON, json),
                Err(error) => {
                    tracing::error!(%error, "the list of tasks cannot be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "see the log\n")
                }
            },
            _ => text(StatusCode::OK, OPENMETRICS, self.metrics.render()),
        };
        Box::pin(async move { page })
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
    use http_body_util::Empty;

    const NAME: &str = "gantry_recorder_alive";

    fn admin(door: Door, models: bool) -> Admin {
        let pages = Pages { metrics: Arc::default(), board: Board::default() };
        Admin { gateway: OnceLock::new(), pages: Arc::new(pages), door, control: None, models }
    }

    fn guarded() -> Door {
        Door::Tokens {
            metrics: Some(Secret::new("scraper")),
            is_administrator: Box::new(|token| token == "tfy_admin"),
        }
    }

    /// Status and text of one GET.
    async fn ask(admin: &Admin, path: &str, authorization: &str) -> (u16, String) {
        let body: DetachedBody = Box::pin(Empty::new().map_err(|never| match never {}));
        let mut request = Request::get(path).body(body).unwrap();
        if let Ok(value) = HeaderValue::from_str(authorization)
            && !value.is_empty()
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let response = OtherService::call(admin, request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_names_people_and_spend_needs_a_token_on_the_data_port() {
        let admin = admin(guarded(), true);
        for path in GUARDED {
            for authorization in ["", "Bearer ", "Bearer tfy_nobody", "Basic tfy_admin", "scraper"]
            {
                let (status, said) = ask(&admin, path, authorization).await;
                assert_eq!(status, 401, "{path} {authorization}");
                assert!(said.contains("`admin_listen`") && !said.contains(NAME), "{said}");
            }
            for authorization in ["Bearer tfy_admin", "bearer scraper"] {
                assert_eq!(ask(&admin, path, authorization).await.0, 200, "{path}");
            }
        }
        assert!(ask(&admin, "/metrics", "Bearer scraper").await.1.contains(NAME));
    }

    #[tokio::test]
    async fn whoever_reaches_the_admin_port_gets_everything() {
        let admin = admin(Door::Open, false);
        assert!(ask(&admin, "/metrics", "").await.1.contains(NAME));
        assert_eq!(ask(&admin, "/tasks", "").await, (200, "[]".to_owned()));
    }

    #[tokio::test]
    async fn without_a_token_a_port_says_what_it_serves_and_nothing_of_who_uses_it() {
        let data = admin(guarded(), true);
        for (path, expected) in [
            ("/healthz", (200, "ok\n")),
            ("/readyz", (200, "ready\n")),
            (
                "/",
                (
                    200,
                    "This is Gantry: models are called here, below /v1 (OpenAI's and Anthropic's \
                     APIs); /healthz, /readyz, /metrics and /tasks tell how it does, the last two \
                     with a token.\n",
                ),
            ),
            (
                "/elsewhere",
                (
                    404,
                    "nothing at /elsewhere: models are called here, below /v1 (OpenAI's and \
                     Anthropic's APIs); /healthz, /readyz, /metrics and /tasks tell how it does, \
                     the last two with a token\n",
                ),
            ),
        ] {
            let (status, said) = ask(&data, path, "").await;
            assert_eq!((status, said.as_str()), expected);
        }
        let said = ask(&admin(Door::Open, false), "/", "").await.1;
        assert!(said.contains("not called here") && !said.contains("token"), "{said}");
    }
}
