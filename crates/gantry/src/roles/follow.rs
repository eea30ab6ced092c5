//! Where a gateway's snapshots come from: the control plane in this process, or one elsewhere.

use super::snapshot_file::SnapshotFile;
use anyhow::{Context, bail};
use bytes::Bytes;
use gantry_gateway::Gateway;
use gantry_model::snapshot::SnapshotSource;
use gantry_providers::client::{Call, call};
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::metrics::Metrics;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The control plane answers a question without news after 25 s.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);

/// Pause after a failed question: a change may not take longer than two seconds to arrive.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Follows the control plane in this process, whose present state is in use already.
pub(super) async fn local(
    mut snapshots: watch::Receiver<Arc<SnapshotSource>>,
    gateway: Gateway,
    metrics: Arc<Metrics>,
) {
    // Not marked as seen here: a change since then must still be published.
    let generation = snapshots.borrow().generation;
    metrics.set_snapshot_generation(generation.0);
    while snapshots.changed().await.is_ok() {
        let snapshot = snapshots.borrow_and_update().clone();
        gateway.publish(&snapshot);
        metrics.set_snapshot_generation(snapshot.generation.0);
    }
}

/// A control plane elsewhere, asked over connections that this process opens.
pub(super) struct Remote {
    pub control_plane: String,
    pub token: String,
    pub file: SnapshotFile,
    pub gateway: Gateway,
    pub metrics: Arc<Metrics>,
}

impl Remote {
    /// Starts from the file on disk, when there is one; returns its generation, or 0.
    pub(super) fn start_from_disk(&self) -> u64 {
        match self.file.read() {
            Ok(Some(snapshot)) => {
                self.gateway.publish(&snapshot);
                let generation = snapshot.generation.0;
                self.metrics.set_snapshot_generation(generation);
                tracing::info!(generation, "started from the snapshot on disk");
                generation
            }
            Ok(None) => 0,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the snapshot on disk is not usable");
                0
            }
        }
    }

    /// Follows from `generation` on until shutdown; the gateway serves on with what it has when
    /// nobody answers.
    pub(super) async fn run(self, mut generation: u64, shutdown: Shutdown) {
        let mut away = false;
        loop {
            let asked = tokio::select! {
                asked = self.ask(generation) => asked,
                () = shutdown.wait() => return,
            };
            match asked {
                Ok(news) => {
                    if away {
                        tracing::info!("the control plane answers again");
                    }
                    away = false;
                    if let Some(snapshot) = news {
                        generation = snapshot.generation.0;
                        self.take(&snapshot);
                    }
                }
                Err(error) => {
                    if !away {
                        self.report(&format!("{error:#}"));
                    }
                    away = true;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn report(&self, error: &str) {
        if self.gateway.ready() {
            let state = "no news from the control plane, serving on with the last snapshot";
            tracing::warn!(error, "{state}");
        } else {
            let state = "no snapshot from the control plane, and none on disk: every request is \
                         refused until one comes";
            tracing::warn!(error, "{state}");
        }
    }

    fn take(&self, snapshot: &SnapshotSource) {
        self.gateway.publish(snapshot);
        self.metrics.set_snapshot_generation(snapshot.generation.0);
        if let Err(error) = self.file.write(snapshot) {
            tracing::warn!(error = format!("{error:#}"), "the snapshot was not written to disk");
        }
    }

    /// The newer snapshot, or `None` when there is none yet.
    async fn ask(&self, generation: u64) -> anyhow::Result<Option<SnapshotSource>> {
        let url = format!(
            "{}/api/svc/v1/gateway/snapshot?generation={generation}",
            self.control_plane.trim_end_matches('/')
        );
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(&self.token)?);
        let (method, body, timeout) = (Method::GET, Bytes::new(), POLL_TIMEOUT);
        let answer = call(Call { method, url: &url, headers, body, timeout }).await?;
        match answer.status {
            StatusCode::OK => {
                let snapshot = serde_json::from_slice(&answer.body);
                Ok(Some(snapshot.context("understand the control plane's snapshot")?))
            }
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                bail!(
                    "the control plane refuses the token; create one with `gantry token --gateway`"
                )
            }
            status => bail!("the control plane answered {status}"),
        }
    }
}

/// An authorization header that debug output hides.
pub(super) fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .context("the token holds characters that no token has")?;
    value.set_sensitive(true);
    Ok(value)
}
