//! Where a gateway's snapshots come from: the control plane in this process, or one elsewhere.

use super::snapshot_file::SnapshotFile;
use anyhow::{Context, bail};
use bytes::Bytes;
use gantry_gateway::Gateway;
use gantry_http::client::{Call, call};
use gantry_kinds::snapshot::SnapshotSource;
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::metrics::Metrics;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
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
    /// Starts from the file on disk, when there is one; returns what it has.
    pub(super) fn start_from_disk(&self) -> Have {
        match self.file.read() {
            Ok(Some(snapshot)) => {
                self.gateway.publish(&snapshot);
                let generation = snapshot.generation.0;
                self.metrics.set_snapshot_generation(generation);
                tracing::info!(generation, "started from the snapshot on disk");
                Have::of(&snapshot)
            }
            Ok(None) => Have::default(),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the snapshot on disk is not usable");
                Have::default()
            }
        }
    }

    /// Follows from what it has on until shutdown; the gateway serves on with that when nobody
    /// answers.
    pub(super) async fn run(self, mut have: Have, shutdown: Shutdown) {
        let mut failure = None;
        loop {
            let asked = tokio::select! {
                asked = self.ask(&have) => asked,
                () = shutdown.wait() => return,
            };
            match asked {
                Ok(news) => {
                    if failure.take().is_some() {
                        tracing::info!("the control plane answers again");
                    }
                    if let Some(snapshot) = news {
                        have.compare(&snapshot);
                        have = Have::of(&snapshot);
                        self.take(&snapshot);
                    }
                }
                Err(error) => {
                    let error = Some(format!("{error:#}"));
                    if failure != error {
                        self.report(error.as_deref().unwrap_or_default());
                    }
                    failure = error;
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

    /// Another snapshot than it has, or `None` when there is none yet.
    async fn ask(&self, have: &Have) -> anyhow::Result<Option<SnapshotSource>> {
        let url = have.question(&self.control_plane);
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
                    "the control plane refuses the token; create one with `gantry token NAME \
                     --gateway`"
                )
            }
            status => {
                let said = serde_json::from_slice::<Refused>(&answer.body);
                let said = said.map(|said| format!(": {}", said.message)).unwrap_or_default();
                bail!("the control plane answered {status}{said}")
            }
        }
    }
}

/// An error of the control plane.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

/// Which snapshot a gateway has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Have {
    generation: u64,
    /// Empty: from a control plane that knew none.
    digest: String,
}

impl Have {
    fn of(snapshot: &SnapshotSource) -> Self {
        Self { generation: snapshot.generation.0, digest: snapshot.digest.clone() }
    }

    /// The address at which news are asked for.
    fn question(&self, control_plane: &str) -> String {
        let digest = match self.digest.as_str() {
            "" => String::new(),
            known => format!("&digest={known}"),
        };
        let (host, generation) = (control_plane.trim_end_matches('/'), self.generation);
        format!("{host}/api/svc/v1/gateway/snapshot?generation={generation}{digest}")
    }

    /// Says so when the control plane's state is an earlier one.
    fn compare(&self, snapshot: &SnapshotSource) {
        let (had, generation) = (self.generation, snapshot.generation.0);
        if generation < had {
            tracing::warn!(
                had,
                generation,
                "the control plane went back to an earlier state, as one whose database was \
                 restored does; that state is in use now"
            );
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

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::ids::Generation;

    #[test]
    fn a_gateway_says_which_state_it_has_as_far_as_it_knows() {
        let path = "http://control:7100/api/svc/v1/gateway/snapshot";
        let host = "http://control:7100/";
        assert_eq!(Have::default().question(host), format!("{path}?generation=0"));
        let mut snapshot = SnapshotSource { generation: Generation(7), ..Default::default() };
        assert_eq!(Have::of(&snapshot).question(host), format!("{path}?generation=7"));
        snapshot.digest = "ab12".to_owned();
        let asked = Have::of(&snapshot).question(host);
        assert_eq!(asked, format!("{path}?generation=7&digest=ab12"));
    }
}
