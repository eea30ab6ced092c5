//! Where a gateway's snapshots come from: the control plane in this process, or one elsewhere.

use super::snapshot_file::SnapshotFile;
use anyhow::{Context, bail};
use bytes::Bytes;
use gantry_gateway::Gateway;
use gantry_http::client::{Call, call};
use gantry_model::snapshot::{Digests, News, SnapshotSource};
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
    /// Starts from the file on disk, when there is one that this release can read; returns what it
    /// has. A file of another release or token is no reason not to start.
    pub(super) fn start_from_disk(&self) -> Have {
        match self.file.read() {
            Ok(Some(snapshot)) => {
                self.gateway.publish(&snapshot);
                let generation = snapshot.generation.0;
                self.metrics.set_snapshot_generation(generation);
                tracing::info!(generation, "started from the snapshot on disk");
                Have::of(snapshot)
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
                    if let Some(news) = news
                        && !self.take(&mut have, news)
                    {
                        tokio::time::sleep(RETRY_PAUSE).await;
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

    /// Takes what it lacked. Returns whether that brought it anything: an answer that does not
    /// would come again at once.
    fn take(&self, have: &mut Have, news: News) -> bool {
        let snapshot = match news.complete(&have.source) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(%error, "asking for the whole snapshot");
                *have = Have { whole: true, ..have.clone() };
                return false;
            }
        };
        let new = have.differs(&snapshot);
        have.compare(&snapshot);
        self.gateway.publish(&snapshot);
        self.metrics.set_snapshot_generation(snapshot.generation.0);
        if let Err(error) = self.file.write(&snapshot) {
            tracing::warn!(error = format!("{error:#}"), "the snapshot was not written to disk");
        }
        *have = Have::of(snapshot);
        new
    }

    /// What it lacks of another snapshot than it has, or `None` when there is none yet.
    async fn ask(&self, have: &Have) -> anyhow::Result<Option<News>> {
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
#[derive(Clone, Debug, Default)]
pub(super) struct Have {
    source: SnapshotSource,
    /// Whether everything is to be sent all the same.
    whole: bool,
}

impl Have {
    fn of(source: SnapshotSource) -> Self {
        Self { source, whole: false }
    }

    /// The address at which news are asked for.
    fn question(&self, control_plane: &str) -> String {
        let host = control_plane.trim_end_matches('/');
        let path = "api/svc/v1/gateway/snapshot";
        if self.whole || self.source.sections.is_empty() {
            return format!("{host}/{path}");
        }
        let sections = written(&self.source.digests());
        format!("{host}/{path}?generation={}&sections={sections}", self.source.generation)
    }

    fn differs(&self, snapshot: &SnapshotSource) -> bool {
        self.source.generation != snapshot.generation || self.source.digests() != snapshot.digests()
    }

    /// Says so when the control plane's state is an earlier one.
    fn compare(&self, snapshot: &SnapshotSource) {
        let (had, generation) = (self.source.generation.0, snapshot.generation.0);
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

/// Sections as a question names them. What no URL may hold is left out, and sent again.
fn written(digests: &Digests) -> String {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let pairs = digests.iter().filter(|(name, digest)| plain(name) && plain(digest));
    pairs.map(|(name, digest)| format!("{name}:{digest}")).collect::<Vec<_>>().join(",")
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
    use gantry_model::snapshot::{Secrets, Section};

    #[test]
    fn a_gateway_says_which_sections_it_has() {
        let path = "http://control:7100/api/svc/v1/gateway/snapshot";
        let host = "http://control:7100/";
        assert_eq!(Have::default().question(host), path);
        let section = |name: &str, digest: &str| {
            let section = Section::new::<u8>(&[], &|_| digest.to_owned()).unwrap();
            (name.to_owned(), section)
        };
        let sections = [section("keys", "ab12"), section("odd name", "x"), section("models", "3")];
        let secrets = Secrets::new(Default::default(), &|_| "9".to_owned());
        let source = SnapshotSource {
            generation: Generation(7),
            sections: sections.into(),
            secrets,
            ..Default::default()
        };
        let have = Have::of(source);
        let expected = format!("{path}?generation=7&sections=keys:ab12,models:3,secrets:9");
        assert_eq!(have.question(host), expected);
        assert_eq!(Have { whole: true, ..have }.question(host), path);
    }
}
