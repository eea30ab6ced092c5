//! The control plane as its callers see it: calls, REST, snapshots. Real store, manual clock.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod access;
mod apply;
mod deletion;
mod gateway;
mod rest;
mod secrets;
mod start;
mod token_limits;
mod tokens;
mod toy;
mod unreadable;

use axum::body::Body;
use gantry_control::{Control, ControlConfig};
use gantry_kinds::registry::Registry;
use gantry_kinds::variables::Allowed;
use gantry_model::rest::{Applied, ManifestRef, Source};
use gantry_model::secret::Secret;
use gantry_model::snapshot::{Caller, SnapshotSource};
use gantry_runtime::clock::Clock;
use gantry_store::{Store, StoreConfig, Tx};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;

/// 2026-11-21T00:00:00Z.
const NOW_MS: u64 = 1_795_219_200_000;

/// A control plane on a temporary directory.
struct Bed {
    control: Control,
    clock: Clock,
    /// The administrator's token.
    token: String,
    dir: tempfile::TempDir,
}

fn config(dir: &Path, clock: &Clock) -> ControlConfig {
    ControlConfig {
        clock: clock.clone(),
        variables: Allowed::new(vec!["*SET".to_owned(), "LINE*".to_owned()]).unwrap(),
        environment: Arc::new(|name| (name == "SET").then(|| Secret::new("value-of-SET"))),
        ..ControlConfig::new(dir)
    }
}

async fn bed() -> Bed {
    bed_of(Registry::standard()).await
}

/// A control plane that knows these kinds.
async fn bed_of(registry: Registry) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW_MS);
    let config = ControlConfig { registry, ..config(dir.path(), &clock) };
    let (control, first) = Control::open(config).await.unwrap();
    let token = first.unwrap().token.expose().to_owned();
    Bed { control, clock, token, dir }
}

fn admin() -> Caller {
    Caller { subject: "user:admin@localhost".to_owned(), ..Control::local_caller() }
}

fn source(manifests: &[Value]) -> Vec<Source> {
    let file = |(index, manifest): (usize, &Value)| Source {
        file: format!("{index}.yaml"),
        text: manifest.to_string(),
    };
    manifests.iter().enumerate().map(file).collect()
}

impl Bed {
    /// The same data, opened again by a release that knows these kinds.
    async fn restarted(self, registry: Registry) -> Self {
        self.control.close().await;
        let Self { control, clock, token, dir } = self;
        drop(control);
        let config = ControlConfig { registry, ..config(dir.path(), &clock) };
        let (control, _) = Control::open(config).await.unwrap();
        Self { control, clock, token, dir }
    }

    /// Stops the control plane, lets `work` have the database, and starts it again.
    async fn with_store(self, work: impl AsyncFnOnce(&mut Tx)) -> Self {
        self.control.close().await;
        let Self { control, clock, token, dir } = self;
        drop(control);
        let (data_dir, clock_) = (dir.path().to_owned(), clock.clone());
        let config_ = StoreConfig { data_dir, clock: clock_, master_key: None, url: None };
        let store = Store::open(config_).await.unwrap();
        let mut tx = store.write("default").await.unwrap();
        work(&mut tx).await;
        tx.commit().await.unwrap();
        store.close().await;
        drop(store);
        let (control, _) = Control::open(config(dir.path(), &clock)).await.unwrap();
        Self { control, clock, token, dir }
    }

    /// The stored values of these references, which must be there; starts again by the usual kinds.
    async fn stored_secrets<const N: usize>(self, references: [&str; N]) -> (Self, [String; N]) {
        let mut found = Vec::new();
        let bed = self
            .with_store(async |tx| {
                for reference in references {
                    let value = tx.secret(reference).await.unwrap().unwrap();
                    found.push(value.expose().to_owned());
                }
            })
            .await;
        (bed, found.try_into().unwrap())
    }

    async fn apply(&self, manifests: &[Value]) -> Vec<Applied> {
        self.control.apply(&admin(), source(manifests), false).await.unwrap()
    }

    /// Applies manifests, the second a new virtual account; its token.
    async fn token_of(&self, manifests: &[Value]) -> String {
        self.apply(manifests).await[1].token.as_ref().unwrap().expose().to_owned()
    }

    /// Status and JSON body (null when there is none) of a request with the admin's token.
    async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call_as(&self.token, method, path, body).await
    }

    async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/svc/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(body)
            .unwrap();
        let response = self.control.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

/// All entries of a section, which must all be readable.
fn entries<T: DeserializeOwned>(source: &SnapshotSource, section: &str) -> Vec<T> {
    source.section(section).unwrap().read().into_iter().map(Result::unwrap).collect()
}

/// The value of the only secret.
fn secret(source: &SnapshotSource) -> String {
    source.secrets.iter().next().unwrap().1.expose().to_owned()
}

fn openai(name: &str, key: &str) -> Value {
    json!({
        "type": "provider-account/openai",
        "name": name,
        "auth_data": { "type": "api-key", "api_key": key },
        "integrations": [{
            "type": "integration/model/openai",
            "name": "small",
            "model_id": "gpt-4o-mini",
            "model_types": ["chat"],
        }],
    })
}

fn virtual_model(name: &str, target: &str) -> Value {
    json!({
        "type": "provider-account/virtual-model",
        "name": name,
        "integrations": [{
            "type": "integration/model/virtual",
            "name": "fast",
            "model_types": ["chat"],
            "routing_config": {
                "type": "weight-based-routing",
                "load_balance_targets": [{ "target": target, "weight": 100 }],
            },
        }],
    })
}

fn bot(name: &str) -> Value {
    json!({
        "type": "virtual-account",
        "name": name,
        "permissions": [{
            "resource_fqn": "default:openai:main",
            "resource_type": "provider-account",
            "role_id": "provider-account-access",
        }],
        "tags": { "team": "ml" },
    })
}

fn named(kind: &str, name: &str) -> ManifestRef {
    ManifestRef { kind: kind.to_owned(), name: Some(name.to_owned()) }
}

/// Lets the request run as far as it goes; tells whether it waits.
async fn still_waits<F: Future + Unpin>(request: &mut F) -> bool {
    let request = &mut *request;
    std::future::poll_fn(move |context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *request).poll(context).is_pending())
    })
    .await
}
